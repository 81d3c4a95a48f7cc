"""Grouping is algebra: what must hold of every pipeline is tested on random ones."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable
from graphlib import CycleError, TopologicalSorter
from random import Random
from typing import get_args

import kedro.pipeline
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro.io import AbstractDataset, DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro_astro.errors import CrossingError
from kedro_astro.planning.grouping import Grouping, links_between, tasks
from kedro_astro.planning.ids import MAX_ID, airflow_id
from kedro_astro.planning.plan import dag_id, plan_all
from kedro_astro.settings.models import GroupingName
from kedro_astro.structure import Dataset, Node, Pipeline, Structure, untranscoded

FILE = Dataset("pickle.PickleDataset", persistent=True, location="data/x.pickle")
MEMORY = Dataset("MemoryDataset", persistent=False)


logging.getLogger("kedro").setLevel(logging.WARNING)  # thousands of small runs

ALL_GROUPINGS = st.sampled_from(get_args(GroupingName))


def ids(*nodes: Node, grouping: Grouping = "memory", **datasets: Dataset) -> dict:
    """The planned tasks, each with its upstream tasks."""
    planned = tasks(Pipeline("p", nodes), datasets, grouping)
    return {task.task_id: task.upstream for task in planned}


@st.composite
def pipelines(draw: st.DrawFn, transcoding: bool = True) -> tuple[Pipeline, dict[str, Dataset]]:
    """A pipeline in topological order with files, memory, parameters and transcoding."""
    datasets: dict[str, Dataset] = {}
    nodes: list[Node] = []
    made = ["source"]
    for number in range(draw(st.integers(1, 12))):
        inputs = draw(st.lists(st.sampled_from(made), max_size=3, unique=True))
        output = f"d{number}{draw(st.sampled_from(['', '@a'] if transcoding else ['']))}"
        datasets[output] = datasets[untranscoded(output) + "@b"] = draw(
            st.sampled_from([FILE, MEMORY])
        )
        namespace = draw(st.sampled_from([None, "ns"]))
        name = f"{namespace}.n{number}" if namespace else f"n{number}"
        tags = tuple(draw(st.sets(st.sampled_from(["t", "u"]), max_size=1)))
        nodes.append(Node(name, (*inputs, "params:x"), (output,), namespace, tags))
        made.append(untranscoded(output) + "@b" if "@" in output else output)
    return Pipeline("p", tuple(nodes)), datasets


def with_files_only(datasets: dict[str, Dataset]) -> dict[str, Dataset]:
    return dict.fromkeys(datasets, FILE)


@given(pipelines(), ALL_GROUPINGS)
def test_every_node_is_in_exactly_one_task(
    case: tuple[Pipeline, dict[str, Dataset]], grouping: str
) -> None:
    pipeline, datasets = case
    found = tasks(pipeline, with_files_only(datasets), grouping)
    planned = [node.name for task in found for node in task.nodes]
    assert sorted(planned) == sorted(node.name for node in pipeline.nodes)


@given(pipelines(), ALL_GROUPINGS)
def test_tasks_form_no_cycle_and_keep_every_dependency(
    case: tuple[Pipeline, dict[str, Dataset]], grouping: str
) -> None:
    pipeline, datasets = case
    planned = tasks(pipeline, with_files_only(datasets), grouping)
    task_of = {node.name: task.task_id for task in planned for node in task.nodes}
    upstream = {task.task_id: set(task.upstream) for task in planned}
    TopologicalSorter(upstream).prepare()
    for producer, _, node in links_between(pipeline.nodes):
        assert task_of[producer] == task_of[node] or task_of[producer] in upstream[task_of[node]]


@given(pipelines(), ALL_GROUPINGS)
def test_a_grouping_keeps_memory_together_or_refuses(
    case: tuple[Pipeline, dict[str, Dataset]], grouping: str
) -> None:
    pipeline, datasets = case
    try:
        planned = tasks(pipeline, datasets, grouping)
    except CrossingError as error:
        assert grouping != "memory" and "Declare" in str(error)
        return
    task_of = {node.name: task.task_id for task in planned for node in task.nodes}
    producer = {untranscoded(d): n.name for n in pipeline.nodes for d in n.outputs}
    for node in pipeline.nodes:
        for name in node.inputs:
            if name in datasets and not datasets[name].persistent:
                assert task_of[producer[untranscoded(name)]] == task_of[node.name]


@given(pipelines(transcoding=False), ALL_GROUPINGS, st.randoms())
@settings(max_examples=50, deadline=None)
def test_tasks_in_any_order_give_what_a_sequential_run_gives(
    case: tuple[Pipeline, dict[str, Dataset]], grouping: str, random: Random
) -> None:
    """Each task has a catalog of its own; only what is persistent is handed on."""
    pipeline, datasets = case
    try:
        planned = {task.task_id: task for task in tasks(pipeline, datasets, grouping)}
    except CrossingError:
        return
    together, whole, lasting = kedros(pipeline), {}, {}
    SequentialRunner().run(together, catalog(datasets, whole))
    waiting = TopologicalSorter({name: task.upstream for name, task in planned.items()})
    waiting.prepare()
    while waiting.is_active():
        for task_id in random.sample(ready := list(waiting.get_ready()), len(ready)):
            nodes = together.only_nodes(*(node.name for node in planned[task_id].nodes))
            SequentialRunner().run(nodes, catalog(datasets, lasting))
            waiting.done(task_id)
    assert lasting == whole


class Stored(AbstractDataset):
    """What a file is to Kedro, kept in a dict."""

    def __init__(self, name: str, store: dict[str, object]) -> None:
        self.name, self.store = name, store

    def _load(self) -> object:
        return self.store[self.name]

    def _save(self, data: object) -> None:
        self.store[self.name] = data

    def _describe(self) -> dict[str, str]:
        return {"name": self.name}


def catalog(datasets: dict[str, Dataset], store: dict[str, object]) -> DataCatalog:
    """A new catalog: what is persistent is in `store`, the rest in the memory of this catalog."""
    files = {name: Stored(name, store) for name, found in datasets.items() if found.persistent}
    given = {"source": MemoryDataset("source"), "params:x": MemoryDataset(1)}
    return DataCatalog({**given, **files})


@given(pipelines())
def test_node_is_what_kedro_calls_no_grouping(
    case: tuple[Pipeline, dict[str, Dataset]],
) -> None:
    pipeline, datasets = case
    planned = tasks(pipeline, with_files_only(datasets), "node")
    ours = {(task.nodes[0].name, frozenset(task.upstream)) for task in planned}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        groups = kedros(pipeline).group_nodes_by(None)
    assert ours == {(group.name, frozenset(group.dependencies)) for group in groups}


@given(pipelines())
def test_namespace_is_kedros_grouping_where_that_has_no_cycle(
    case: tuple[Pipeline, dict[str, Dataset]],
) -> None:
    pipeline, datasets = case
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        groups = kedros(pipeline).group_nodes_by("namespace")
    try:
        TopologicalSorter({group.name: group.dependencies for group in groups}).prepare()
    except CycleError:
        return
    planned = tasks(pipeline, with_files_only(datasets), "namespace")
    ours = {frozenset(node.name for node in task.nodes) for task in planned}
    assert ours == {frozenset(group.nodes) for group in groups}
    assert not any(task.merged for task in planned)


def remembering(name: str) -> Callable[..., list]:
    """A function whose result says which node was given what."""
    return lambda *inputs: [(name, inputs)]


def kedros(pipeline: Pipeline) -> kedro.pipeline.Pipeline:
    """The same pipeline, made of Kedro's own nodes."""
    nodes = [
        kedro.pipeline.node(
            remembering(node.name),
            list(node.inputs),
            list(node.outputs),
            name=node.name.rpartition(".")[2],
            namespace=node.namespace,
        )
        for node in pipeline.nodes
    ]
    return kedro.pipeline.Pipeline(nodes)


