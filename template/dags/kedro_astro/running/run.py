"""The nodes of one task, run in one Kedro session. Kedro is imported here, Airflow never."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from kedro_astro.errors import of_permission
from kedro_astro.planning.grouping import airflow_id
from kedro_astro.project import kedro_env, prepare_kedro
from kedro_astro.structure import PIPELINE_HOOKS


@dataclass(frozen=True)
class Session:
    """What one Kedro session runs; JSON can hold all of it.

    Attributes:
        project: the folder that holds `pyproject.toml`.
        pipeline: the registered pipeline that the nodes are of.
        load: a pipeline that Kedro can load by itself and that has the nodes; empty if the registry
            has to be loaded as it is written.
        nodes: names of the nodes to run; if there are none, the hooks are fired for the whole
            pipeline and nothing is run.
        run_id: the version that versioned datasets are saved under.
        hooks: those of `PIPELINE_HOOKS` that are fired.
        load_versions: by dataset, if not the latest.
        runtime_params: nested, as Kedro takes them.
    """

    project: str
    pipeline: str
    load: str
    nodes: tuple[str, ...]
    run_id: str
    hooks: tuple[str, ...] = PIPELINE_HOOKS
    load_versions: Mapping[str, str] = field(default_factory=dict)
    runtime_params: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Session:
        """Return the session that was written as JSON, which has lists for tuples."""
        lists = {name: tuple(data[name]) for name in ("nodes", "hooks") if name in data}
        return cls(**{**data, **lists})


def run(session: Session, mask: Callable[[str], None] = lambda secret: None) -> None:
    """Run some nodes of a registered pipeline in this process.

    Args:
        session: what to run.
        mask: is called with each of the project's credentials before anything uses them.

    Raises:
        Exception: whatever the project raises. If it is about a file's permissions, the log says
            what to do.
    """
    try:
        _run(session, mask)
    except Exception as error:
        if advice := of_permission(error, os.getuid()):
            logging.getLogger(__name__).error(advice)
        raise


def _run(wanted: Session, mask: Callable[[str], None]) -> None:
    prepare_kedro()
    from kedro.framework.project import pipelines
    from kedro.framework.session import KedroServiceSession
    from kedro.framework.startup import bootstrap_project
    from kedro.runner import SequentialRunner

    class NoRunner(SequentialRunner):
        def run(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
            return {}

    project = Path(wanted.project)
    bootstrap_project(project)
    # By itself a session has Kedro import the folder that is called like the pipeline and nothing
    # else. Where that is not the pipeline that the registry makes, one that has the same nodes
    # takes its name, or the registry is loaded as it is written. Kedro's serving mode keeps a
    # session from asking, too, but it also gives the config loader an argument that a project's own
    # class need not know.
    if wanted.load != wanted.pipeline:
        if wanted.load:
            _ask_for(pipelines, wanted.load)
            pipelines[wanted.pipeline] = pipelines[wanted.load]
        pipelines.set_requested = lambda pipeline_names: None  # type: ignore[method-assign]
    session = KedroServiceSession.create(project_path=project, env=kedro_env(project))
    # Kedro has no public way to the hooks of a session.
    manager = session._hook_manager
    manager.register(_telling_credentials(mask))
    for name in PIPELINE_HOOKS:
        if name not in wanted.hooks:
            nobody = manager.subset_hook_caller(name, manager.get_plugins())
            setattr(manager.hook, name, nobody)
    with session:
        session.run(
            pipeline_names=[wanted.pipeline],
            node_names=list(wanted.nodes) or None,
            runner=SequentialRunner() if wanted.nodes else NoRunner(),
            run_id=wanted.run_id,
            load_versions=dict(wanted.load_versions),
            runtime_params=dict(wanted.runtime_params),
        )


def _ask_for(pipelines: Any, name: str) -> None:
    """Have Kedro import one pipeline's folder at the next look. Before 1.5 it imports all."""
    if request := getattr(pipelines, "set_requested", None):
        request([name])


def _telling_credentials(mask: Callable[[str], None]) -> object:
    """Return a Kedro hook that shows each secret of the project to `mask`."""
    from kedro.config import MissingConfigException
    from kedro.framework.hooks import hook_impl

    class Credentials:
        @hook_impl
        def after_context_created(self, context: Any) -> None:
            with suppress(MissingConfigException):
                for secret in _texts(context.config_loader["credentials"]):
                    mask(secret)

    return Credentials()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)


def version_of_run(due: datetime, pipeline: str = "__default__", try_number: int = 1) -> str:
    """Return the Kedro version for a DAG run, in the form of Kedro's own timestamps (UTC, ms).

    Two pipelines that save the same dataset may be due at the same moment, so the pipeline's name
    follows, but for the whole project's. A second try of a task must not save over what the first
    one left, so it gets a suffix that sorts behind the first try and before every later run.

    Args:
        due: when the run was due: the moment of a manual run, the end of a scheduled interval.
        pipeline: the registered name.
        try_number: 1 for the first try.
    """
    moment = due.astimezone(timezone.utc).strftime("%Y-%m-%dT%H.%M.%S.%f")[:-3] + "Z"
    label = "" if pipeline == "__default__" else f"-{airflow_id(pipeline)}"
    return moment + label + ("" if try_number == 1 else f"-try{try_number:03}")


def folder_of_run(due: datetime, dag_id: str, run_id: str) -> str:
    """Return the name of a folder that no other DAG run has and all tasks of this one know.

    Args:
        due: when the run was due, so that the folders sort by it.
        dag_id, run_id: what makes the run unique in Airflow.
    """
    digest = hashlib.sha256(f"{dag_id}\n{run_id}".encode()).hexdigest()[:8]
    return f"{version_of_run(due)}-{digest}"
