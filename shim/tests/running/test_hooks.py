"""Kedro's pipeline hooks: once in each task, or once in a DAG run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from kedro_astro.airflow.manifest import read
from parsing import IN_ORDER, PARSE, SHIM, parse
from projects import CATALOG, TELLING, MakeProject

TELL = (
    TELLING
    + """
class Tell(Telling):
    @hook_impl
    def before_pipeline_run(self, pipeline):
        self.tell("before " + " ".join(sorted(node.name for node in pipeline.nodes)))
    @hook_impl
    def before_node_run(self, node):
        self.tell("node " + node.name)
    @hook_impl
    def after_pipeline_run(self, pipeline, catalog):
        self.tell("after " + str(catalog.load("total")))
HOOKS = (Tell(),)
"""
)
FILES = {
    "src/shop/settings.py": TELL,
    "conf/base/catalog.yml": CATALOG + "doubled: {type: json.JSONDataset, filepath: data/d.json}\n",
    "data/raw.json": "21",
}
SHAPE = """
dag = found["shop.sales"]
print(json.dumps({t: sorted(dag.get_task(t).upstream_task_ids) for t in dag.task_dict}))
"""


def told(project: Path, tmp_path: Path) -> list[str]:
    """Run the DAG's tasks in order and return what the hooks told."""
    subprocess.run(
        [sys.executable, "-c", PARSE + IN_ORDER, project],
        env={**os.environ, "PYTHONPATH": str(SHIM), "TOLD": str(tmp_path / "told")},
        check=True,
    )
    return (tmp_path / "told").read_text().splitlines()


@pytest.mark.slow
def test_by_default_they_fire_in_each_task(make_project: MakeProject, tmp_path: Path) -> None:
    project = make_project(
        {**FILES, "src/shop/settings.py": TELL.replace('catalog.load("total")', '""')}
    )
    assert set(parse(project, SHAPE)) == {"first", "second"}
    assert told(project, tmp_path) == [
        *("before first", "node first", "after "),
        *("before second", "node second", "after "),
    ]


@pytest.mark.slow
def test_once_a_run_they_have_tasks_of_their_own(make_project: MakeProject, tmp_path: Path) -> None:
    project = make_project({**FILES, "conf/base/airflow.yml": "sales: {pipeline_hooks: run}"})
    assert parse(project, SHAPE) == {
        "before_pipeline_run": [],
        "first": ["before_pipeline_run"],
        "second": ["first"],
        "after_pipeline_run": ["second"],
    }
    # A later run's version must not be what the hook loads.
    later = project / "data/total.json/2030-01-01T00.00.00.000Z-sales/total.json"
    later.parent.mkdir(parents=True)
    later.write_text("0")
    assert told(project, tmp_path) == [
        *("before first second", "node first", "node second", "after 84"),
    ]


def test_a_node_with_a_hooks_name(make_project: MakeProject) -> None:
    sales = (
        "from kedro.pipeline import node, pipeline\n"
        "def create_pipeline(**kwargs):\n"
        "    return pipeline([node(abs, 'raw', 'total', name='before_pipeline_run')])\n"
    )
    files = {**FILES, "src/shop/pipelines/sales/__init__.py": sales}
    project = make_project({**files, "conf/base/airflow.yml": "sales: {pipeline_hooks: run}"})
    shape = parse(project, SHAPE)
    (first,) = shape.pop("before_pipeline_run")
    assert first.startswith("before_pipeline_run-") and shape[first] == []


@pytest.mark.parametrize("value", ["once", "true"])
def test_a_wrong_value(make_project: MakeProject, value: str) -> None:

    project = make_project(
        {**FILES, "conf/base/airflow.yml": f"sales: {{pipeline_hooks: {value}}}"}
    )
    (problem,) = read(project).problems
    assert "sales.pipeline_hooks" in problem and "It must be task or run" in problem
