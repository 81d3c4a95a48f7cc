"""The nodes of one task, run in one Kedro session. Kedro is imported here, Airflow never."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from kedro_astro.plan import airflow_id
from kedro_astro.project import kedro_env, prepare_kedro
from kedro_astro.structure import Pipeline


def run_nodes(
    project: Path,
    pipeline: Pipeline,
    nodes: Sequence[str],
    save_version: str,
    load_versions: Mapping[str, str],
    runtime_params: Mapping[str, Any],
) -> None:
    """Run some nodes of a registered pipeline.

    Args:
        project: the folder that holds `pyproject.toml`.
        pipeline: the one they are of.
        nodes: names of the nodes to run.
        save_version: Kedro version under which versioned datasets are saved.
        load_versions: versions to load, by dataset; others load their latest.
        runtime_params: Kedro runtime parameters, nested.

    Raises:
        Exception: whatever the project raises.
    """
    prepare_kedro()
    from kedro.framework.project import pipelines
    from kedro.framework.session import KedroServiceSession
    from kedro.framework.startup import bootstrap_project

    bootstrap_project(project)
    # A session has Kedro import the folder that is called like the pipeline and nothing else. Where
    # that is not the pipeline that the registry makes, it may not ask for that, and the registry is
    # loaded as it is written. Kedro's serving mode does the same from 1.6 on, but it also gives the
    # config loader an argument that a project's own class need not know.
    if not pipeline.alone:
        pipelines.set_requested = lambda pipeline_names: None  # type: ignore[method-assign]
    session = KedroServiceSession.create(project_path=project, env=kedro_env(project))
    with session:
        session.run(
            run_id=save_version,
            pipeline_names=[pipeline.name],
            node_names=list(nodes),
            load_versions=dict(load_versions),
            runtime_params=dict(runtime_params),
        )


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


def nested(dotted: Mapping[str, Any]) -> dict[str, Any]:
    """Return `{"a.b": 1}` as `{"a": {"b": 1}}`, the form of Kedro's runtime parameters.

    Raises:
        ValueError: if a name lies below another that has a value of its own.
    """
    found: dict[str, Any] = {}
    # Outer names first: the parts of a mapping go into it, whichever was named first.
    for name, value in sorted(dotted.items(), key=lambda item: item[0].count(".")):
        *parents, last = name.split(".")
        place = found
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise ValueError(
                    f"This run sets the parameter {name} and also {parent}, which it is a part of. "
                    "Start it again with one of the two."
                )
        place[last] = dict(value) if isinstance(value, dict) else value
    return found
