"""A pipeline's nodes grouped into tasks, with the edges between the tasks. Pure functions."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from kedro_astro.errors import CrossingError
from kedro_astro.planning.ids import airflow_id, hashed
from kedro_astro.settings.use import namespaces_of
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
        removes: datasets of the run alone; to remove what it saved of them is all the task does.
    """

    task_id: str
    nodes: tuple[Node, ...]
    upstream: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    merged: bool = False
    hook: str | None = None
    removes: tuple[str, ...] = ()

    @property
    def namespaces(self) -> list[str]:
        """The namespaces that hold all its nodes and that its id begins with, outer ones first."""
        shared = set.intersection(*[set(namespaces_of(node)) for node in self.nodes] or [set()])
        return sorted(name for name in shared if self.task_id.startswith(f"{name}."))


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
    lasting = {name for name, dataset in datasets.items() if dataset.persistent}
    # What was loaded is confirmed by the process that loaded it: another would confirm more.
    crossing = lasting - {name for node in pipeline.nodes for name in node.confirms}
    links = links_between(pipeline.nodes)
    group = {node.name: node.name for node in pipeline.nodes}
    titles = {frozenset(n): title for title, n in _together(pipeline.nodes, crossing, grouping)}
    for together in titles:
        group = _merge(group, {group[name] for name in together})
    wanted = Counter(group.values())
    while True:
        edges = _edges(group, links)
        try:
            order = [*TopologicalSorter(edges).static_order()]
            break
        except CycleError as error:
            group = _merge(group, set(error.args[1]))
    for producer, name, consumer in links:
        if group[producer] != group[consumer] and name not in crossing:
            raise CrossingError(
                pipeline=pipeline.name, dataset=name, producer=producer, consumer=consumer
            )
    members: dict[str, list[Node]] = {name: [] for name in order}
    for node in pipeline.nodes:
        members[group[node.name]].append(node)
    ids = _task_ids(members, titles)
    return tuple(
        Task(
            task_id=ids[name],
            nodes=tuple(nodes),
            upstream=tuple(sorted({ids[before] for before in edges[name]})),
            inputs=tuple(sorted(lasting & _external_inputs(nodes))),
            outputs=tuple(sorted(lasting & {name for node in nodes for name in node.outputs})),
            merged=len(nodes) > wanted[name],
        )
        for name, nodes in members.items()
    )


def links_between(nodes: Sequence[Node]) -> list[tuple[str, str, str]]:
    """Return, for each input that another node makes: that node, the input, who needs it; and for
    each dataset that a node confirms: who loads it, the dataset, that node."""
    producer = {untranscoded(name): node.name for node in nodes for name in node.outputs}
    loads = [(name, node.name) for node in nodes for name in node.inputs if not is_parameter(name)]
    confirms = [(name, node.name) for node in nodes for name in node.confirms]
    made = [(producer[untranscoded(n)], n, who) for n, who in loads if untranscoded(n) in producer]
    return made + [(a, n, b) for n, b in confirms for name, a in loads if name == n and a != b]


def _together(
    nodes: Sequence[Node], lasting: Collection[str], grouping: Grouping
) -> Iterator[tuple[str, Collection[str]]]:
    """Yield names of nodes that the grouping wants in one task, and before them what it is called,
    if the grouping says so; two tasks that overlap make one."""
    if not isinstance(grouping, str):
        yield from grouping.items()
        named = {name for group in grouping.values() for name in group}
        nodes, grouping = [node for node in nodes if node.name not in named], "memory"
    shared: dict[str, list[str]] = {}
    for node in nodes:
        for key in _keys(node, lasting, grouping):
            shared.setdefault(key, []).append(node.name)
    yield from ((k if grouping == "tag" and n[1:] else "", n) for k, n in shared.items())


def _keys(node: Node, lasting: Collection[str], grouping: str) -> Iterable[str]:
    """Return what brings a node together with others that have it too."""
    keys: dict[str, Iterable[str]] = {
        "memory": [untranscoded(name) for name in node.datasets if name not in lasting],
        "namespace": [node.namespace.partition(".")[0]] if node.namespace else [],
        "tag": node.tags,
        "pipeline": ["all of them"],
    }
    return keys.get(grouping, [])


def _merge(group: Mapping[str, str], merged: Collection[str]) -> dict[str, str]:
    """Return `group` with the groups in `merged` made one, named by its first node."""
    first = next((name for name in group.values() if name in merged), "")
    return {node: first if name in merged else name for node, name in group.items()}


def _edges(group: Mapping[str, str], links: Iterable[tuple[str, str, str]]) -> dict[str, list[str]]:
    """Return the groups that each group waits for, in the same order in every process."""
    edges: dict[str, list[str]] = {name: [] for name in group.values()}
    for producer, _, consumer in links:
        if group[producer] != group[consumer]:
            edges[group[consumer]].append(group[producer])
    return edges


def _task_ids(members: dict[str, list[Node]], titles: dict[frozenset[str], str]) -> dict[str, str]:
    """Name each group as the grouping says or after its nodes; where two names would meet, a hash
    tells them apart."""
    sizes = Counter(node.namespace for nodes in members.values() for node in nodes)
    names = {group: [node.name for node in nodes] for group, nodes in members.items()}
    ids = {
        group: airflow_id(titles.get(frozenset(names[group])) or _group_name(nodes, sizes))
        for group, nodes in members.items()
    }
    taken = Counter(ids.values())
    return {g: name if taken[name] == 1 else hashed(name, *names[g]) for g, name in ids.items()}


def _group_name(nodes: Sequence[Node], sizes: Mapping[str | None, int]) -> str:
    """Name a group after the namespace that it is all of, or after its nodes.

    Args:
        nodes: of the group.
        sizes: how many nodes of the pipeline are in each namespace, not counting inner ones.
    """
    shared = nodes[0].namespace if len({node.namespace for node in nodes}) == 1 else None
    if shared and 1 < len(nodes) == sizes[shared]:
        return shared
    prefix = f"{shared}." if shared else ""
    return prefix + "__".join(node.name.removeprefix(prefix) for node in nodes)


def _external_inputs(nodes: Sequence[Node]) -> set[str]:
    made_here = {untranscoded(name) for node in nodes for name in node.outputs}
    return {name for node in nodes for name in node.inputs if untranscoded(name) not in made_here}
