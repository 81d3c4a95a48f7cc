"""The sections of `airflow.yml`, read by the table of keys; what is wrong is reported."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kedro_astro.settings.keys import IN_DEFAULT, IN_PIPELINE, IN_SELECTION, IN_TASK, KEYS, Key
from kedro_astro.settings.times import Schedule
from kedro_astro.settings.values import SCOPED, nearest, shown
from kedro_astro.structure import Node

WHOLE_PROJECT = "whole_project"
"""The section of the pipeline `__default__`: Kedro drops sections whose name begins with `_`."""

RESERVED = ("default", "pipelines", WHOLE_PROJECT)

Sections = Mapping[Any, Any]
Values = dict[str, Any]
Report = Callable[[str], None]


def read_section(section: object, path: str, keys: Mapping[str, Key], report: Report) -> Values:
    """Convert a section's values. What is wrong is reported, and None in the result."""
    values: Values = {}
    if section is None:
        return values
    if not isinstance(section, Mapping):
        report(f"{path} is {shown(section)}. It must be settings: {', '.join(keys)}.")
        return values
    for name, value in section.items():
        place = f"{path}.{label(name)}"
        key = keys.get(name) if isinstance(name, str) else None
        if key is None:
            report(f"{place} {_not_here(name, keys)}")
        elif key.name in values:
            report(f"{place}: {key.name} and {key.alias} are one setting. Keep one of them.")
        else:
            values[key.name] = _convert(key, value, place, report)
    return values


def _convert(key: Key, value: object, place: str, report: Report) -> Any:
    if value is None:
        return None
    try:
        converted = key.kind.parse(value)
    except ValueError as error:
        reason = f"{shown(value)}: {error}" if str(error) else shown(value)
        end = "" if reason.endswith("?") else "."
        report(f"{place} is {reason}{end} It must be {key.kind.allowed}.")
        return None
    if key.kind is not SCOPED:
        return converted
    return {
        name: read_section(settings, f"{place}.{label(name)}", IN_TASK, report)
        for name, settings in converted.items()
    }


def _not_here(name: object, keys: Mapping[str, Key]) -> str:
    """Return why there is no such setting in a section that has `keys`, and what there is."""
    if name in IN_SELECTION:
        return "cannot stand here. Move it to the section `pipelines`."
    if name in IN_PIPELINE:
        place = (
            "`default` or a pipeline's section" if name in IN_DEFAULT else "a pipeline's section"
        )
        return f"cannot stand here. Move it to {place}."
    return f"is no setting. {choice(name, keys)}"


def section_of(sections: Sections, pipeline: str) -> str | None:
    """Return the name of a pipeline's own section, None if another meaning has taken it."""
    if pipeline == "__default__" and pipeline not in sections:
        return WHOLE_PROJECT
    return None if pipeline in RESERVED else pipeline


def own_values(sections: Sections, pipeline: str, report: Report) -> Values:
    name = section_of(sections, pipeline)
    return read_section(sections.get(name), name, IN_PIPELINE, report) if name else {}


def selection(config: object, report: Report = lambda _: None) -> Values:
    section = config.get("pipelines") if isinstance(config, Mapping) else None
    return read_section(section, "pipelines", IN_SELECTION, report)


def over(default: Values, own: Values) -> Values:
    """Return the values of a pipeline's own section over the default's."""
    values = {**default, **own}
    for key in KEYS:
        below, above = default.get(key.name), own.get(key.name)
        if key.kind.merged and below and above:
            values[key.name] = {**below, **above}
            if key.kind is SCOPED:
                values[key.name] |= {n: {**below[n], **above[n]} for n in below.keys() & above}
    return values


def check_together(default: Values, own: Values, section: str | None, report: Report) -> None:
    """Report values that are right alone and wrong together: Airflow refuses such a DAG."""
    values = over(default, own)
    start, end = values.get("start_date"), values.get("end_date")
    schedule, runs = values.get("schedule"), values.get("max_active_runs")
    if start and end and end < start:
        keys, text = ("end_date", "start_date"), f"{end} is before {start}. Correct one of them."
    elif values.get("catchup") and schedule and not start and not waits_for_assets(schedule):
        keys, text = ("catchup", "schedule"), "with both, Airflow needs a start_date. Add one."
    elif schedule == "@continuous" and runs != 1:
        keys, text = (
            ("schedule", "max_active_runs"),
            "@continuous needs max_active_runs: 1. Add it.",
        )
    else:
        return
    path = section if section and own.keys() & {*keys} else "default"
    report(f"{path}: {' and '.join(keys)}: {text}")


def waits_for_assets(schedule: object) -> bool:
    return isinstance(schedule, Schedule) and schedule.assets is not None


def namespaces_of(node: Node) -> list[str]:
    """Return the namespaces that hold a node: of `a.b`, `a` and `a.b`."""
    parts = node.namespace.split(".") if node.namespace else []
    return [".".join(parts[: depth + 1]) for depth in range(len(parts))]


def choice(name: object, names: Iterable[str]) -> str:
    """Return the nearest of the names, and which there are."""
    names = sorted(names)
    return f"{nearest(name, names)} Known here: {listed(names) or 'none'}.".strip()


def listed(names: Iterable[str]) -> str:
    names = [label(name) for name in names]
    more = f" and {len(names) - 40} more" if len(names) > 40 else ""
    return ", ".join(names[:40]) + more


def label(name: object) -> str:
    """Return a name as it stands in a path, quoted if a path would not be clear with it."""
    plain = isinstance(name, str) and re.fullmatch(r"[\w.@-]{1,100}", name)
    return str(name) if plain else shown(name)
