"""What a setting of `airflow.yml` may be: each kind checks a value and makes Airflow's of it."""

from __future__ import annotations

import math
import re
import reprlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from kedro_astro.airflow.callback import Callback

DEPTH = 20
"""Deepest nesting of a value: a hostile file must not exhaust the stack."""

LARGEST = 2**31 - 1
"""The largest whole number that Airflow's database holds."""

GROUPINGS = ("memory", "node", "namespace", "tag", "pipeline")


@dataclass(frozen=True)
class Kind:
    """What a setting may be.

    Attributes:
        allowed: completes "it must be ...", with the unit and an example where that helps.
        parse: makes Airflow's or the shim's value of what `airflow.yml` says, which is never None
            here. Raises ValueError, with a reason where `allowed` does not say it all.
        merged: a pipeline's section adds to the default's names instead of replacing them all.
    """

    allowed: str
    parse: Callable[[Any], Any]
    merged: bool = False


def shown(value: object) -> str:
    """Return a value as a message shows it: short and on one line, whatever it is."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, date | timedelta | Callback):
        return str(value)
    try:
        return _REPR.repr(value)
    except ValueError:  # Python refuses to write an integer of more than 4300 digits.
        return "a very large number"


_REPR = reprlib.Repr()
_REPR.maxlevel = 3
_REPR.maxstring = _REPR.maxother = 70


def nearest(name: object, names: Iterable[str]) -> str:
    """Return "Did you mean x?" with the one of `names` most like `name`, or an empty text."""
    # Not at the top: a parse of a project that is well has no need of it.
    from difflib import get_close_matches

    close = get_close_matches(name[:100], list(names), 1) if isinstance(name, str) else []
    return f"Did you mean {close[0]}?" if close else ""


def _true_or_false(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def number(value: Any, low: float, high: float) -> Any:
    if isinstance(value, bool):
        raise ValueError("YAML reads yes, no, on and off as true and false")
    # Not-a-number fails every comparison.
    if not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError
    return value


def whole(low: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        if isinstance(value, float):
            raise ValueError
        return int(number(value, low, LARGEST))

    return parse


def _backoff(value: Any) -> float | bool:
    """Before Airflow 3.2 there is only true and false; from then on true is a factor of 2."""
    return value if isinstance(value, bool) else float(number(value, 0 if value == 0 else 1, 100))


def text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    if len(value) > 2000:
        raise ValueError("it has more than 2000 characters")
    return value


def texts(value: Any) -> list[str]:
    if not isinstance(value, list | tuple):
        raise ValueError
    return [text(item) for item in value]


def _tags(value: Any) -> list[str]:
    if long := [tag for tag in texts(value) if len(tag) > 100]:
        raise ValueError(f"{shown(long[0])} has more than 100 characters")
    return list(value)


def _addresses(value: Any) -> str | list[str]:
    return text(value) if isinstance(value, str) else texts(value)


def _id(value: Any) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,250}", text(value)):
        raise ValueError(f"{shown(value)} is no id that Airflow takes")
    return str(value)


def dotted_path(value: Any) -> str:
    parts = text(value).split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise ValueError(f"{shown(value)} is no path such as package.module.name")
    return str(value)


def _pipeline_hooks(value: Any) -> str:
    if value not in ("task", "run"):
        raise ValueError
    return str(value)


def _grouping(value: Any) -> str | tuple[tuple[str | None, tuple[str, ...]], ...]:
    """Groups that are written by hand become pairs of a name, or None, and the nodes."""
    if isinstance(value, str):
        if value not in GROUPINGS:
            raise ValueError(f"there is no such grouping. {nearest(value, GROUPINGS)}".strip(". "))
        return value
    if not isinstance(value, list | tuple | Mapping) or not value:
        raise ValueError
    if isinstance(value, Mapping):
        pairs: list[tuple[str | None, Any]] = [(_id(name), nodes) for name, nodes in value.items()]
    else:
        pairs = [(None, nodes) for nodes in value]
    groups = tuple((name, tuple(texts(nodes))) for name, nodes in pairs)
    if not all(nodes for _, nodes in groups):
        raise ValueError("a group has no nodes")
    node, times = Counter(node for _, nodes in groups for node in nodes).most_common(1)[0]
    if times > 1:
        raise ValueError(f"the node {shown(node)} is in it {times} times")
    return groups


def names(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError
    if keys := [key for key in value if not isinstance(key, str)]:
        raise ValueError(f"its key {shown(keys[0])} is not text: put it in quotes")
    return dict(value)


def _mapping(value: Any) -> dict[str, Any]:
    return {name: json_value(item, 1) for name, item in names(value).items()}


def json_value(value: Any, depth: int = 0) -> Any:
    """Return a value as JSON has it; a date becomes its text.

    Raises:
        ValueError: if JSON has nothing for it, or it is nested too deep.
    """
    if depth > DEPTH:
        raise ValueError(f"it is nested more than {DEPTH} levels deep")
    if isinstance(value, Mapping):
        return {name: json_value(item, depth + 1) for name, item in names(value).items()}
    if isinstance(value, list | tuple):
        return [json_value(item, depth + 1) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no number of JSON")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise ValueError("it has a number of more than 64 bits")
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise ValueError(f"{shown(value)} is no value of JSON")


TEXT = Kind("text", text)
TEXTS = Kind("a list of texts", texts)
FLAG = Kind("true or false", _true_or_false)
COUNT = Kind("a whole number, 0 or more", whole(0))
POSITIVE = Kind("a whole number, 1 or more", whole(1))
WHOLE = Kind("a whole number", whole(-LARGEST))
CALLBACK = Kind(
    'a function\'s path such as "package.module.function"',
    lambda value: Callback(dotted_path(value)),
)
PIPELINE_HOOKS = Kind("task or run", _pipeline_hooks)
MAPPING = Kind("a mapping of names to values that JSON has", _mapping)
GROUPING = Kind(
    f"{', '.join(GROUPINGS)}, a list of lists of node names, or a mapping of ids to such lists",
    _grouping,
)
SCOPED = Kind("a mapping of names to settings of a task", names, merged=True)
ID = Kind("letters, digits, dashes, dots and underscores, at most 250", _id)
TAGS = Kind("a list of texts of at most 100 characters", _tags)
PARAMS = Kind(MAPPING.allowed, _mapping, merged=True)
ADDRESSES = Kind("an address or a list of addresses", _addresses)
BACKOFF = Kind("true, false, or a number from 1 to 100", _backoff)
