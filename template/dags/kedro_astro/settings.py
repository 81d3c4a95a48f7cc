"""What a project's `airflow.yml` says of its DAGs, checked; `settings_keys` has each single key.

The mapping comes from Kedro's configuration loader, with files and environments merged. `discover`
keeps it in the manifest (`normalise`), and what is wrong with it (`problems`); `dags` reads it at
every parse. A setting that is null counts as not said, and takes back what `default` says.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from typing import Any

from kedro_astro.settings_keys import (
    DEPTH,
    IN_DEFAULT,
    IN_PIPELINE,
    IN_SELECTION,
    IN_TASK,
    KEYS,
    SCOPED,
    Key,
    SettingsError,
    nearest,
    shown,
)
from kedro_astro.structure import Node, Pipeline

WHOLE_PROJECT = "whole_project"
"""The section of the pipeline `__default__`: Kedro drops sections whose name begins with `_`."""

RESERVED = ("default", "pipelines", WHOLE_PROJECT)

Sections = Mapping[Any, Any]
Values = dict[str, Any]
Report = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """What `airflow.yml` says of one pipeline. What it does not say is not in here.

    Attributes:
        dag: arguments of the Airflow DAG; times are aware, durations timedeltas.
        task: arguments of all its operators.
        grouping: a grouping's name; or groups written by hand, each a pair of a name, or None,
            and its nodes, of which the pipeline may lack some if `default` has them; or None.
        dag_id: or None.
        params: the trigger form's fields and their values.
        nodes, node_tags, namespaces: arguments for single tasks, by name; see `for_task`.
    """

    dag: Mapping[str, Any] = field(default_factory=dict)
    task: Mapping[str, Any] = field(default_factory=dict)
    grouping: str | tuple[tuple[str | None, tuple[str, ...]], ...] | None = None
    dag_id: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    nodes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    node_tags: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    namespaces: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def normalise(raw: object) -> Values:
    """Return `raw` as JSON-serializable data, `{}` if it is no mapping. It never raises.

    Dates become ISO texts, and what JSON does not have becomes a text that shows it.
    """
    return dict(_plain(raw, 0)) if isinstance(raw, Mapping) else {}


def problems(
    config: object,
    pipelines: Sequence[Pipeline],
    source: str,
    ids: Mapping[str, str] | None = None,
) -> list[str]:
    """Return everything that is wrong with the settings, a text each. It never raises.

    Args:
        config: what the configuration loader gave, before `normalise` hides what is no JSON.
        pipelines: all that are registered. If some could not be read, do not ask: they would be
            reported as unknown.
        source: the file to name, such as `conf/base/airflow.yml`.
        ids: by pipeline, the id of its DAG unless its section says another.
    """
    found: list[str] = []
    if isinstance(config, Mapping):
        _check(config, pipelines, ids or {}, found.append)
    elif config is not None:
        found.append(f"the file is {shown(config)}. It must be sections, each with settings.")
    return [f"{source}: {text}" for text in dict.fromkeys(found)]


def selected(config: object, names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the pipelines that become DAGs, in the order of `names`.

    Those that match `include`, which is all of them if it is not there, and not `exclude`. A
    pattern that `problems` refuses counts as not there.
    """
    said = _selection(config)
    include = said["include"] if said.get("include") is not None else ["*"]
    return tuple(
        name
        for name in names
        if any(fnmatchcase(name, pattern) for pattern in include)
        and not any(fnmatchcase(name, pattern) for pattern in said.get("exclude") or ())
    )


def for_pipeline(config: object, name: str) -> Settings:
    """Return the settings of the pipeline `name`: its own section over `default`, key by key.

    `params` and the settings of nodes, tags and namespaces are added to the default's, name by
    name; all else replaces it.

    Raises:
        SettingsError: if `default` or the section has problems: a DAG with half of its settings
            could run at the wrong time or in the wrong place.
    """
    wrong: list[str] = []
    sections: Sections = config if isinstance(config, Mapping) else {}
    default = _read(sections.get("default"), "default", IN_DEFAULT, wrong.append)
    own = _own(sections, name, wrong.append)
    _check_together(default, own, _section(sections, name), wrong.append)
    if wrong:
        raise SettingsError(f"airflow.yml, for the pipeline {name}:\n" + "\n".join(wrong))
    said = {key: value for key, value in _over(default, own).items() if value is not None}
    return Settings(dag=_take(said, "dag"), task=_take(said, "task"), **_take(said, "pipeline"))


