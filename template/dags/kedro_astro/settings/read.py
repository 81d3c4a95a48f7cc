"""What an `airflow.yml` says, and what is wrong with it, in sentences: all at once."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from kedro_astro.errors import choice, label, nearest, shown
from kedro_astro.settings import models
from kedro_astro.settings.models import SCOPED, Default, Model, Section, Selection, Task
from kedro_astro.settings.use import File, over, sections_of
from kedro_astro.structure import Pipeline, Structure, untranscoded

MODELS: dict[str, type[Model]] = {"pipelines": Selection, "default": Default}
"""Models of the sections that are not a pipeline's own."""


def wrong_settings(structure: Structure) -> list[str]:
    """Return all that is wrong with what `airflow.yml` says, a sentence each."""
    file, wrong = read(structure.settings)
    # With problems, what names a pipeline that could not be read is not wrong.
    if not structure.problems:
        wrong += _wrong_names(file, structure)
    return [f"{structure.settings_file}: {text}" for text in dict.fromkeys(wrong)]


def read(raw: object) -> tuple[File, list[str]]:
    """Return what `airflow.yml` says, and a sentence for each thing that is wrong. Never raises.

    Args:
        raw: the file as JSON data; None if there is none.

    Returns:
        The file without what is wrong.
    """
    wrong: list[str] = []
    if not isinstance(raw, dict | None):
        return {}, [f"the file is {shown(raw)}. It must be sections, each with settings."]
    file = {
        str(name): _section(section, MODELS.get(name, Section), label(name), wrong)
        for name, section in (raw or {}).items()
    }
    for name, own in file.items():
        if "schedule_interval" in own:
            if "schedule" in own:
                what = "schedule and schedule_interval are one setting. Keep one of them."
                wrong.append(f"{label(name)}: {what}")
            own["schedule"] = own.pop("schedule_interval")
    return file, wrong


def _section(raw: Any, model: type[Model], path: str, wrong: list[str]) -> dict[str, Any]:
    """Return what a section says, values by key, and append to `wrong` what it cannot say."""
    said: dict[str, Any] = {}
    if not isinstance(raw, dict | None):
        settings = ", ".join(model.model_fields)
        wrong.append(f"{path} is {shown(raw)}. It must be settings: {settings}.")
        return said
    for key, value in (raw or {}).items():
        here = f"{path}.{label(key)}"
        if key not in model.model_fields:
            wrong.append(f"{here} is no setting here. {choice(key, model.model_fields)}")
        elif key in SCOPED and isinstance(value, dict):
            said[key] = {
                str(name): _section(task, Task, f"{here}.{label(name)}", wrong)
                for name, task in value.items()
            }
        else:
            try:
                said[key] = getattr(model.model_validate({key: value}), key)
            except ValidationError as error:
                # Who writes the secret itself is not to read it in Airflow's UI.
                what = "wrong." if key == "credentials" else _sentence(error, value)
                wrong.append(f"{here} is {what} It must be {must_be(key)}.")
    return said


def must_be(key: str) -> str:
    """Return what the value of a key must be: completes "It must be ...". Empty for no key."""
    field = {**Section.model_fields, **Selection.model_fields}.get(key)
    return (field and field.title) or ""


def _sentence(error: ValidationError, value: Any) -> str:
    """Return a value and what is wrong with it: where it may be of several types, by the one that
    it is most like: it lacks nothing of that, and the error is deep in it."""
    found = error.errors(include_url=False)
    lacking = [each["loc"][:2] for each in found if each["type"] == "missing"]
    found = [each for each in found if each["loc"][:2] not in lacking] or found
    details = max(found, key=lambda each: len(each["loc"]))
    expected = re.findall(r"'(\w+)'", str(details.get("ctx", {}).get("expected")))
    return f"{shown(value)}{_reason(details, value)}. {nearest(value, expected)}".strip()