@given(pipelines())
def test_nodes_run_in_the_pipelines_order(case: tuple[Pipeline, dict[str, Dataset]]) -> None:
    pipeline, datasets = case
    order = [node.name for node in pipeline.nodes]
    for task in tasks(pipeline, datasets):
        positions = [order.index(node.name) for node in task.nodes]
        assert positions == sorted(positions)


def test_groups_that_wait_for_each_other_are_merged() -> None:
    """a→c in memory and a→b→c through files: kedro-airflow makes `a_c ⇄ b` of it."""
    a = Node("a", (), ("memory", "file1"))
    b = Node("b", ("file1",), ("file2",))
    c = Node("c", ("memory", "file2"), ("end",))
    assert ids(a, b, c, file1=FILE, file2=FILE, end=FILE) == {"a__b__c": ()}


def test_merged_groups_are_marked() -> None:
    a, b, c = Node("a", (), ("m", "x")), Node("b", ("x",), ("y",)), Node("c", ("m", "y"), ("z",))
    files = {"x": FILE, "y": FILE, "z": FILE}
    (task,) = tasks(Pipeline("p", (a, b, c)), files)
    assert task.merged
    assert not any(task.merged for task in tasks(Pipeline("p", (a, b, c)), {**files, "m": FILE}))


def test_groups_written_by_hand_have_their_own_names() -> None:
    a, b, c = Node("a", (), ("x",)), Node("b", ("x",), ("y",)), Node("c", ("y",), ("z",))
    files = {"x": FILE, "y": FILE, "z": FILE}
    assert ids(a, b, c, grouping={"load": ["a", "b"]}, **files) == {"load": (), "c": ("load",)}


