"""What an `airflow.yml` names and the project does not have."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from kedro_astro.errors import choice, label, shown
from kedro_astro.settings.models import WHOLE_PROJECT, AirflowYml, OnAssets, groups, said
from kedro_astro.settings.models import section_name as section_of
from kedro_astro.settings.use import namespaces_of, over
from kedro_astro.structure import Pipeline, untranscoded


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
        section = section_of(pipeline.name)
        own = said(file.sections().get(section))
        found += _wrong_in(own, [pipeline], section)
        place = section if "schedule" in own else "default"
        found += _wrong_assets(over(default, own).get("schedule"), pipeline, place, lasting)
    found += _wrong_patterns(file, names)
    return [f"{source}: {text}" for text in dict.fromkeys(found)]


def _wrong_sections(file: AirflowYml, pipelines: Collection[str]) -> Iterator[str]:
    sections = {"default", "pipelines", WHOLE_PROJECT}
    known = {"default", "pipelines", *map(section_of, pipelines)}
    for name in sorted(file.model_fields_set):
        if name in sections and name in pipelines:
            yield (
                f"{name} is both a section of its own meaning and a pipeline. "
                "Register the pipeline under another name."
            )
        elif name not in known:
            yield f"{label(name)} is no registered pipeline. {choice(section_of(name), known)}"


def _wrong_in(
    values: Mapping[str, Any], pipelines: Iterable[Pipeline], section: str
) -> Iterator[str]:
    """Yield names of nodes, tags and namespaces that none of the pipelines has."""
    nodes = [node for pipeline in pipelines for node in pipeline.nodes]
    here = {node.name for node in nodes}
    known = {
        "nodes": ("node", here),
        "node_tags": ("tag of a node", {tag for node in nodes for tag in node.tags}),
        "namespaces": ("namespace", {name for node in nodes for name in namespaces_of(node)}),
    }
    for key, (what, names) in known.items():
        for name in sorted({*(values.get(key) or ())} - names):
            yield f"{section}.{key}.{label(name)} is no {what} here. {choice(name, names)}"
    for name in [name for _, group in groups(values.get("grouping")) for name in group]:
        if name not in here:
            yield f"{section}.grouping: {shown(name)} is no node here. {choice(name, here)}"


def _wrong_assets(
    schedule: Any, pipeline: Pipeline, section: str, lasting: Collection[str]
) -> Iterator[str]:
    """Yield assets that nothing ever updates, and those that the pipeline itself updates."""
    saved = {untranscoded(name) for node in pipeline.nodes for name in node.outputs}
    for name in _assets(schedule.assets) if isinstance(schedule, OnAssets) else ():
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
