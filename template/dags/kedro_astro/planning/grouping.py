"""A pipeline's nodes grouped into tasks, with the edges between the tasks. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import takewhile

from kedro_astro.errors import CrossingError
from kedro_astro.planning.ids import airflow_id, hashed
from kedro_astro.structure import Dataset, Node, Pipeline, is_parameter, untranscoded

Grouping = str | Mapping[str, Collection[str]]


@dataclass(frozen=True)
class Task:
    """A group of nodes that one Airflow task runs in one Kedro session.

    Attributes:
        task_id: unique in its pipeline, of the characters that Airflow allows.
        nodes: in the pipeline's topological order; none if it has a `hook`.
        upstream: ids of the tasks that must run before, sorted.
        inputs: persistent datasets that come from outside the task, sorted.
        outputs: persistent datasets that the task saves, sorted.
        merged: whether it holds more than the grouping asks for, because groups would have waited
            for each other.
        hook: Kedro's hook that is all the task does, once a DAG run.
    """

    task_id: str
    nodes: tuple[Node, ...]
    upstream: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    merged: bool = False
    hook: str | None = None

    @property
    def namespace(self) -> str | None:
        """The innermost namespace that all its nodes are in."""
        paths = [(node.namespace or "").split(".") for node in self.nodes]
        same = takewhile(lambda parts: len(set(parts)) == 1, zip(*paths, strict=False))
        return ".".join(parts[0] for parts in same) or None


def tasks(
    pipeline: Pipeline, datasets: Mapping[str, Dataset], grouping: Grouping = "memory"
) -> tuple[Task, ...]:
    """Group a pipeline's nodes into tasks. The tasks never form a cycle: groups that would wait
    for each other are merged.

    Args:
        pipeline: its nodes in topological order.
        datasets: the catalog; a name that it lacks is in memory, as in Kedro.
        grouping: which nodes share a task: those that share an in-memory dataset (`memory`), a
            top-level `namespace` or a `tag`, all of them (`pipeline`), none (`node`), or those of
            one hand-written group: names of nodes by the name of their task. The nodes that no
            such group names are grouped by memory.

    Returns:
        The tasks in topological order.

    Raises:
        CrossingError: if an in-memory dataset would have to cross from one task to another.
    """
    dependencies = node_dependencies(pipeline.nodes)
    group = {node.name: node.name for node in pipeline.nodes}
    for together in _together(pipeline.nodes, datasets, grouping):
        group = _merge(group, {group[name] for name in together})
    wanted = Counter(group.values())
    group, edges = _merge_cycles(group, dependencies)
    members: dict[str, tuple[Node, ...]] = {
        name: () for name in TopologicalSorter(edges).static_order()
    }
    for node in pipeline.nodes:
        members[group[node.name]] += (node,)
    _refuse_crossings(pipeline, datasets, group)
    ids = _task_ids(members, {} if isinstance(grouping, str) else grouping)
    return tuple(
        Task(
            task_id=ids[name],
            nodes=nodes,
            upstream=tuple(sorted(ids[before] for before in edges[name])),
            inputs=_external_inputs(nodes, datasets),
            outputs=_persistent((output for node in nodes for output in node.outputs), datasets),
            merged=len(nodes) > wanted[name],
        )
        for name, nodes in members.items()
    )


def _together(
    nodes: Sequence[Node], datasets: Mapping[str, Dataset], grouping: Grouping
) -> Iterator[Collection[str]]:
    """Yield names of nodes that the grouping wants in one task; two that overlap make one."""
    if not isinstance(grouping, str):
        yield from grouping.values()
        named = {name for group in grouping.values() for name in group}
        nodes, grouping = [node for node in nodes if node.name not in named], "memory"
    shared: dict[str, list[str]] = {}
    for node in nodes:
        for key in _keys(node, datasets, grouping):
            shared.setdefault(key, []).append(node.name)
    yield from shared.values()


def _keys(node: Node, datasets: Mapping[str, Dataset], grouping: str) -> Iterable[str]:
    """Return what brings a node together with others that have it too."""
    if grouping == "memory":
        return [untranscoded(name) for name in node.datasets if not _is_persistent(name, datasets)]
    if grouping == "namespace":
        return [node.namespace.partition(".")[0]] if node.namespace else []
    if grouping == "tag":
        return node.tags
    return ["all of them"] if grouping == "pipeline" else []


def _refuse_crossings(
    pipeline: Pipeline, datasets: Mapping[str, Dataset], group: Mapping[str, str]
) -> None:
    producer = {untranscoded(name): node.name for node in pipeline.nodes for name in node.outputs}
    for node in pipeline.nodes:
        for name in node.inputs:
            source = producer.get(untranscoded(name))
            if source is None or is_parameter(name) or _is_persistent(name, datasets):
                continue
            if group[source] != group[node.name]:
                raise CrossingError(pipeline.name, name, source, node.name)


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
    if len(merged) < 2:
        return dict(group)
    first = next(name for name in group.values() if name in merged)
    return {node: first if name in merged else name for node, name in group.items()}


def _task_ids(
    members: Mapping[str, Sequence[Node]], written: Mapping[str, Collection[str]]
) -> dict[str, str]:
    """Name each group as it is written by hand or after its nodes; where two names would meet, a
    hash tells them apart."""
    everyone = [node for nodes in members.values() for node in nodes]
    names = {frozenset(nodes): name for name, nodes in written.items()}
    ids = {
        group: airflow_id(
            names.get(frozenset(node.name for node in nodes)) or _group_name(nodes, everyone)
        )
        for group, nodes in members.items()
    }
    taken = Counter(ids.values())
    return {
        group: name if taken[name] == 1 else hashed(name, *(node.name for node in members[group]))
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


def _external_inputs(nodes: Sequence[Node], datasets: Mapping[str, Dataset]) -> tuple[str, ...]:
    made_here = {untranscoded(name) for node in nodes for name in node.outputs}
    used = (name for node in nodes for name in node.inputs if untranscoded(name) not in made_here)
    return _persistent(used, datasets)


def _persistent(names: Iterable[str], datasets: Mapping[str, Dataset]) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if _is_persistent(name, datasets)}))


def _is_persistent(name: str, datasets: Mapping[str, Dataset]) -> bool:
    return name in datasets and datasets[name].persistent
