"""A pipeline's nodes grouped into tasks, with the edges between the tasks. Pure functions."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from kedro_astro.structure import Dataset, Node, Pipeline, is_parameter, untranscoded

MAX_ID = 120
"""Longest id made here; Airflow allows 250, but a screen shows less."""


@dataclass(frozen=True)
class Task:
    """A group of nodes that one Airflow task runs in one Kedro session.

    Attributes:
        task_id: unique in its pipeline, of the characters that Airflow allows.
        nodes: in the pipeline's topological order, at least one.
        upstream: ids of the tasks that must run before, sorted.
        inputs: persistent datasets that come from outside the task, sorted.
        outputs: persistent datasets that the task saves, sorted.
    """

    task_id: str
    nodes: tuple[Node, ...]
    upstream: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def dag_id(package_name: str, pipeline_name: str) -> str:
    """Return the id of a pipeline's DAG: the package's name, with the pipeline's behind a dot.

    `__default__`, the whole project, is the package's name alone. A package name is an
    identifier and has no dot, so one pipeline's id is never another's.
    """
    if pipeline_name == "__default__":
        return package_name
    return f"{package_name}.{airflow_id(pipeline_name)}"


def airflow_id(name: str) -> str:
    """Return `name` if Airflow takes it as an id, else a readable stand-in with a hash.

    The hash is of the whole name, so two names never share a stand-in.
    """
    slug = re.sub(r"[^A-Za-z0-9_.-]+", "_", name)
    return name if slug == name and len(name) <= MAX_ID else _hashed(slug, name)


def tasks(pipeline: Pipeline, datasets: Mapping[str, Dataset]) -> tuple[Task, ...]:
    """Group a pipeline's nodes into tasks so that no in-memory dataset crosses two of them.

    Nodes joined by an in-memory dataset share a task; groups that would then wait for each
    other are merged, so the tasks never form a cycle.

    Args:
        pipeline: its nodes in topological order.
        datasets: the catalog; a name that it lacks is in memory, as in Kedro.

    Returns:
        The tasks in topological order.
    """
    dependencies = node_dependencies(pipeline.nodes)
    groups = _memory_groups(pipeline.nodes, datasets)
    groups, edges = _merge_cycles(groups, dependencies)
    members: dict[str, tuple[Node, ...]] = {
        group: () for group in TopologicalSorter(edges).static_order()
    }
    for node in pipeline.nodes:
        members[groups[node.name]] += (node,)
    ids = _task_ids(members)
    return tuple(
        Task(
            task_id=ids[group],
            nodes=nodes,
            upstream=tuple(sorted(ids[before] for before in edges[group])),
            inputs=_external_inputs(nodes, datasets),
            outputs=_persistent((name for node in nodes for name in node.outputs), datasets),
        )
        for group, nodes in members.items()
    )


def node_dependencies(nodes: Sequence[Node]) -> dict[str, set[str]]:
    """Return, for each node's name, the names of the nodes that make its inputs."""
    producer = {untranscoded(name): node.name for node in nodes for name in node.outputs}
    return {
        node.name: {
            producer[untranscoded(name)]
            for name in node.inputs
            if not is_parameter(name) and untranscoded(name) in producer
        }
        for node in nodes
    }


def _memory_groups(nodes: Sequence[Node], datasets: Mapping[str, Dataset]) -> dict[str, str]:
    """Map each node to its group's first node; in-memory datasets join their nodes."""
    group = {node.name: node.name for node in nodes}
    first_user: dict[str, str] = {}
    for node in nodes:
        for name in (*node.inputs, *node.outputs):
            if is_parameter(name) or _is_persistent(name, datasets):
                continue
            other = group[first_user.setdefault(untranscoded(name), node.name)]
            if other != group[node.name]:
                group = _merge(group, {other, group[node.name]})
    return group


def _merge_cycles(
    group: dict[str, str], dependencies: Mapping[str, set[str]]
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Merge groups that wait for each other; return the groups and the edges between them."""
    while True:
        before: dict[str, set[str]] = {name: set() for name in group.values()}
        for node, producers in dependencies.items():
            before[group[node]] |= {group[name] for name in producers} - {group[node]}
        # Sorted, because the order of a set of strings changes from process to process.
        edges = {name: sorted(names) for name, names in before.items()}
        try:
            TopologicalSorter(edges).prepare()
            return group, edges
        except CycleError as error:
            group = _merge(group, set(error.args[1]))


def _merge(group: Mapping[str, str], merged: set[str]) -> dict[str, str]:
    """Return `group` with the groups in `merged` made one, named by its first node."""
    first = next(name for name in group.values() if name in merged)
    return {node: first if name in merged else name for node, name in group.items()}


def _task_ids(members: Mapping[str, Sequence[Node]]) -> dict[str, str]:
    """Name each group after its nodes; where two names would meet, a hash tells them apart."""
    everyone = [node for nodes in members.values() for node in nodes]
    ids = {group: airflow_id(_group_name(nodes, everyone)) for group, nodes in members.items()}
    taken = Counter(ids.values())
    return {
        group: name if taken[name] == 1 else _hashed(name, *(node.name for node in members[group]))
        for group, name in ids.items()
    }


def _group_name(nodes: Sequence[Node], everyone: Sequence[Node]) -> str:
    """Name a group after its node, or the namespace that it is all of, or its nodes' names."""
    if len(nodes) == 1:
        return nodes[0].name
    namespaces = {node.namespace for node in nodes}
    namespace = namespaces.pop() if len(namespaces) == 1 else None
    if namespace is None:
        return "__".join(node.name for node in nodes)
    if len(nodes) == sum(node.namespace == namespace for node in everyone):
        return namespace
    names = (node.name.removeprefix(f"{namespace}.") for node in nodes)
    return f"{namespace}.{'__'.join(names)}"


def _hashed(readable: str, *names: str) -> str:
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:8]
    return "-".join(filter(None, (readable[: MAX_ID - 9].strip("_.-"), digest)))


def _external_inputs(nodes: Sequence[Node], datasets: Mapping[str, Dataset]) -> tuple[str, ...]:
    made_here = {untranscoded(name) for node in nodes for name in node.outputs}
    used = (name for node in nodes for name in node.inputs if untranscoded(name) not in made_here)
    return _persistent(used, datasets)


def _persistent(names: Iterable[str], datasets: Mapping[str, Dataset]) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if _is_persistent(name, datasets)}))


def _is_persistent(name: str, datasets: Mapping[str, Dataset]) -> bool:
    return name in datasets and datasets[name].persistent