def for_task(settings: Settings, nodes: Sequence[Node]) -> Values:
    """Return the operator's arguments for the task that holds `nodes`.

    The pipeline's, then those of the nodes' tags, namespaces (outer before inner) and names, each
    over the one before.

    Raises:
        SettingsError: if two that count alike, such as two nodes' names, say different things.
    """
    said: dict[str, dict[int, list[tuple[Node, str, Any]]]] = {}
    for node in nodes:
        for rank, place, values in _sayings(settings, node):
            for key, value in values.items():
                said.setdefault(key, {}).setdefault(rank, []).append((node, place, value))
    arguments = dict(settings.task)
    for key, ranks in said.items():
        first, *others = ranks[max(ranks)]
        arguments[key] = first[2]
        for other in others:
            if other[2] != first[2]:
                raise SettingsError(_disagreement(key, first, other))
    return {key: value for key, value in arguments.items() if value is not None}


def _sayings(settings: Settings, node: Node) -> Iterator[tuple[int, str, Mapping[str, Any]]]:
    """Yield what is said of a node: how much it counts, the section, the arguments."""
    for tag in node.tags:
        yield 0, f"node_tags.{tag}", settings.node_tags.get(tag, {})
    for depth, namespace in enumerate(_namespaces(node), start=1):
        yield depth, f"namespaces.{namespace}", settings.namespaces.get(namespace, {})
    yield sys.maxsize, f"nodes.{node.name}", settings.nodes.get(node.name, {})


def _disagreement(key: str, one: tuple[Node, str, Any], two: tuple[Node, str, Any]) -> str:
    sides = (
        f"{shown(value)} for the node {node.name} ({place})" for node, place, value in (one, two)
    )
    remedy = (
        f"or say it for the node itself: nodes.{one[0].name}.{key}"
        if one[0] == two[0]
        else "or group the nodes apart (`grouping`)"
    )
    return (
        f"airflow.yml says of {key} {' and '.join(sides)}, which run in one task. "
        f"Give them the same value, {remedy}."
    )


def _namespaces(node: Node) -> list[str]:
    """Return the namespaces that hold a node: of `a.b`, `a` and `a.b`."""
    parts = node.namespace.split(".") if node.namespace else []
    return [".".join(parts[: depth + 1]) for depth in range(len(parts))]


def _plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping) and depth < 2 * DEPTH:
        return {
            name if isinstance(name, str) else shown(name): _plain(item, depth + 1)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple | set) and depth < 2 * DEPTH:
        items = sorted(value, key=shown) if isinstance(value, set) else value
        return [_plain(item, depth + 1) for item in items]
    if isinstance(value, int | float):
        return value if abs(value) < 2**63 else shown(value)
    # Not its text, which may hold an address of this process.
    return f"<{type(value).__name__}>"


def _section(sections: Sections, pipeline: str) -> str | None:
    """Return the name of a pipeline's own section, None if another meaning has taken it."""
    if pipeline == "__default__" and pipeline not in sections:
        return WHOLE_PROJECT
    return None if pipeline in RESERVED else pipeline


def _own(sections: Sections, pipeline: str, report: Report) -> Values:
    name = _section(sections, pipeline)
    return _read(sections.get(name), name, IN_PIPELINE, report) if name else {}


def _read(section: object, path: str, keys: Mapping[str, Key], report: Report) -> Values:
    """Convert a section's values. What is wrong is reported, and None in the result."""
    values: Values = {}
    if section is None:
        return values
    if not isinstance(section, Mapping):
        report(f"{path} is {shown(section)}. It must be settings: {', '.join(keys)}.")
        return values
    for name, value in section.items():
        place = f"{path}.{_label(name)}"
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
        name: _read(settings, f"{place}.{_label(name)}", IN_TASK, report)
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
    return f"is no setting. {_choice(name, keys)}"


def _over(default: Values, own: Values) -> Values:
    """Return the values of a pipeline's own section over the default's."""
    values = {**default, **own}
    for key in KEYS:
        below, above = default.get(key.name), own.get(key.name)
        if key.kind.merged and below and above:
            values[key.name] = {**below, **above}
            if key.kind is SCOPED:
                values[key.name] |= {n: {**below[n], **above[n]} for n in below.keys() & above}
    return values


