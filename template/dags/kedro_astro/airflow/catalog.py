"""For DAGs of your own, such as those that bring data: what the Kedro catalog says of a dataset."""

import os
from pathlib import Path
from typing import Any

from kedro_astro.airflow import sdk
from kedro_astro.airflow.manifest import patience, read
from kedro_astro.errors import NoDatasetError, NoPlaceError, choice, label
from kedro_astro.project import PROJECT, find_project
from kedro_astro.reading.entry import TABLE
from kedro_astro.structure import RUN_FOLDER, asset_uri, untranscoded


def asset(name: str) -> sdk.Asset:
    """Return the asset of a dataset: as a task's outlet it starts the DAGs that wait for it.

    Raises:
        NoDatasetError: if no pipeline has such a dataset.
        ManifestError, InterpreterError: as each DAG file of the project does.
    """
    structure, name, _ = _known(name)
    return sdk.Asset(uri=asset_uri(structure["package_name"], name))


def location(name: str) -> str:
    """Return where a dataset is: an absolute path, a URL, or the name of a table.

    Of a versioned dataset it is the path that its versions are below.

    Raises:
        NoDatasetError, ManifestError, InterpreterError: as `asset` does.
        NoPlaceError: if it is in memory, of one run alone, or of a type that has no such place.
    """
    _, _, place = _known(name)
    if not place or RUN_FOLDER in place:
        raise NoPlaceError(name=label(name))
    return place.removeprefix(TABLE) if "://" in place else str(_project() / place)


def _known(name: str) -> tuple[dict[str, Any], str, str]:
    """Return the project's structure as JSON, a dataset's name in it, and where that is."""
    structure = read(_project(), patience).data()
    by_name = {untranscoded(n): d["location"] or "" for n, d in structure["datasets"].items()}
    if untranscoded(name) not in by_name:
        raise NoDatasetError(name=label(name), meant=choice(name, by_name))
    return structure, untranscoded(name), by_name[untranscoded(name)]


def _project() -> Path:
    return find_project(Path.cwd()) or Path(os.environ.get(PROJECT, "")).absolute()
