"""What YAML may hold, as the JSON that a structure keeps. Pure functions."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from kedro_astro.structure import RUN_PARAMETER, leaves

MAX_LENGTH = 10_000
"""Characters of JSON up to which a parameter can be set in a trigger form."""

DEPTH = 20
"""Deepest nesting that is kept: a hostile file must not exhaust the stack."""


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
        reason = next(_why_no_key(keys), "") or next(_why_no_json(value), "")
        if not reason and len(json.dumps(value)) > MAX_LENGTH:
            reason = f"it has more than {MAX_LENGTH:,} characters"
        if reason:
            left_out[name] = reason
        elif name != RUN_PARAMETER:
            held[name] = value
    return held, left_out


def plain(value: Any, depth: int = 0) -> Any:
    """Return a value as JSON has it. It never raises, and the same value gives the same JSON.

    Dates become ISO texts, sets sorted lists, and what JSON does not have a text that shows it.
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping) and depth < 2 * DEPTH:
        return {_key(name): plain(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple | set) and depth < 2 * DEPTH:
        items = sorted(value, key=repr) if isinstance(value, set) else value
        return [plain(item, depth + 1) for item in items]
    if isinstance(value, int | float):
        return value if abs(value) < 2**63 else f"{value:.3g}"
    # Not its text, which may hold an address of this process.
    return f"<{type(value).__name__}>"


def _key(name: Any) -> str:
    """Return a mapping's key as a text; YAML has others, which it writes as JSON does."""
    return name if isinstance(name, str) else json.dumps(plain(name, 2 * DEPTH))


def _why_no_key(keys: tuple[Any, ...]) -> Iterator[str]:
    for key in keys:
        if not isinstance(key, str):
            yield f"its key {key!r} is not text: put it in quotes"
        elif "." in key:
            yield f"its key {key!r} has a dot: nest it instead"


def _why_no_json(value: Any, depth: int = 0) -> Iterator[str]:
    """Yield why JSON cannot hold a value, or a form would not give it back as it is."""
    if depth > DEPTH:
        yield f"it is nested more than {DEPTH} levels deep"
    elif isinstance(value, Mapping):
        yield from _why_no_key(tuple(key for key in value if not isinstance(key, str)))
        for item in value.values():
            yield from _why_no_json(item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _why_no_json(item, depth + 1)
    elif isinstance(value, date):
        yield "JSON has no dates: write it as text, in quotes"
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{value} is no number of JSON"
    elif isinstance(value, int) and abs(value) >= 2**63:
        yield "it has a number of more than 64 bits"
    elif not (value is None or isinstance(value, str | bool | int | float)):
        yield f"a {type(value).__name__} is no value of JSON"
