"""What YAML may hold, as the JSON that a structure keeps. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from kedro_astro.structure import RUN_PARAMETER, leaves

MAX_LENGTH = 10_000
"""Characters of JSON up to which a parameter can be set in a trigger form."""


def for_form(parameters: Mapping[Any, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the parameters that a form can hold, and why it cannot hold the others.

    Both are by dotted name. What is left out is still there for the nodes, as Kedro reads it.

    Args:
        parameters: nested, whatever YAML may hold.
    """
    held: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    for keys, value in leaves(parameters):
        name = ".".join(map(str, keys))
        if reason := _why_not(keys, value):
            left_out[name] = reason
        elif name != RUN_PARAMETER:
            held[name] = value
    return held, left_out


def _why_not(keys: tuple[Any, ...], value: Any) -> str:
    for key in keys:
        if not isinstance(key, str):
            return f"its key {key!r} is not text: put it in quotes"
        if "." in key:
            return f"its key {key!r} has a dot: nest it instead"
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        return f"JSON cannot hold it ({error})"
    if len(text) > MAX_LENGTH:
        return f"it has more than {MAX_LENGTH:,} characters"
    # A form is JavaScript: it rounds longer numbers.
    if json.loads(text, parse_int=lambda digits: len(digits) < 17 and int(digits)) != value:
        return "it has a key that is not text (put it in quotes) or a number of 17 digits or more"
    return ""


def plain(value: Any) -> Any:
    """Return a value as JSON has it: dates as ISO texts, sets as lists, else what shows its type.

    Raises:
        TypeError: if a key is neither text nor number.
        RecursionError: if it is nested too deep.
    """
    return json.loads(json.dumps(value, default=_other))


def _other(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    # Not its text, which may hold an address of this process.
    return sorted(value, key=repr) if isinstance(value, set) else f"<{type(value).__name__}>"
