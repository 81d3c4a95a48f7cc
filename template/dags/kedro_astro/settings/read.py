"""An `airflow.yml` and what is wrong with it, in sentences: pydantic finds it, all at once."""

import re
from collections.abc import Collection
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from kedro_astro.errors import choice, label, nearest, shown
from kedro_astro.settings.models import SCOPED, AirflowYml, Default, Section, Selection, Task, said
from kedro_astro.settings.use import over

Place = tuple[str, ...]
"""The keys that lead to a section or a setting."""


def read(raw: object, source: str) -> tuple[AirflowYml, list[str]]:
    """Return what `airflow.yml` says, and a sentence for each thing that is wrong. Never raises.

    Args:
        raw: the file as JSON data; None if there is none.
        source: the file to name, such as `conf/base/airflow.yml`.

    Returns:
        The file without what is wrong.
    """
    found: dict[Place, str] = {}
    rest = {} if raw is None else raw
    while True:
        try:
            file = AirflowYml.model_validate(rest)
            break
        except ValidationError as error:
            wrong = _by_place(error)
            found |= {place: _sentence(place, details, rest) for place, details in wrong.items()}
            rest = _without(rest, wrong)
    for section in ("default", *file.sections()):
        found |= {(section, key): text for key, text in _wrong_together(file, section).items()}
    return file, [f"{source}: {text}" for text in dict.fromkeys(found.values())]


def must_be(key: str) -> str:
    """Return what the value of a key must be: completes "It must be ...". Empty for no key."""
    field = {**Section.model_fields, **Selection.model_fields}.get(key)
    return (field and field.title) or ""


def _by_place(error: ValidationError) -> dict[Place, ErrorDetails]:
    """Return the error of each setting: where it may be of several types, the deepest one."""
    found: dict[Place, ErrorDetails] = {}
    for details in error.errors(include_url=False):
        keys = [str(key) for key in details["loc"] if key != "[key]"]
        place = tuple(keys[: 4 if keys[1:2] and keys[1] in SCOPED else 2])
        if place not in found or len(details["loc"]) > len(found[place]["loc"]):
            found[place] = details
    return found


def _without(value: Any, places: Collection[Place], here: Place = ()) -> Any:
    if here in places:
        return {}
    if not isinstance(value, dict) or len(here) == 4:
        return value
    inner = {key: (*here, str(key)) for key in value}
    return {k: _without(value[k], places, at) for k, at in inner.items() if at not in places}


def _sentence(place: Place, details: ErrorDetails, value: Any) -> str:
    """Return what is wrong at a place of the file, whose value is the whole file's."""
    path = ".".join(map(label, place)) or "the file"
    if details["type"] == "extra_forbidden" and len(details["loc"]) == len(place):
        return f"{path} {_not_here(place[-1], _settings_in(place[:-1]))}"
    for name in place:
        value = next(item for key, item in value.items() if str(key) == name)
    must = must_be(place[-1]) if place else "sections, each with settings"
    if len(place) % 2:
        must = f"settings: {', '.join(_settings_in(place))}"
    reason = _reason(details, value)
    hint = nearest(value, re.findall(r"'(\w+)'", str(details.get("ctx", {}).get("expected"))))
    return f"{path} is {shown(value)}{reason}. {hint}{hint and ' '}It must be {must}."


def _reason(details: ErrorDetails, value: Any) -> str:
    part = details["input"]
    if details["type"] == "value_error":
        return f": {details['ctx']['error']}"
    if isinstance(part, bool):
        return ": YAML reads yes, no, on and off as true and false"
    if details["type"] == "extra_forbidden":
        return f": {label(details['loc'][-1])} cannot be in it"
    return "" if part is value else f": {shown(part)} cannot be in it"


def _settings_in(section: Place) -> Collection[str]:
    """Return the settings that a section may have, or that of a node, tag or namespace."""
    models: dict[str, type[BaseModel]] = {"default": Default, "pipelines": Selection}
    return (Task if len(section) == 3 else models.get(section[0], Section)).model_fields


def _not_here(name: str, known: Collection[str]) -> str:
    homes: dict[str, type[BaseModel]] = {
        "the section `pipelines`": Selection,
        "`default` or a pipeline's section": Default,
        "a pipeline's section": Section,
    }
    for home in (home for home, model in homes.items() if name in model.model_fields):
        return f"cannot stand here. Move it to {home}."
    return f"is no setting. {choice(name, known)}"


def _wrong_together(file: AirflowYml, name: str) -> dict[str, str]:
    """Return what is right alone and wrong together, by key."""
    section = file.default if name == "default" else file.sections()[name]
    values = over(said(file.default), own := said(section))
    start, end = values.get("start_date"), values.get("end_date")
    found = {}
    if start and end and end < start:
        place = label(name) if own.keys() & {"start_date", "end_date"} else "default"
        what = f"end_date and start_date: {end} is before {start}. Correct one of them."
        found["end_date"] = f"{place}: {what}"
    if section and {"schedule", "schedule_interval"} <= section.model_fields_set:
        what = "schedule and schedule_interval are one setting. Keep one of them."
        found["schedule"] = f"{label(name)}: {what}"
    return found
