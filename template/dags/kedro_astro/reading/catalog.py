"""The entries of a project's catalog as Airflow has to know them.

Their classes are imported, and asked. No dataset is made, and no data is touched.
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

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
    return Dataset(
        type=str(config.get("type")),
        persistent=not _in_memory(class_of(last)),
        location=_location(config, project),
        versioned=bool(config.get("versioned")),
        problem=_problem(config),
    )


def class_of(entry: Entry) -> type | None:
    """Return the class that Kedro would make a dataset of; None if there is none."""
    from kedro.io.core import parse_dataset_definition

    with suppress(Exception, SystemExit):
        return parse_dataset_definition(dict(entry))[0]
    return None


def _in_memory(kind: type | None) -> bool:
    """Whether what a dataset of this class holds ends with the process: Kedro asks `_EPHEMERAL`,
    which most classes set when a dataset is made."""
    made = [vars(base).get("__init__") for base in getattr(kind, "__mro__", ())]
    codes = [getattr(inspect.unwrap(one), "__code__", None) for one in made if one]
    named = any("_EPHEMERAL" in code.co_names for code in codes if code)
    return named or getattr(kind, "_EPHEMERAL", False)


def _problem(config: Entry) -> str:
    """Return why Kedro could not make a dataset, and what to do; empty if it could."""
    from kedro.io.core import parse_dataset_definition

    kind = ""
    try:
        for part in wrapped(config):
            kind = str(part["type"])
            parse_dataset_definition(dict(part))
        made, arguments = parse_dataset_definition(dict(config))
        inspect.signature(made).bind(**arguments)
    except KeyError:
        return "it has no `type`, such as pandas.CSVDataset"
    except (Exception, SystemExit) as error:
        said, extra = re.split(r"\. |\n", str(error))[0], kind.replace(".", "-").lower()
        with suppress(PackageNotFoundError):
            extras = metadata("kedro-datasets").get_all("Provides-Extra") or ()
            if "No module" in said and extra in extras:
                said += f". Add this line to the requirements:\nkedro-datasets[{extra}]"
        return f"{kind}: {said}"
    return ""


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
