"""What is wrong with `airflow.yml`: keys, values, names that match nothing, and how they fit."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase

from kedro_astro.settings.keys import IN_DEFAULT
from kedro_astro.settings.read import (
    RESERVED,
    WHOLE_PROJECT,
    Report,
    Sections,
    Values,
    check_together,
    choice,
    label,
    listed,
    namespaces_of,
    over,
    own_values,
    read_section,
    section_of,
    selection,
)
from kedro_astro.settings.times import Schedule
from kedro_astro.settings.use import selected
from kedro_astro.settings.values import shown
from kedro_astro.structure import Pipeline, untranscoded


def problems(
    config: object,
    pipelines: Sequence[Pipeline],
    source: str,
    ids: Mapping[str, str] | None = None,
    lasting: Collection[str] = (),
) -> list[str]:
    """Return everything that is wrong with the settings, a text each. It never raises.

    Args:
        config: what the configuration loader gave, before `normalise` hides what is no JSON.
        pipelines: all that are registered. If some could not be read, do not ask: they would be
            reported as unknown.
        source: the file to name, such as `conf/base/airflow.yml`.
        ids: by pipeline, the id of its DAG unless its section says another.
        lasting: the datasets that a run leaves for others, which can be waited for.
    """
    found: list[str] = []
    if isinstance(config, Mapping):
        _check(config, pipelines, ids or {}, lasting, found.append)
    elif config is not None:
        found.append(f"the file is {shown(config)}. It must be sections, each with settings.")
    return [f"{source}: {text}" for text in dict.fromkeys(found)]


def _check(
    sections: Sections,
    pipelines: Sequence[Pipeline],
    ids: Mapping[str, str],
    lasting: Collection[str],
    report: Report,
) -> None:
    _check_sections(sections, [pipeline.name for pipeline in pipelines], report)
    default = read_section(sections.get("default"), "default", IN_DEFAULT, report)
    _check_names(default, pipelines, "default", report)
    chosen: Values = {}
    for pipeline in pipelines:
        path = section_of(sections, pipeline.name)
        own = own_values(sections, pipeline.name, report)
        if path:
            _check_names(own, [pipeline], path, report)
        check_together(default, own, path, report)
        _check_assets(default, own, pipeline, path, lasting, report)
        chosen[pipeline.name] = own.get("dag_id")
    _check_selection(sections, list(chosen), report)
    becoming = selected(sections, chosen)
    _check_ids(sections, {name: chosen[name] for name in becoming}, ids, report)


def _check_sections(sections: Sections, pipelines: Sequence[str], report: Report) -> None:
    """Report sections that no pipeline reads, and those of which it is not clear who does."""
    whole = (WHOLE_PROJECT,) if "__default__" in pipelines else ()
    known = {*pipelines, "default", "pipelines", *whole} - {"__default__"}
    for name in sections:
        if name in RESERVED and name in pipelines:
            report(
                f"{name} is both a section of its own meaning and a pipeline. "
                "Register the pipeline under another name."
            )
        elif name == "__default__" and WHOLE_PROJECT in sections:
            report(f"{WHOLE_PROJECT} and __default__ are one section. Keep one of them.")
        elif name not in {*known, *pipelines}:
            report(f"{label(name)} is no registered pipeline. {choice(name, known)}")


def _check_names(values: Values, pipelines: Sequence[Pipeline], path: str, report: Report) -> None:
    """Report names of nodes, tags and namespaces that none of the pipelines has."""
    nodes = [node for pipeline in pipelines for node in pipeline.nodes]
    node_names = {node.name for node in nodes}
    known = {
        "nodes": ("node", node_names),
        "node_tags": ("tag of a node", {tag for node in nodes for tag in node.tags}),
        "namespaces": ("namespace", {name for node in nodes for name in namespaces_of(node)}),
    }
    for key, (what, names) in known.items():
        for name in values.get(key) or ():
            if name not in names:
                report(f"{path}.{key}.{label(name)} is no {what} here. {choice(name, names)}")
    groups = values.get("grouping")
    grouped = [name for _, group in groups for name in group] if isinstance(groups, tuple) else []
    for name in grouped:
        if name not in node_names:
            report(f"{path}.grouping: {shown(name)} is no node here. {choice(name, node_names)}")


def _check_assets(
    default: Values,
    own: Values,
    pipeline: Pipeline,
    path: str | None,
    lasting: Collection[str],
    report: Report,
) -> None:
    """Report assets that nothing ever updates, and those that the pipeline itself updates."""
    schedule = over(default, own).get("schedule")
    if not isinstance(schedule, Schedule) or schedule.assets is None:
        return
    place = f"{path if path and 'schedule' in own else 'default'}.schedule"
    saved = {untranscoded(name) for node in pipeline.nodes for name in node.outputs}
    for name in schedule.assets.names():
        if "://" in name:
            continue
        if untranscoded(name) not in lasting:
            what = f"{place}: no pipeline leaves a dataset {label(name)} behind for others."
            report(f"{what} {choice(name, lasting)}")
        elif untranscoded(name) in saved:
            report(
                f"{place}: {label(name)} is saved by {pipeline.name} itself, which would start "
                "again and again. Wait for what it loads from another pipeline."
            )


def _check_selection(sections: Sections, pipelines: Sequence[str], report: Report) -> None:
    for key, patterns in selection(sections, report).items():
        for pattern in patterns or ():
            if not any(fnmatchcase(name, pattern) for name in pipelines):
                what = f"pipelines.{key}: {shown(pattern)} matches no registered pipeline."
                report(f"{what} {choice(pattern, pipelines)}")


def _check_ids(sections: Sections, chosen: Values, ids: Mapping[str, str], report: Report) -> None:
    taken = {name: dag_id or ids.get(name) for name, dag_id in chosen.items()}
    for name, dag_id in chosen.items():
        others = [other for other in taken if other != name and taken[other] == dag_id]
        if dag_id and others:
            report(
                f"{section_of(sections, name)}.dag_id is {dag_id}, which is also the id of the "
                f"pipeline {listed(others)}. Give each DAG an id of its own."
            )
