"""Kedro's parameters in trigger forms: which can be there, and what a run may be started with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kedro_astro.reading.parameters import for_form
from kedro_astro.structure import leaves, nested
from parsing import parse
from projects import CATALOG, MakeProject, load

WEIRD = """
depth: .nan
size: 3
1: one
big: 99999999999999999999999999
list: [1, {3: 4}]
a.b: 3
inner: {ok: 1, 2: x}
"""
USES_ALL = """
from kedro.pipeline import node, pipeline
def create_pipeline(**kwargs):
    return pipeline([node(lambda x, y: x, ["raw", "parameters"], "total", name="first")])
"""
EXECUTE = """
import datetime
from types import SimpleNamespace as Thing
dag = found["shop.sales"]
task = dag.get_task("first")
NOW = datetime.datetime(2026, 1, 1)
run = Thing(dag_id=dag.dag_id, run_id="one", run_after=NOW, start_date=NOW)
params = {"size": 3, "model.depth": 1, **{given}}
try:
    task.execute({"dag_run": run, "ti": Thing(try_number=1), "params": params, "dag": dag})
    print(json.dumps(""))
except Exception as error:
    print(json.dumps(type(error).__name__ + ": " + str(error)))
"""

names = st.text("abc", min_size=1, max_size=2)
values = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=3))
parameters = st.recursive(
    st.dictionaries(names, values, max_size=3),
    lambda inner: st.dictionaries(names, values | inner, max_size=3),
    max_leaves=10,
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # Nested dictionaries on a busy machine.
@given(parameters)
@pytest.mark.slow
def test_what_a_form_holds_comes_back_nested_as_it_was(said: dict) -> None:
    held, left_out = for_form(said)
    assert left_out == {}
    assert nested(held) == said
    assert held == {".".join(keys): value for keys, value in leaves(said)}


def test_what_no_form_can_hold_is_left_out_with_the_reason(make_project: MakeProject) -> None:
    project = make_project(
        {
            "conf/base/parameters.yml": WEIRD + f"text: {'x' * 20_000}\n",
            "src/shop/pipelines/sales/__init__.py": USES_ALL,
        }
    )
    structure = load(project)
    assert structure.parameters == {"size": 3, "inner.ok": 1}
    reasons = {
        "depth": "JSON cannot hold it (Out of range float values are not JSON compliant",
        "1": "its key 1 is not text",
        "big": "17 digits or more",
        "list": "a key that is not text",
        "a.b": "its key 'a.b' has a dot",
        "inner.2": "its key 2 is not text",
        "text": "more than 10,000 characters",
    }
    assert structure.left_out.keys() == reasons.keys()
    for name, reason in reasons.items():
        assert reason in structure.left_out[name]
    doc = parse(project, 'print(json.dumps(found["shop.sales"].doc_md))')
    assert "- `depth`: JSON cannot hold it" in doc


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"sise": 4}, ["the parameter 'sise'", "Did you mean size?", "size"]),
        ({"model": {"depth": 2}}, ["Give its parts by their own names: model.depth."]),
        ({"x" * 500: 1}, ["the DAG does not have"]),
    ],
)
def test_a_run_with_a_parameter_that_the_dag_lacks_fails_at_once_and_says_so(
    make_project: MakeProject, given: dict, says: list[str]
) -> None:
    project = shop(make_project)
    message = parse(project, EXECUTE.replace("{given}", json.dumps(given)))
    assert message.startswith("AirflowFailException: ")  # Airflow does not try again after that.
    for part in says:
        assert part in message
    assert len(message) < 600
    assert not (project / "data/total.json").exists()


def test_a_parameter_that_airflow_yml_names_is_passed_on(make_project: MakeProject) -> None:
    project = shop(make_project, **{"conf/base/airflow.yml": "sales: {params: {sise: 1}}"})
    assert parse(project, EXECUTE.replace("{given}", "{'sise': 4}")) == ""


def shop(make_project: MakeProject, **files: str) -> Path:
    return make_project(
        {
            "conf/base/parameters.yml": "size: 3\nmodel: {depth: 1}\n",
            "src/shop/pipelines/sales/__init__.py": USES_ALL,
            "data/raw.json": "1",
            **files,
        }
    )


@pytest.mark.slow
def test_what_only_a_run_can_know(make_project: MakeProject) -> None:
    """`kedro run` needs it for every pipeline, as Kedro resolves all of the catalog."""
    catalog = CATALOG.replace("data/raw.json", "'data/${runtime_params:day}.json'")
    catalog += "more: {type: json.JSONDataset, filepath: '${runtime_params:where.now}/x.json'}\n"
    files = {"conf/base/catalog.yml": catalog, "data/monday.json": "1"}
    project = shop(make_project, **files)
    structure = load(project)
    assert structure.problems == ()
    assert structure.run_parameters == ("day", "where.now")
    assert structure.datasets["raw"].location == "data/<day>.json"
    assert structure.parameters == {"size": 3, "model.depth": 1}

    said = EXECUTE.replace('{"size": 3', '{**dag.params, "size": 3')
    message = parse(project, said.replace("{given}", "{}"))
    assert message.startswith("AirflowFailException: This run needs a value for day, which")
    assert "put `day` under `params` in airflow.yml" in message
    both = {"day": "monday", "where.now": "here"}
    assert parse(project, said.replace("{given}", json.dumps(both))) == ""
    (total,) = (project / "data/total.json").glob("*/*.json")
    assert total.read_text() == "1"


@pytest.mark.slow
def test_what_airflow_yml_says_for_every_run(make_project: MakeProject) -> None:
    catalog = CATALOG.replace("data/raw.json", "'data/${runtime_params:day}.json'")
    yml = "default: {params: {day: monday}}\n"
    files = {"conf/base/catalog.yml": catalog, "data/monday.json": "1"}
    project = shop(make_project, **files, **{"conf/base/airflow.yml": yml})
    assert parse(project, "print(json.dumps(dict(found['shop.sales'].params)))")["day"] == "monday"
    said = EXECUTE.replace('{"size": 3', '{**dag.params, "size": 3')
    assert parse(project, said.replace("{given}", "{}")) == ""
