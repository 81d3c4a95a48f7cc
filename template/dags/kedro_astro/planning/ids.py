"""Ids that Airflow takes, and the names of what a DAG run saves. Pure functions."""

from __future__ import annotations

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
    return hashed(version_of_run(due), dag_id, run_id)
