"""The entries of a project's catalog as Airflow has to know them. Nothing is instantiated."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro_astro.errors import ConfigurationError
from kedro_astro.project import relative
from kedro_astro.structure import Dataset

if TYPE_CHECKING:
    from kedro.io import CatalogConfigResolver

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
            raise ConfigurationError(
                "catalog", f"has an entry {name!r}, which is no text: put it in quotes"
            )
        where = f"an entry {name}"
        while isinstance(entry, Mapping):
            if not isinstance(kind := entry.get("type"), str):
                raise ConfigurationError(
                    "catalog", f"has {where} without a `type`, such as pandas.CSVDataset"
                )
            where, entry = f"{where} with a `dataset`", _cached(kind, entry)  # noqa: PLW2901


def without_credentials(value: Any) -> Any:
    """Drop every `credentials` key: one that is not defined here must not stop the reading."""
    if isinstance(value, Mapping):
        return {k: without_credentials(v) for k, v in value.items() if k != "credentials"}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [without_credentials(item) for item in value]
    return value


def dataset_of(name: str, resolver: CatalogConfigResolver, project: Path) -> Dataset:
    """Return the entry that Kedro would take for a dataset's name.

    Args:
        name: as nodes write it.
        resolver: of the catalog, without credentials.
        project: paths below it are shown relative to it.
    """
    config = resolver.resolve_pattern(name)
    kind = str(config["type"])
    return Dataset(
        type=kind,
        persistent=not _in_memory(config),
        location=_location(config, project),
        versioned=bool(config.get("versioned")),
    )


def types_of(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield the types in an entry: its own, and that of a dataset which it wraps."""
    kind, inner = config.get("type"), config.get("dataset")
    if isinstance(kind, str) and kind:
        yield kind
    if inner is not None:
        yield from types_of(inner if isinstance(inner, Mapping) else {"type": inner})


def _in_memory(config: Mapping[str, Any]) -> bool:
    """Whether the data ends with the process. A `CachedDataset` saves through to what it wraps."""
    kind = str(config["type"])
    if inner := _cached(kind, config):
        return _in_memory(inner)
    return kind.rpartition(".")[2] in MEMORY_DATASETS


def _cached(kind: str, entry: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the entry that a `CachedDataset` wraps, which may be no more than a type."""
    inner = entry.get("dataset")
    if kind.rpartition(".")[2] != "CachedDataset" or inner is None:
        return None
    return inner if isinstance(inner, Mapping) else {"type": inner}


def _location(config: Mapping[str, Any], project: Path) -> str | None:
    """Return `filepath` or `path` without credentials, relative to the project if it is in it."""
    path = config.get("filepath") or config.get("path")
    if not isinstance(path, str):
        inner = config.get("dataset")
        return _location(inner, project) if isinstance(inner, Mapping) else None
    if "://" in path:
        return re.sub(r"://[^/@]*@", "://", path.partition("?")[0])
    return relative(Path(path), project)
