"""Where a catalog entry says that its data are. Tasks ask as well as the reading."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kedro_astro.project import relative

Entry = Mapping[str, Any]

TABLE = "table://"
"""How the location of a table begins, which has no address of its own."""


def entry_of(value: Any) -> Entry:
    """Return the entry of what is in a catalog: data are kept in memory."""
    from kedro.io import AbstractDataset, MemoryDataset

    if isinstance(value, AbstractDataset):
        return {**value._init_config(), "type": type(value)}
    return {"type": MemoryDataset}


def wrapped(entry: Any) -> Iterator[Entry]:
    """Yield an entry and those that it wraps, from outside in. Each may be no more than a type."""
    while isinstance(entry, Mapping):
        yield entry
        inner = entry.get("dataset")
        entry = inner if inner is None or isinstance(inner, Mapping) else {"type": inner}


def location(config: Entry, project: Path) -> str | None:
    """Return `filepath` or `path`, relative to the project if it is in it, or a table's name.

    Of an address there are scheme, host and path: no user, no password (with whatever in it), no
    query, fragment or parameters, which may all be secrets.
    """
    path, _ = placed(config)
    if "://" in path:
        scheme, _, rest = path.partition("://")
        before, _, after = rest.rpartition("@")
        host = after if ":" in before or "/" not in before else rest
        return f"{scheme}://{re.split('[?#;]', host)[0]}"
    table = config.get("table_name")
    return relative(Path(path), project) if path else table and f"{TABLE}{table}"


def placed(config: Entry) -> tuple[str, Entry]:
    """Return `filepath` or `path` as it is written, empty if there is none, and the part of the
    entry that says it."""
    for part in wrapped(config):
        path = part.get("filepath") or part.get("path")
        if isinstance(path, str | Path):
            return str(path), part
    return "", {}
