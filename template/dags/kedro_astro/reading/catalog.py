"""The entries of a project's catalog as Airflow has to know them. Nothing is instantiated."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kedro_astro.errors import ConfigurationError
from kedro_astro.project import relative
from kedro_astro.structure import Dataset

MEMORY_DATASETS = ("MemoryDataset", "SharedMemoryDataset")
"""Classes whose data ends with the process. Compared without their module: the catalog may write
`MemoryDataset`, `io.MemoryDataset` or `kedro.io.MemoryDataset`."""


def check_entries(catalog: Mapping[Any, Any]) -> None:
    """Raise what Kedro itself has no words for.

    Raises:
        ConfigurationError: for an entry whose name is no text, or that has no type, or that caches
            one which has none.
    """
    for name, entry in catalog.items():
        if not isinstance(name, str):
            what = f"has an entry {name!r}, which is no text: put it in quotes"
            raise ConfigurationError("catalog", what)
        for part in _saved_through(entry):
            if not isinstance(part.get("type"), str):
                what = f"has an entry {name} without a `type`, such as pandas.CSVDataset"
                raise ConfigurationError("catalog", what)


def dataset_of(config: Mapping[str, Any], project: Path) -> Dataset:
    """Return what is to be known of a dataset.

    Args:
        config: its entry, as Kedro resolves it; without credentials.
        project: paths below it are shown relative to it.
    """
    *_, last = _saved_through(config)
    return Dataset(
        type=str(config["type"]),
        persistent=_class(last) not in MEMORY_DATASETS,
        location=_location(config, project),
        versioned=bool(config.get("versioned")),
    )


def types_of(config: Mapping[str, Any]) -> set[str]:
    """Return the types in an entry: its own, and that of a dataset which it wraps."""
    return {str(part["type"]) for part in _wrapped(config) if part.get("type")}


def _wrapped(entry: Any) -> Iterator[Mapping[str, Any]]:
    """Yield an entry and those that it wraps, from outside in. Each may be no more than a type."""
    while isinstance(entry, Mapping):
        yield entry
        inner = entry.get("dataset")
        entry = inner if inner is None or isinstance(inner, Mapping) else {"type": inner}


def _saved_through(entry: Any) -> Iterator[Mapping[str, Any]]:
    """Yield an entry and those that get what it is given: a `CachedDataset` saves through."""
    for part in _wrapped(entry):
        yield part
        if _class(part) != "CachedDataset":
            return


def _class(entry: Mapping[str, Any]) -> str:
    return str(entry.get("type")).rpartition(".")[2]


def _location(config: Mapping[str, Any], project: Path) -> str | None:
    """Return `filepath` or `path` without credentials, relative to the project if it is in it."""
    for part in _wrapped(config):
        path = part.get("filepath") or part.get("path")
        if isinstance(path, str) and "://" in path:
            return re.sub(r"://[^/@]*@", "://", path.partition("?")[0])
        if isinstance(path, str):
            return relative(Path(path), project)
    return None
