"""Kedro's parameters as a trigger form has them: JSON values by dotted name. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from kedro_astro.settings.values import json_value
from kedro_astro.structure import RUN_PARAMETER

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
    for keys, value in _deepest(parameters):
        name = ".".join(map(str, keys))
        if reason := _why_not(keys, value):
            left_out[name] = reason
        elif name != RUN_PARAMETER:
            held[name] = value
    return held, left_out


def _deepest(
    said: Mapping[Any, Any], above: tuple[Any, ...] = ()
) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield the keys to each value that is no mapping, or an empty one, and the value."""
    for key, value in said.items():
        if isinstance(value, Mapping) and value:
            yield from _deepest(value, (*above, key))
        else:
            yield (*above, key), value


def _why_not(keys: tuple[Any, ...], value: Any) -> str:
    for key in keys:
        if not isinstance(key, str):
            return f"its key {key!r} is not text: put it in quotes"
        if "." in key:
            return f"its key {key!r} has a dot: nest it instead"
    try:
        same = json_value(value)
    except ValueError as error:
        return str(error)
    if same != value:
        return "JSON has no dates: write it as text, in quotes"
    return (
        f"it has more than {MAX_LENGTH:,} characters" if len(json.dumps(value)) > MAX_LENGTH else ""
    )


def leaves(parameters: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield each nested parameter's dotted name and value."""
    return ((".".join(keys), value) for keys, value in _deepest(parameters))


def nested(dotted: Mapping[str, Any]) -> dict[str, Any]:
    """Return `{"a.b": 1}` as `{"a": {"b": 1}}`, the form of Kedro's runtime parameters.

    Raises:
        ValueError: if a name lies below another that has a value of its own.
    """
    found: dict[str, Any] = {}
    # Outer names first: the parts of a mapping go into it, whichever was named first.
    for name, value in sorted(dotted.items(), key=lambda item: item[0].count(".")):
        *parents, last = name.split(".")
        place = found
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise ValueError(
                    f"This run sets the parameter {name} and also {parent}, which it is a part of. "
                    "Start it again with one of the two."
                )
        place[last] = dict(value) if isinstance(value, dict) else value
    return found
