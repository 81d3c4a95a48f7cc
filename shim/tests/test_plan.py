"""Grouping is algebra: what must hold of every pipeline is tested on random ones."""

from __future__ import annotations

import re
from graphlib import TopologicalSorter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kedro_astro.plan import MAX_ID, airflow_id, dag_id, node_dependencies, tasks
from kedro_astro.structure import Dataset, Node, Pipeline, untranscoded

FILE = Dataset("pickle.PickleDataset", persistent=True, location="data/x.pickle")
MEMORY = Dataset("MemoryDataset", persistent=False)


def ids(*nodes: Node, **datasets: Dataset) -> dict[str, tuple[str, ...]]:
    """The planned tasks, each with its upstream tasks."""
    return {task.task_id: task.upstream for task in tasks(Pipeline("p", nodes), datasets)}


@st.composite
def pipelines(draw: st.DrawFn) -> tuple[Pipeline, dict[str, Dataset]]:
    """A pipeline in topological order with files, memory, parameters and transcoding."""
    datasets: dict[str, Dataset] = {}
    nodes: list[Node] = []
    made = ["source"]
    for number in range(draw(st.integers(1, 12))):
        inputs = draw(st.lists(st.sampled_from(made), max_size=3, unique=True))
        output = f"d{number}{draw(st.sampled_from(['', '@a']))}"
        datasets[output] = datasets[untranscoded(output) + "@b"] = draw(
            st.sampled_from([FILE, MEMORY])
        )
        namespace = draw(st.sampled_from([None, "ns"]))
        name = f"{namespace}.n{number}" if namespace else f"n{number}"
        nodes.append(Node(name, (*inputs, "params:x"), (output,), namespace))
        made.append(untranscoded(output) + "@b" if "@" in output else output)
    return Pipeline("p", tuple(nodes)), datasets


@given(pipelines())
def test_every_node_is_in_exactly_one_task(case: tuple[Pipeline, dict[str, Dataset]]) -> None:
    pipeline, datasets = case
    planned = [node.name for task in tasks(pipeline, datasets) for node in task.nodes]
    assert sorted(planned) == sorted(node.name for node in pipeline.nodes)


@given(pipelines())
def test_tasks_form_no_cycle_and_keep_every_dependency(
    case: tuple[Pipeline, dict[str, Dataset]],
) -> None:
    pipeline, datasets = case
    planned = tasks(pipeline, datasets)
    task_of = {node.name: task.task_id for task in planned for node in task.nodes}
    upstream = {task.task_id: set(task.upstream) for task in planned}
    TopologicalSorter(upstream).prepare()
    for node, producers in node_dependencies(pipeline.nodes).items():
        for producer in producers:
            assert (
                task_of[producer] == task_of[node] or task_of[producer] in upstream[task_of[node]]
            )


@given(pipelines())
def test_memory_never_crosses_tasks(case: tuple[Pipeline, dict[str, Dataset]]) -> None:
    pipeline, datasets = case
    for task in tasks(pipeline, datasets):
        made = {untranscoded(name) for node in task.nodes for name in node.outputs}
        for node in task.nodes:
            for name in node.inputs:
                produced = any(
                    untranscoded(name) == untranscoded(output)
                    for other in pipeline.nodes
                    for output in other.outputs
                )
                if produced and not datasets[name].persistent:
                    assert untranscoded(name) in made


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
