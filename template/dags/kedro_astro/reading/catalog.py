"""The entries of a project's catalog as Airflow has to know them.

Their classes are imported, and asked. No dataset is made, and no data is touched.
"""

import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

from kedro_astro.errors import nearest
from kedro_astro.project import relative
from kedro_astro.structure import Dataset

Entry = Mapping[str, Any]


def dataset_of(config: Entry, project: Path) -> Dataset:
    """Return what is to be known of a dataset.

    Args:
        config: its entry, as Kedro resolves it; without credentials.
        project: paths below it are shown relative to it.
    """
    *_, last = _saved_through(config)
    kind = class_of(last)
    return Dataset(
        type=str(config.get("type")),
        persistent=not (isinstance(kind, type) and _in_memory(kind)),
        location=_location(config, project),
        versioned=bool(config.get("versioned")),
        problem=_problem(config),
    )


def class_of(entry: Entry) -> type | Exception:
    """Return the class that Kedro would make a dataset of, or why it finds none."""
    from kedro.io.core import parse_dataset_definition

    try:
        return parse_dataset_definition(dict(entry))[0]
    except Exception as error:
        return error


def _in_memory(kind: type) -> bool:
    """Whether what a dataset of this class holds ends with the process: Kedro asks `_EPHEMERAL`,
    which most classes set when a dataset is made."""
    made = [inspect.unwrap(of["__init__"]) for of in map(vars, kind.__mro__) if "__init__" in of]
    names = {name for one in made if inspect.isfunction(one) for name in one.__code__.co_names}
    return "_EPHEMERAL" in names or getattr(kind, "_EPHEMERAL", False)


def _problem(config: Entry) -> str:
    """Return why Kedro could not make a dataset, and what to do; empty if it could."""
    for part in wrapped(config):
        if not isinstance(part.get("type"), str):
            return "it has no `type`, such as pandas.CSVDataset."
        if isinstance(found := class_of(part), Exception):
            said = re.split(r"\. |\n", str(found))[0].rstrip(".")
            return f"{said}. {_remedy(part['type'], said)}".strip()
    from kedro.io.core import parse_dataset_definition

    kind, arguments = parse_dataset_definition(dict(config))
    try:
        inspect.signature(kind).bind(**arguments)
    except TypeError as error:
        return f"{config['type']} does not take what the catalog says: {error}."
    return ""


def _remedy(kind: str, said: str) -> str:
    module, _, name = kind.rpartition(".")
    with suppress(ImportError):
        if "No module named" not in said:
            return nearest(name, dir(importlib.import_module(f"kedro_datasets.{module}")))
        extra = kind.replace(".", "-").lower()
        if extra in metadata("kedro-datasets").get_all("Provides-Extra", ()):
            return f"Add this line to the requirements, and install them:\nkedro-datasets[{extra}]"
    return "Is the type right, and the library that has it in the requirements, and installed?"


def wrapped(entry: Any) -> Iterator[Entry]:
    """Yield an entry and those that it wraps, from outside in. Each may be no more than a type."""
    while isinstance(entry, Mapping):
        yield entry
        inner = entry.get("dataset")
        entry = inner if inner is None or isinstance(inner, Mapping) else {"type": inner}


def _saved_through(entry: Entry) -> Iterator[Entry]:
    """Yield an entry and those that get what it is given: a `CachedDataset` saves through."""
    for part in wrapped(entry):
        yield part
        if getattr(class_of(part), "__name__", "") != "CachedDataset":
            return


def _location(config: Entry, project: Path) -> str | None:
    """Return `filepath` or `path`, relative to the project if it is in it.

    Of an address there are scheme, host and path: no user, no password (with whatever in it), no
    query, fragment or parameters, which may all be secrets.
    """
    for part in wrapped(config):
        path = part.get("filepath") or part.get("path")
        if isinstance(path, str) and "://" in path:
            scheme, _, rest = path.partition("://")
            before, _, after = rest.rpartition("@")
            host = after if ":" in before or "/" not in before else rest
            return f"{scheme}://{re.split('[?#;]', host)[0]}"
        if isinstance(path, str):
            return relative(Path(path), project)
    return None
