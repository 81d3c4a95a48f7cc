"""What a project's `airflow.yml` says of its DAGs, checked; `settings_keys` has each single key.

The mapping comes from Kedro's configuration loader, with files and environments merged. `discover`
keeps it in the manifest (`normalise`), and what is wrong with it (`problems`); `dags` reads it at
every parse. A setting that is null counts as not said, and takes back what `default` says.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from typing import Any

from kedro_astro.errors import SettingsError
from kedro_astro.settings.keys import IN_DEFAULT, KEYS
from kedro_astro.settings.read import (
    Sections,
    Values,
    check_together,
    namespaces_of,
    over,
    own_values,
    read_section,
    section_of,
    selection,
)
from kedro_astro.settings.values import DEPTH, shown
from kedro_astro.structure import Node


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
        pipeline_hooks: `task` or `run`: what fires Kedro's before_ and after_pipeline_run once.
        nodes, node_tags, namespaces: arguments for single tasks, by name; see `for_task`.
    """

    dag: Mapping[str, Any] = field(default_factory=dict)
    task: Mapping[str, Any] = field(default_factory=dict)
    grouping: str | tuple[tuple[str | None, tuple[str, ...]], ...] | None = None
    dag_id: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    pipeline_hooks: str = "task"
    nodes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    node_tags: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    namespaces: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def normalise(raw: object) -> Values:
    """Return `raw` as JSON-serializable data, `{}` if it is no mapping. It never raises.

    Dates become ISO texts, and what JSON does not have becomes a text that shows it.
    """
    return dict(_plain(raw, 0)) if isinstance(raw, Mapping) else {}


def selected(config: object, names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the pipelines that become DAGs, in the order of `names`.

    Those that match `include`, which is all of them if it is not there, and not `exclude`. A
    pattern that `problems` refuses counts as not there.
    """
    said = selection(config)
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
    default = read_section(sections.get("default"), "default", IN_DEFAULT, wrong.append)
    own = own_values(sections, name, wrong.append)
    check_together(default, own, section_of(sections, name), wrong.append)
    if wrong:
        raise SettingsError(f"airflow.yml, for the pipeline {name}:\n" + "\n".join(wrong))
    said = {key: value for key, value in over(default, own).items() if value is not None}
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
    for depth, namespace in enumerate(namespaces_of(node), start=1):
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


def _take(values: Values, where: str) -> Values:
    return {key.name: values[key.name] for key in KEYS if key.where == where and key.name in values}