def _take(values: Values, where: str) -> Values:
    return {key.name: values[key.name] for key in KEYS if key.where == where and key.name in values}


def _check(
    sections: Sections, pipelines: Sequence[Pipeline], ids: Mapping[str, str], report: Report
) -> None:
    _check_sections(sections, [pipeline.name for pipeline in pipelines], report)
    default = _read(sections.get("default"), "default", IN_DEFAULT, report)
    _check_names(default, pipelines, "default", report)
    chosen: Values = {}
    for pipeline in pipelines:
        path = _section(sections, pipeline.name)
        own = _own(sections, pipeline.name, report)
        if path:
            _check_names(own, [pipeline], path, report)
        _check_together(default, own, path, report)
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
            report(f"{_label(name)} is no registered pipeline. {_choice(name, known)}")


def _check_names(values: Values, pipelines: Sequence[Pipeline], path: str, report: Report) -> None:
    """Report names of nodes, tags and namespaces that none of the pipelines has."""
    nodes = [node for pipeline in pipelines for node in pipeline.nodes]
    node_names = {node.name for node in nodes}
    known = {
        "nodes": ("node", node_names),
        "node_tags": ("tag of a node", {tag for node in nodes for tag in node.tags}),
        "namespaces": ("namespace", {name for node in nodes for name in _namespaces(node)}),
    }
    for key, (what, names) in known.items():
        for name in values.get(key) or ():
            if name not in names:
                report(f"{path}.{key}.{_label(name)} is no {what} here. {_choice(name, names)}")
    groups = values.get("grouping")
    grouped = [name for _, group in groups for name in group] if isinstance(groups, tuple) else []
    for name in grouped:
        if name not in node_names:
            report(f"{path}.grouping: {shown(name)} is no node here. {_choice(name, node_names)}")


def _check_together(default: Values, own: Values, section: str | None, report: Report) -> None:
    """Report values that are right alone and wrong together: Airflow refuses such a DAG."""
    values = _over(default, own)
    start, end = values.get("start_date"), values.get("end_date")
    schedule, runs = values.get("schedule"), values.get("max_active_runs")
    if start and end and end < start:
        keys, text = ("end_date", "start_date"), f"{end} is before {start}. Correct one of them."
    elif values.get("catchup") and schedule and not start:
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


def _selection(config: object, report: Report = lambda _: None) -> Values:
    section = config.get("pipelines") if isinstance(config, Mapping) else None
    return _read(section, "pipelines", IN_SELECTION, report)


def _check_selection(sections: Sections, pipelines: Sequence[str], report: Report) -> None:
    for key, patterns in _selection(sections, report).items():
        for pattern in patterns or ():
            if not any(fnmatchcase(name, pattern) for name in pipelines):
                what = f"pipelines.{key}: {shown(pattern)} matches no registered pipeline."
                report(f"{what} {_choice(pattern, pipelines)}")


def _check_ids(sections: Sections, chosen: Values, ids: Mapping[str, str], report: Report) -> None:
    taken = {name: dag_id or ids.get(name) for name, dag_id in chosen.items()}
    for name, dag_id in chosen.items():
        others = [other for other in taken if other != name and taken[other] == dag_id]
        if dag_id and others:
            report(
                f"{_section(sections, name)}.dag_id is {dag_id}, which is also the id of the "
                f"pipeline {_listed(others)}. Give each DAG an id of its own."
            )


def _choice(name: object, names: Iterable[str]) -> str:
    """Return the nearest of the names, and which there are."""
    names = sorted(names)
    return f"{nearest(name, names)} Known here: {_listed(names) or 'none'}.".strip()


def _listed(names: Iterable[str]) -> str:
    names = [_label(name) for name in names]
    more = f" and {len(names) - 40} more" if len(names) > 40 else ""
    return ", ".join(names[:40]) + more


def _label(name: object) -> str:
    """Return a name as it stands in a path, quoted if a path would not be clear with it."""
    plain = isinstance(name, str) and re.fullmatch(r"[\w.@-]{1,100}", name)
    return str(name) if plain else shown(name)
