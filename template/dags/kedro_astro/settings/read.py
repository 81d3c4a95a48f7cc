"""An `airflow.yml` and what is wrong with it, in sentences: pydantic finds it, all at once."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from kedro_astro.errors import choice, label, nearest, shown
from kedro_astro.settings import models
from kedro_astro.settings.models import AirflowYml, Default, Section, Selection, Task, said
from kedro_astro.settings.use import namespaces_of, over
from kedro_astro.structure import Pipeline, untranscoded

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
    for name, section in {"default": file.default, **file.sections()}.items():
        own = section.model_fields_set if section else set()
        values = over(said(file.default), said(section))
        start, end = values.get("start_date"), values.get("end_date")
        if start and end and end < start and own & {"start_date", "end_date"}:
            what = f"end_date and start_date: {end} is before {start}. Correct one of them."
            found[name, "end_date"] = f"{label(name)}: {what}"
        if {"schedule", "schedule_interval"} <= own:
            what = "schedule and schedule_interval are one setting. Keep one of them."
            found[name, "schedule"] = f"{label(name)}: {what}"
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
        place = tuple(keys[: 4 if keys[1:2] and keys[1] in models.SCOPED else 2])
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
    kinds: dict[str, type[BaseModel]] = {"default": Default, "pipelines": Selection}
    return (Task if len(section) == 3 else kinds.get(section[0], Section)).model_fields


def _not_here(name: str, known: Collection[str]) -> str:
    homes: dict[str, type[BaseModel]] = {
        "the section `pipelines`": Selection,
        "`default` or a pipeline's section": Default,
        "a pipeline's section": Section,
    }
    for home in (home for home, model in homes.items() if name in model.model_fields):
        return f"cannot stand here. Move it to {home}."
    return f"is no setting. {choice(name, known)}"


def wrong_names(
    file: AirflowYml, pipelines: Sequence[Pipeline], source: str, lasting: Collection[str]
) -> list[str]:
    """Return a sentence for each name that names nothing.

    Args:
        file: as `read` returns it.
        pipelines: all that are registered. If some could not be read, do not ask: they would be
            reported as unknown.
        source: the file to name, such as `conf/base/airflow.yml`.
        lasting: the datasets that a run leaves for others, which can be waited for.
    """
    names = [pipeline.name for pipeline in pipelines]
    default = said(file.default)
    found = [*_wrong_sections(file, names), *_wrong_in(default, pipelines, "default")]
    for pipeline in pipelines:
        section = models.section_name(pipeline.name)
        own = said(file.sections().get(section))
        found += _wrong_in(own, [pipeline], section)
        place = section if "schedule" in own else "default"
        found += _wrong_assets(over(default, own).get("schedule"), pipeline, place, lasting)
    found += _wrong_patterns(file, names)
    return [f"{source}: {text}" for text in dict.fromkeys(found)]


def _wrong_sections(file: AirflowYml, pipelines: Collection[str]) -> Iterator[str]:
    sections = {"default", "pipelines", models.WHOLE_PROJECT}
    known = {"default", "pipelines", *map(models.section_name, pipelines)}
    for name in sorted(file.model_fields_set):
        if name in sections and name in pipelines:
            what = f"{name} is both a section of its own meaning and a pipeline"
            yield f"{what}. Register the pipeline under another name."
        elif name not in known:
            meant = choice(models.section_name(name), known)
            yield f"{label(name)} is no registered pipeline. {meant}"


def _wrong_in(said: Mapping[str, Any], pipelines: Iterable[Pipeline], place: str) -> Iterator[str]:
    """Yield names of nodes, tags and namespaces that none of the pipelines has."""
    nodes = [node for pipeline in pipelines for node in pipeline.nodes]
    here = {node.name for node in nodes}
    known = {
        "nodes": ("node", here),
        "node_tags": ("tag of a node", {tag for node in nodes for tag in node.tags}),
        "namespaces": ("namespace", {name for node in nodes for name in namespaces_of(node)}),
    }
    for key, (what, names) in known.items():
        for name in sorted({*(said.get(key) or ())} - names):
            yield f"{place}.{key}.{label(name)} is no {what} here. {choice(name, names)}"
    for name in [name for _, group in models.groups(said.get("grouping")) for name in group]:
        if name not in here:
            yield f"{place}.grouping: {shown(name)} is no node here. {choice(name, here)}"


def _wrong_assets(
    schedule: Any, pipeline: Pipeline, section: str, lasting: Collection[str]
) -> Iterator[str]:
    """Yield assets that nothing ever updates, and those that the pipeline itself updates."""
    saved = {untranscoded(name) for node in pipeline.nodes for name in node.outputs}
    for name in _assets(schedule.assets) if isinstance(schedule, models.OnAssets) else ():
        if "://" in name:
            continue
        if untranscoded(name) not in lasting:
            what = f"{section}.schedule: no pipeline leaves a dataset {label(name)} behind"
            yield f"{what} for others. {choice(name, lasting)}"
        elif untranscoded(name) in saved:
            what = f"{section}.schedule: {label(name)} is saved by {pipeline.name} itself"
            remedy = "Wait for what it loads from another pipeline."
            yield f"{what}, which would start again and again. {remedy}"


def _assets(said: Any) -> Iterator[str]:
    if isinstance(said, str):
        yield said
    else:
        for part in said.values() if isinstance(said, dict) else said:
            yield from _assets(part)


def _wrong_patterns(file: AirflowYml, pipelines: Collection[str]) -> Iterator[str]:
    for key, patterns in said(file.pipelines).items():
        for pattern in patterns or ():
            if not any(fnmatchcase(name, pattern) for name in pipelines):
                what = f"pipelines.{key}: {shown(pattern)} matches no registered pipeline."
                yield f"{what} {choice(pattern, pipelines)}"
