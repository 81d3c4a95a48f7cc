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
        runtime_params: nested, as Kedro takes them.
        credentials: over those in files, by name. They are not in the session's `repr`; its JSON
            is for the process that runs it, by its standard input or its container's environment,
            and for nothing that is kept.
        removes: datasets whose folders of this DAG run are removed, when there are no nodes.
        code: what `project.code_of` said of the project that the DAG was made from.
        retention: the age in seconds at which those of the DAG's other runs are, too; None: never.
    """

    project: str
    pipeline: str
    nodes: Sequence[str]
    run_id: str
    hooks: Sequence[str] = PIPELINE_HOOKS
    load_versions: Mapping[str, str] = field(default_factory=dict)
    runtime_params: Mapping[str, Any] = field(default_factory=dict)
    credentials: Mapping[str, Any] = field(default_factory=dict, repr=False)
    removes: Sequence[str] = ()
    retention: float | None = None
    code: Sequence[str] = ()

    def to_json(self) -> str:
        """Return it as one line of JSON. A parameter that JSON does not have becomes its text."""
        return json.dumps(vars(self), default=str)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Session":
        """Return the session that `to_json` wrote."""
        return cls(**json.loads(text))
