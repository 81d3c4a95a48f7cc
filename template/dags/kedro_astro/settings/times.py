"""Dates, durations and schedules as `airflow.yml` writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Any, Literal
from zoneinfo import ZoneInfo

from kedro_astro.settings.values import (
    DEPTH,
    MAPPING,
    Kind,
    dotted_path,
    names,
    nearest,
    number,
    shown,
    text,
    whole,
)

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


def _date(value: Any) -> datetime:
    """Only forms that every supported Python reads alike: Kedro's and Airflow's may differ."""
    if isinstance(value, list | tuple):
        if not 3 <= len(value) <= 7:
            raise ValueError
        moment = datetime(*(whole(0)(part) for part in value))  # type: ignore[arg-type]
    else:
        iso = value.isoformat() if isinstance(value, date) else text(value)
        if not _ISO.fullmatch(iso):
            raise ValueError
        moment = datetime.fromisoformat(re.sub("[Zz]$", "+00:00", iso))
    if not 1970 <= moment.year < 3000:
        raise ValueError("its year is not between 1970 and 2999")
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


_ISO = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{3}(\d{3})?)?)?([+-]\d\d:\d\d|[Zz])?)?", re.ASCII
)


def _duration(value: Any) -> timedelta:
    if isinstance(value, str):
        if not (match := re.fullmatch(r"(\d+(?:\.\d+)?) ?([smhd])", text(value), re.ASCII)):
            raise ValueError
        value = float(match[1]) * {"s": 1 / 60, "m": 1, "h": 60, "d": 24 * 60}[match[2]]
    return timedelta(minutes=number(value, 0, 365 * 24 * 60))


def _timeout(value: Any) -> timedelta:
    if not (duration := _duration(value)):
        raise ValueError
    return duration


@dataclass(frozen=True)
class Assets:
    """Assets whose updates start a run: all of them, or any.

    Attributes:
        of: datasets of the project, URIs of other assets, or such conditions again.
    """

    operator: Literal["all", "any"]
    of: tuple[str | Assets, ...]

    def names(self) -> Iterator[str]:
        """Yield the datasets and URIs, as often as they are written."""
        for part in self.of:
            yield from [part] if isinstance(part, str) else part.names()


@dataclass(frozen=True)
class Schedule:
    """A schedule that is more than a cron expression: one of its first three is there.

    Attributes:
        cron: an expression, read in `timezone`.
        assets: what a run waits for.
        timetable: dotted path of an Airflow timetable, or of what makes one of `arguments`.
    """

    cron: str | None = None
    assets: Assets | None = None
    timetable: str | None = None
    timezone: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)


KINDS_OF_SCHEDULE = {"cron": ("timezone",), "assets": (), "timetable": ("arguments",)}
"""What a schedule may be made of, each with what may stand beside it."""


def _schedule(value: Any) -> str | Schedule | None:
    if isinstance(value, Mapping):
        return _written_schedule(names(value))
    expression = text(value).strip()
    if expression == "None":  # kedro-airflow writes null so.
        return None
    if not expression.startswith("@"):
        return _cron(expression)
    if expression not in PRESETS:
        raise ValueError(f"there is no such preset. {nearest(expression, PRESETS)}".strip(". "))
    return expression


def _written_schedule(said: Mapping[str, Any]) -> Schedule:
    kinds = [name for name in KINDS_OF_SCHEDULE if name in said]
    if len(kinds) != 1:
        raise ValueError(
            f"it has {' and '.join(kinds) or 'none'} of {', '.join(KINDS_OF_SCHEDULE)}"
        )
    (kind,) = kinds
    allowed = (kind, *KINDS_OF_SCHEDULE[kind])
    if unknown := [name for name in said if name not in allowed]:
        reason = f"{shown(unknown[0])} is none of {', '.join(allowed)}"
        raise ValueError(f"{reason}. {nearest(unknown[0], allowed)}".strip(". "))
    if kind == "assets":
        return Schedule(assets=_assets(said["assets"]))
    if kind == "timetable":
        return Schedule(
            timetable=dotted_path(said["timetable"]),
            arguments=MAPPING.parse(said.get("arguments") or {}),
        )
    return Schedule(cron=_cron(text(said["cron"])), timezone=_timezone(said.get("timezone")))


def _cron(expression: str) -> str:
    """What is checked here is what people get wrong; Airflow checks all of it."""
    fields = expression.split()
    if len(fields) not in (5, 6):
        raise ValueError(f"it has {len(fields)} fields")
    for field_, (name, low, high) in zip(fields, CRON, strict=False):
        # Neither the step of `*/90` nor the number in `L5` or `1#2` is a value of the field.
        for digits in re.findall(r"(?<![\w/#])[0-9]+", field_):
            if not low <= int(digits) <= high:
                raise ValueError(f"its {name} {digits[:20]} is not between {low} and {high}")
    return expression


def _timezone(value: Any) -> str:
    name = "UTC" if value is None else text(value)
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{shown(name)} is no time zone such as Europe/Zurich") from None
    return name


def _assets(value: Any, depth: int = 0) -> Assets:
    """A text is one asset, a list is all of its members; `{any: [...]}` and `{all: [...]}` nest."""
    if depth > DEPTH:
        raise ValueError(f"it is nested more than {DEPTH} levels deep")
    operator: Literal["all", "any"] = "all"
    if isinstance(value, Mapping):
        if len(value) != 1 or not value.keys() <= {"all", "any"}:
            raise ValueError(f"{shown(value)} is neither {{all: [...]}} nor {{any: [...]}}")
        ((operator, value),) = value.items()
    members = value if isinstance(value, list | tuple) else [value]
    if not members:
        raise ValueError("it names no asset")
    return Assets(
        operator,
        tuple(
            _assets(member, depth + 1) if isinstance(member, Mapping | list) else text(member)
            for member in members
        ),
    )


DURATION = Kind('minutes, or text such as "30s", "5m", "1h" or "1d"; at most a year', _duration)
TIMEOUT = Kind(f"more than 0: {DURATION.allowed}", _timeout)
DATE = Kind(
    'a date such as 2024-01-31, "2024-01-31T06:00:00+02:00" or [2024, 1, 31], '
    "in UTC if it has no offset",
    _date,
)
SCHEDULE = Kind(
    f"a cron expression of 5 fields (a 6th is seconds), a preset ({', '.join(PRESETS)}) or null; "
    "or a mapping: {cron: ..., timezone: ...}, {assets: [...]}, {timetable: package.module.name}",
    _schedule,
)
