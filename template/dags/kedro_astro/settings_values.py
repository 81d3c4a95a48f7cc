"""What a setting of `airflow.yml` may be: each kind checks a value and makes Airflow's of it."""

from __future__ import annotations

import importlib
import math
import re
import reprlib
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from difflib import get_close_matches
from typing import Any

from kedro_astro.errors import KedroAstroError

DEPTH = 20
"""Deepest nesting of a value: a hostile file must not exhaust the stack."""

LARGEST = 2**31 - 1
"""The largest whole number that Airflow's database holds."""

GROUPINGS = ("memory", "node", "namespace", "tag", "pipeline")
PRESETS = (
    *("@once", "@continuous", "@hourly", "@daily", "@midnight"),
    *("@weekly", "@monthly", "@quarterly", "@yearly", "@annually"),
)
CRON = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 1, 12),
    ("day of the week", 0, 7),
    ("second", 0, 59),
)


class SettingsError(KedroAstroError):
    """Something in `airflow.yml` cannot be used; the message says what, where and the remedy."""


@dataclass(frozen=True)
class Callback:
    """A function of the user's, imported only when Airflow calls it.

    Args:
        path: `package.module.function`.
        source: the folder of the user's packages, for a process that has not loaded them.
    """

    path: str
    source: str | None = None

    def __str__(self) -> str:
        return self.path

    def __call__(self, context: Any) -> Any:
        """Call the function with Airflow's context.

        Raises:
            SettingsError: if there is no such module or function.
        """
        module, _, name = self.path.rpartition(".")
        if self.source and self.source not in sys.path:
            sys.path.insert(0, self.source)
        try:
            function = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise SettingsError(
                f"airflow.yml names the callback {self.path}, which cannot be imported: {error}. "
                "Correct the name there, or add the function to your project."
            ) from error
        return function(context)


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
    close = get_close_matches(name[:100], list(names), 1) if isinstance(name, str) else []
    return f"Did you mean {close[0]}?" if close else ""


def _true_or_false(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _number(value: Any, low: float, high: float) -> Any:
    if isinstance(value, bool):
        raise ValueError("YAML reads yes, no, on and off as true and false")
    # Not-a-number fails every comparison.
    if not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError
    return value


def _whole(low: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        if isinstance(value, float):
            raise ValueError
        return int(_number(value, low, LARGEST))

    return parse


def _backoff(value: Any) -> float | bool:
    """Before Airflow 3.3 there is only true and false; from then on true is a factor of 2."""
    return value if isinstance(value, bool) else float(_number(value, 0 if value == 0 else 1, 100))


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    if len(value) > 2000:
        raise ValueError("it has more than 2000 characters")
    return value


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list | tuple):
        raise ValueError
    return [_text(item) for item in value]


def _tags(value: Any) -> list[str]:
    if long := [tag for tag in _texts(value) if len(tag) > 100]:
        raise ValueError(f"{shown(long[0])} has more than 100 characters")
    return list(value)


def _addresses(value: Any) -> str | list[str]:
    return _text(value) if isinstance(value, str) else _texts(value)


def _id(value: Any) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,250}", _text(value)):
        raise ValueError(f"{shown(value)} is no id that Airflow takes")
    return str(value)


def _callback(value: Any) -> Callback:
    parts = _text(value).split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise ValueError
    return Callback(value)


def _date(value: Any) -> datetime:
    """Only forms that every supported Python reads alike: Kedro's and Airflow's may differ."""
    if isinstance(value, list | tuple):
        if not 3 <= len(value) <= 7:
            raise ValueError
        moment = datetime(*(_whole(0)(part) for part in value))  # type: ignore[arg-type]
    else:
        text = value.isoformat() if isinstance(value, date) else _text(value)
        if not _ISO.fullmatch(text):
            raise ValueError
        moment = datetime.fromisoformat(re.sub("[Zz]$", "+00:00", text))
    if not 1970 <= moment.year < 3000:
        raise ValueError("its year is not between 1970 and 2999")
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


_ISO = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{3}(\d{3})?)?)?([+-]\d\d:\d\d|[Zz])?)?", re.ASCII
)