@pytest.mark.parametrize("grouping", ["node", "namespace", "tag", {"mine": ["a"]}])
def test_memory_that_would_cross_is_refused(grouping: Grouping) -> None:
    a, b = Node("a", (), ("frame",)), Node("b", ("frame",), ("y",))
    with pytest.raises(CrossingError) as error:
        ids(a, b, grouping=grouping, y=FILE)
    for part in ("Pipeline p", "dataset frame", "node a", "node b", "Declare", "grouping: memory"):
        assert part in str(error.value)


def test_transcoding_keeps_the_dependency() -> None:
    a, b = Node("a", (), ("p@pandas",)), Node("b", ("p@spark",), ("end",))
    datasets = {"p@pandas": FILE, "p@spark": FILE, "end": FILE}
    assert ids(a, b, **datasets) == {"a": (), "b": ("a",)}


def test_parameters_join_nothing() -> None:
    nodes = [Node(name, ("params:seed", "parameters"), (f"{name}1",)) for name in "ab"]
    assert ids(*nodes, a1=FILE, b1=FILE) == {"a": (), "b": ()}


def test_a_whole_namespace_is_a_task_of_its_name() -> None:
    a = Node("ns.a", (), ("ns.x",), "ns")
    b = Node("ns.b", ("ns.x",), ("y",), "ns")
    c = Node("ns.c", ("y",), ("z",), "ns")
    assert ids(a, b, y=FILE) == {"ns": ()}
    assert ids(a, b, c, y=FILE, z=FILE) == {"ns.a__b": (), "ns.c": ("ns.a__b",)}


def test_a_task_of_a_tag_is_called_like_it() -> None:
    """Not like a namespace that happens to hold the same nodes."""
    a = Node("ns.a", (), ("ns.x",), "ns", tags=("etl", "nightly"))
    b = Node("ns.b", ("ns.x",), ("y",), "ns", tags=("etl",))
    c = Node("c", ("y",), ("z",), tags=("single",))
    files = {"ns.x": FILE, "y": FILE, "z": FILE}
    assert ids(a, b, c, grouping="tag", **files) == {"etl": (), "c": ("etl",)}


def test_tasks_that_would_have_one_name_have_two() -> None:
    joined = [Node("a", (), ("m",)), Node("b", ("m",), ("x",))]
    single = Node("a__b", (), ("y",))
    names = list(ids(*joined, single, x=FILE, y=FILE))
    assert len(set(names)) == 2 and all(name.startswith("a__b-") for name in names)


def test_the_whole_project_is_called_like_its_package() -> None:
    assert dag_id("shop", "__default__") == "shop"
    assert dag_id("shop", "sales") == "shop.sales"


@pytest.mark.parametrize("name", ["data science", "split([x;y]) -> [z]", "日本", "a/b", "x" * 300])
def test_names_that_airflow_refuses_get_a_stand_in(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", airflow_id(name))
    assert len(airflow_id(name)) <= MAX_ID


@given(st.lists(st.text(min_size=1), min_size=2, unique=True))
def test_no_two_names_share_an_id(names: list[str]) -> None:
    assert len({airflow_id(name) for name in names}) == len(names)


def test_two_pipelines_never_share_a_dag() -> None:
    """One may be called just like the stand-in of another."""
    stand_in = airflow_id("a b")
    node = Node("one", (), ("made",))
    pipelines = (Pipeline(stand_in, (node,)), Pipeline("a b", (node,)))
    plans, refused = plan_all(Structure("shop", "Shop", "", pipelines, {}))
    assert plans.keys() == {stand_in}
    assert f"shop.{stand_in}" in refused["a b"] and "dag_id" in refused["a b"]


def test_nodes_that_no_hand_written_group_names_are_grouped_by_memory() -> None:
    nodes = (
        Node("a", (), ("x",)),
        Node("b", ("x",), ("y",)),
        Node("c", ("y",), ("z",)),
        Node("d", ("z",), ("w",)),
    )
    datasets = {"y": FILE, "w": FILE}
    planned = tasks(Pipeline("p", nodes), datasets, {"mine": ["a", "b"]})
    assert [task.task_id for task in planned] == ["mine", "c__d"]