def _reason(details: ErrorDetails, value: Any) -> str:
    part = details["input"]
    if details["type"] == "value_error":
        return f": {details['ctx']['error']}"
    if isinstance(part, bool):
        return ": YAML reads yes, no, on and off as true and false"
    if details["type"] == "extra_forbidden":
        return f": {label(details['loc'][-1])} cannot be in it"
    return "" if part is value else f": {shown(part)} cannot be in it"


def _wrong_names(file: File, structure: Structure) -> Iterator[str]:
    """Yield a sentence for each name that names nothing."""
    pipelines, default = structure.pipelines, file.get("default", {})
    names = [pipeline.name for pipeline in pipelines]
    lasting = [n for n, d in structure.datasets.items() if d.persistent and not d.of_one_run]
    left = {*map(untranscoded, lasting)}
    yield from _wrong_sections(file, names)
    yield from _wrong_in(default, pipelines, "default")
    for pipeline in pipelines:
        section = models.section_name(pipeline.name)
        own = file.get(section, {})
        yield from _wrong_in(own, [pipeline], section)
        place = section if "schedule" in own else "default"
        yield from _wrong_assets(over(default, own).get("schedule"), pipeline, place, left)
    for key, patterns in file.get("pipelines", {}).items():
        for pattern in patterns or ():
            if not any(fnmatchcase(name, pattern) for name in names):
                what = f"pipelines.{key}: {shown(pattern)} matches no registered pipeline."
                yield f"{what} {choice(pattern, names)}"


def _wrong_sections(file: File, pipelines: Collection[str]) -> Iterator[str]:
    known = {*MODELS, *map(models.section_name, pipelines)}
    for name in sorted(file):
        if name in pipelines and name in {*MODELS, models.WHOLE_PROJECT}:
            what = f"{name} is both a section of its own meaning and a pipeline"
            yield f"{what}. Register the pipeline under another name."
        elif name not in known:
            meant = choice(models.section_name(name), known)
            yield f"{label(name)} is no registered pipeline. {meant}"


def _wrong_in(said: Mapping[str, Any], pipelines: Iterable[Pipeline], place: str) -> Iterator[str]:
    """Yield names of nodes, tags and namespaces that none of the pipelines has."""
    nodes = [node for pipeline in pipelines for node in pipeline.nodes]
    for key, what in SCOPED.items():
        known = {name for node in nodes for _, kind, name in sections_of(node) if kind == key}
        for name in sorted({*(said.get(key) or ())} - known):
            yield f"{place}.{key}.{label(name)} is no {what} here. {choice(name, known)}"
    here = {node.name for node in nodes}
    for name in [name for _, group in models.groups(said.get("grouping")) for name in group]:
        if name not in here:
            yield f"{place}.grouping: {shown(name)} is no node here. {choice(name, here)}"


def _wrong_assets(
    schedule: Any, pipeline: Pipeline, section: str, lasting: Collection[str]
) -> Iterator[str]:
    """Yield assets that nothing ever updates, and those that the pipeline itself updates."""
    saved = {untranscoded(name) for node in pipeline.nodes for name in node.outputs}
    for name in _assets(schedule.assets) if isinstance(schedule, models.OnAssets) else ():
        if untranscoded(name) not in lasting:
            what = f"{section}.schedule: no pipeline leaves a dataset {label(name)} behind"
            yield f"{what} for others. {choice(name, lasting)}"
        elif untranscoded(name) in saved:
            what = f"{section}.schedule: {label(name)} is saved by {pipeline.name} itself"
            remedy = "Wait for what it loads from another pipeline."
            yield f"{what}, which would start again and again. {remedy}"


def _assets(said: Any) -> list[str]:
    """Return the datasets that a schedule waits for, without URIs."""
    if isinstance(said, str):
        return [] if "://" in said else [said]
    parts = said.values() if isinstance(said, dict) else said
    return [name for part in parts for name in _assets(part)]
