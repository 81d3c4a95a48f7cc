"""The nodes of one task, run in one Kedro session. Kedro is imported here, Airflow never."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

from kedro_astro.project import kedro_env, prepare_kedro


def run_nodes(
    project: Path,
    pipeline: str,
    nodes: Sequence[str],
    save_version: str,
    load_versions: Mapping[str, str],
) -> None:
    """Run some nodes of a registered pipeline.

    Args:
        project: the folder that holds `pyproject.toml`.
        pipeline: the name it is registered under.
        nodes: names of the nodes to run.
        save_version: Kedro version under which versioned datasets are saved.
        load_versions: versions to load, by dataset; others load their latest.

    Raises:
        Exception: whatever the project raises.
    """
    prepare_kedro()
    from kedro.framework.session import KedroServiceSession
    from kedro.framework.startup import bootstrap_project

    bootstrap_project(project)
    # Serving mode loads the registry as the project wrote it. Without it Kedro loads the folder
    # that is called like the pipeline, and a pipeline registered under another name is not found.
    session = KedroServiceSession.create(
        project_path=project, env=kedro_env(project), serving_mode=True
    )
    with session:
        session.run(
            run_id=save_version,
            pipeline_names=[pipeline],
            node_names=list(nodes),
            load_versions=dict(load_versions),
        )


def version_of_run(due: datetime, try_number: int = 1) -> str:
    """Return the Kedro version for a DAG run, in the form of Kedro's own timestamps (UTC, ms).

    A second try of a task must not save over what the first one left, so it gets a suffix that
    sorts behind the first try and before every later run.

    Args:
        due: when the run was due: the moment of a manual run, the end of a scheduled interval.
        try_number: 1 for the first try.
    """
    moment = due.astimezone(timezone.utc).strftime("%Y-%m-%dT%H.%M.%S.%f")[:-3] + "Z"
    return moment if try_number == 1 else f"{moment}-try{try_number:03}"
