"""What is wrong with the project, raised for Airflow's UI. What was well is not looked at again."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

import airflow

from kedro_astro.airflow.manifest import COMPILED, NAME
from kedro_astro.project import WELL, cache_folder, kedro_env


def raise_problems(project: Path) -> None:
    """Raise what is wrong with the project, for `dags/kedro_problems.py` to show in Airflow's UI.

    It is a file of its own because Airflow drops all DAGs of a file that raises. What Airflow
    refuses is known when all DAGs are built, which `dags/kedro_dags.py` does as well. So it is
    noted when a manifest is well, and as long as it is the same only the note is read: it is
    `dags/kedro_dags.py` that has a changed project read.

    Raises:
        KedroAstroError: as `dags.raise_problems` does.
    """
    folder = cache_folder(project)
    state = _state(project, folder)
    with suppress(OSError, ValueError):
        if json.loads((folder / WELL).read_bytes()) == state:
            return
    # Not at the top: what was well has no need of it.
    from kedro_astro.airflow import dags

    dags.raise_problems(project)
    # What was read meanwhile is to be looked at as well.
    if state == _state(project, folder):
        with suppress(OSError):
            (folder / WELL).write_text(json.dumps(state), encoding="utf-8")


def _state(project: Path, folder: Path) -> list[object]:
    """Return what decides whether the project is well: its manifest, and what is installed."""
    manifest = os.environ.get(COMPILED) or f"{folder}/{NAME}"
    installed = os.path.dirname(os.path.dirname(airflow.__file__))
    return [kedro_env(project), manifest, _time(manifest), _time(installed)]


def _time(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except FileNotFoundError:
        return 0
