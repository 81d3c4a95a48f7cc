"""What one task runs: plain data that the worker makes before any process is started for it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kedro_astro.structure import PIPELINE_HOOKS


@dataclass(frozen=True)
class Session:
    """What one Kedro session runs.

    Attributes:
        project: the folder that holds `pyproject.toml`.
        pipeline: the registered pipeline that the nodes are of.
        nodes: names of the nodes to run; if there are none, the hooks are fired for the whole
            pipeline and nothing is run.
        run_id: the version that versioned datasets are saved under.
        hooks: those of `PIPELINE_HOOKS` that are fired.
        load_versions: by dataset, if not the latest.
        on_disk: by input that is on a disk, where, and the task that has saved it, if one has.
        runtime_params: nested, as Kedro takes them.
    """

    project: str
    pipeline: str
    nodes: Sequence[str]
    run_id: str
    hooks: Sequence[str] = PIPELINE_HOOKS
    load_versions: Mapping[str, str] = field(default_factory=dict)
    on_disk: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)
    runtime_params: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return it as one line of JSON. A parameter that JSON does not have becomes its text."""
        return json.dumps(vars(self), default=str)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Session":
        """Return the session that `to_json` wrote."""
        return cls(**json.loads(text))