def _duration(value: Any) -> timedelta:
    if isinstance(value, str):
        if not (match := re.fullmatch(r"(\d+(?:\.\d+)?) ?([smhd])", _text(value), re.ASCII)):
            raise ValueError
        value = float(match[1]) * {"s": 1 / 60, "m": 1, "h": 60, "d": 24 * 60}[match[2]]
    return timedelta(minutes=_number(value, 0, 365 * 24 * 60))


def _timeout(value: Any) -> timedelta:
    if not (duration := _duration(value)):
        raise ValueError
    return duration


def _schedule(value: Any) -> str | None:
    """What is checked here is what people get wrong; Airflow checks all of a cron expression."""
    text = _text(value).strip()
    if text == "None":  # kedro-airflow writes null so.
        return None
    if text.startswith("@"):
        if text not in PRESETS:
            raise ValueError(f"there is no such preset. {nearest(text, PRESETS)}".strip(". "))
        return text
    fields = text.split()
    if len(fields) not in (5, 6):
        raise ValueError(f"it has {len(fields)} fields")
    for field, (name, low, high) in zip(fields, CRON, strict=False):
        # Neither the step of `*/90` nor the number in `L5` or `1#2` is a value of the field.
        for number in re.findall(r"(?<![\w/#])[0-9]+", field):
            if not low <= int(number) <= high:
                raise ValueError(f"its {name} {number[:20]} is not between {low} and {high}")
    return text


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
    groups = tuple((name, tuple(_texts(nodes))) for name, nodes in pairs)
    if not all(nodes for _, nodes in groups):
        raise ValueError("a group has no nodes")
    node, times = Counter(node for _, nodes in groups for node in nodes).most_common(1)[0]
    if times > 1:
        raise ValueError(f"the node {shown(node)} is in it {times} times")
    return groups


def _names(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError
    if keys := [key for key in value if not isinstance(key, str)]:
        raise ValueError(f"its key {shown(keys[0])} is not text: put it in quotes")
    return dict(value)


def _mapping(value: Any) -> dict[str, Any]:
    return {name: _json(item, 1) for name, item in _names(value).items()}


def _json(value: Any, depth: int) -> Any:
    if depth > DEPTH:
        raise ValueError(f"it is nested more than {DEPTH} levels deep")
    if isinstance(value, Mapping):
        return {name: _json(item, depth + 1) for name, item in _names(value).items()}
    if isinstance(value, list | tuple):
        return [_json(item, depth + 1) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no number of JSON")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise ValueError("it has a number of more than 64 bits")
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise ValueError(f"{shown(value)} is no value of JSON")


TEXT = Kind("text", _text)
TEXTS = Kind("a list of texts", _texts)
FLAG = Kind("true or false", _true_or_false)
COUNT = Kind("a whole number, 0 or more", _whole(0))
POSITIVE = Kind("a whole number, 1 or more", _whole(1))
WHOLE = Kind("a whole number", _whole(-LARGEST))
DURATION = Kind('minutes, or text such as "30s", "5m", "1h" or "1d"; at most a year', _duration)
TIMEOUT = Kind(f"more than 0: {DURATION.allowed}", _timeout)
CALLBACK = Kind('a function\'s path such as "package.module.function"', _callback)
MAPPING = Kind("a mapping of names to values that JSON has", _mapping)
DATE = Kind(
    'a date such as 2024-01-31, "2024-01-31T06:00:00+02:00" or [2024, 1, 31], '
    "in UTC if it has no offset",
    _date,
)
SCHEDULE = Kind(
    f"a cron expression of 5 fields (a 6th is seconds), a preset ({', '.join(PRESETS)}) or null",
    _schedule,
)
GROUPING = Kind(
    f"{', '.join(GROUPINGS)}, a list of lists of node names, or a mapping of ids to such lists",
    _grouping,
)
SCOPED = Kind("a mapping of names to settings of a task", _names, merged=True)
ID = Kind("letters, digits, dashes, dots and underscores, at most 250", _id)
TAGS = Kind("a list of texts of at most 100 characters", _tags)
PARAMS = Kind(MAPPING.allowed, _mapping, merged=True)
ADDRESSES = Kind("an address or a list of addresses", _addresses)
BACKOFF = Kind("true, false, or a number from 1 to 100", _backoff)
