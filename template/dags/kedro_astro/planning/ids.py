"""Ids that Airflow takes, and the names of what a DAG run saves. Pure functions."""

import hashlib
import re
from datetime import datetime, timezone

MAX_ID = 120
"""Longest id made here; Airflow allows 250, but a screen shows less."""


def airflow_id(name: str) -> str:
    """Return `name` if Airflow takes it as an id, else a readable stand-in with a hash.

    The hash is of the whole name, so two names never share a stand-in.
    """
    slug = re.sub(r"[^A-Za-z0-9_.-]+", "_", name)
    return name if slug == name and len(name) <= MAX_ID else hashed(slug, name)


def hashed(readable: str, *names: str) -> str:
    """Return an id of `readable` and a hash of the names: no two lists of names share one."""
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:8]
    return "-".join(filter(None, (readable[: MAX_ID - 9].strip("_.-"), digest)))


def version_of_run(
    due: datetime, dag_id: str, run_id: str, started: datetime, try_number: int = 1
) -> str:
    """Return the Kedro version for a DAG run: a Kedro timestamp (UTC, ms), and what no other has.

    Versions sort by when a run was due, then by when it started, so "latest" is right. A second try
    of a task must not save over what the first one left, so it gets a suffix that sorts behind it
    and before later runs.

    Args:
        due: when the run was due: the moment of a manual run, the end of a scheduled interval.
        dag_id, run_id: what makes the run unique in Airflow.
        started: when it started, which is later when it was cleared, or deleted and made again.
        try_number: 1 for the first try.
    """
    version = hashed(f"{_moment(due)}-{int(started.timestamp() * 1_000_000):014x}", dag_id, run_id)
    return version if try_number == 1 else f"{version}-try{try_number:03}"


def folder_of_run(due: datetime, dag_id: str, run_id: str) -> str:
    """Return the name of a folder that no other DAG run has and all tasks of this one know.

    The first hash is of the DAG, so that those of its other runs are known.

    Args:
        due: when the run was due, so that the folders sort by it.
        dag_id, run_id: what makes the run unique in Airflow.
    """
    return hashed(hashed(_moment(due), dag_id), dag_id, run_id)


def of_same_dag(folder: str) -> str:
    """Return the pattern of the folders of all runs that a DAG has, by that of one of them."""
    return rf"[\d-]{{10}}T[\d.]{{12}}Z-{folder.split('-')[-2]}-[0-9a-f]{{8}}"


def _moment(due: datetime) -> str:
    return due.astimezone(timezone.utc).strftime("%Y-%m-%dT%H.%M.%S.%f")[:-3] + "Z"
