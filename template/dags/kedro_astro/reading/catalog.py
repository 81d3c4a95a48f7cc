"""The entries of a project's catalog as Airflow has to know them.

Their classes are imported, and asked. No dataset is made, and no data is touched.
"""

import inspect
import re
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

from kedro_astro.reading.entry import Entry, location, wrapped
from kedro_astro.structure import Dataset, leaves

_signature = cache(inspect.signature)


def dataset_of(config: Entry, project: Path, given: bool = False) -> Dataset:
    """Return what is to be known of a dataset.

    Args:
        config: its entry, as Kedro resolves it; without credentials.
        project: paths below it are shown relative to it.
        given: whether a hook of the project makes it.
    """
    kind = config.get("type")
    # A `CachedDataset` saves what it is given through to what it wraps.
    kept = [kind for kind in classes(config) if getattr(kind, "__name__", "") != "CachedDataset"]
    return Dataset(
        type=f"{kind.__module__}.{kind.__qualname__}" if inspect.isclass(kind) else str(kind),
        persistent=bool(kept) and not _in_memory(kept[0]),
        location=location(config, project),
        versioned=bool(config.get("versioned")),
        problem="" if given else _problem(config),
        given=given,
    )


def classes(entry: Entry) -> list[Any]:
    """Return the class of an entry and those that it wraps, from outside in; a text says why there
    is none."""
    types = [part.get("type") for part in wrapped(entry)]
    return [k if inspect.isclass(k) else _class(k if isinstance(k, str) else "") for k in types]


@cache
def _class(kind: str) -> Any:
    """Return the class that Kedro makes datasets of a type of, or why there is none."""
    from kedro.io.core import parse_dataset_definition

    if not kind:
        return "its `type` is no text such as pandas.CSVDataset"
    try:
        return parse_dataset_definition({"type": kind})[0]
    except (Exception, SystemExit) as error:
        said, extra = re.split(r"\. |\n", str(error))[0], kind.replace(".", "-").lower()
    with suppress(PackageNotFoundError):
        extras = metadata("kedro-datasets").get_all("Provides-Extra") or ()
        if "No module" in said and extra in extras:
            said += f". Add this line to the requirements:\nkedro-datasets[{extra}]"
    return f"{kind}: {said}"


@cache
def _in_memory(kind: Any) -> bool:
    """Whether what a dataset of this class holds ends with the process: Kedro asks `_EPHEMERAL`,
    which most classes set when a dataset is made."""
    made = [vars(base).get("__init__") for base in getattr(kind, "__mro__", ())]
    codes = [getattr(inspect.unwrap(one), "__code__", None) for one in made if one]
    named = any("_EPHEMERAL" in code.co_names for code in codes if code)
    return named or getattr(kind, "_EPHEMERAL", False)


def _problem(config: Entry) -> str:
    """Return why Kedro could not make a dataset, and what to do; empty if it could."""
    kinds = classes(config)
    if reasons := [kind for kind in kinds if isinstance(kind, str)]:
        return reasons[0]
    taken = ("type", "versioned", "version", "validator")  # by Kedro itself
    given = {key: value for key, value in config.items() if key not in taken}
    try:
        _signature(kinds[0]).bind(**given, **({"version": 0} if config.get("versioned") else {}))
    except (TypeError, ValueError) as error:
        # A ValueError is of a class that does not say what it takes.
        return f"{config['type']}: {error}" if isinstance(error, TypeError) else ""
    return ""


def credentials_of(catalog: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return which credentials entries name, anywhere in them as Kedro looks, and the entries."""
    named: dict[str, tuple[str, ...]] = defaultdict(tuple)
    for keys, value in leaves(catalog):
        if keys[-1] == "credentials" and isinstance(value, str):
            named[value] += keys[:1]
    return dict(named)
