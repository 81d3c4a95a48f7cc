"""What Airflow gets when it imports `dags/kedro_dags.py`, in fresh processes as it does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kedro_astro.airflow import manifest
from parsing import IN_ORDER, parse, parse_afresh
from projects import CATALOG, REGISTRY, SALES, MakeProject


def test_a_parse_imports_neither_kedro_nor_the_project(
    make_project: MakeProject, tmp_path: Path
) -> None:
    """And of the shim what it runs: each module more is a third of a millisecond, at each parse."""
    project = make_project()
    manifest.read(project)
    then = """
heavy = {"kedro", "shop", "pandas", "rich", "omegaconf"} & {m.split(".")[0] for m in sys.modules}
ours = {m.partition("kedro_astro.")[2] for m in sys.modules if m.startswith("kedro_astro.")}
print(json.dumps({"dags": sorted(found), "heavy": sorted(heavy), "ours": sorted(ours)}))
"""
    got = parse_afresh(project, then, tmp_path)
    assert got["dags"] == ["shop", "shop.sales"]
    # Airflow itself imports rich; nothing of Kedro's or the user's is there.
    assert set(got["heavy"]) <= {"rich"}
    rooms = [f"airflow.{name}" for name in ("dags", "manifest", "operators", "sdk")]
    assert got["ours"] == ["airflow", *rooms, "project"]


@pytest.mark.slow
def test_a_tasks_process_builds_the_dag_of_that_task_alone(
    make_project: MakeProject, tmp_path: Path
) -> None:
    got = parse_afresh(
        make_project(),
        "print(json.dumps(sorted(found)))",
        tmp_path,
        _AIRFLOW_PARSING_CONTEXT_DAG_ID="shop.sales",
    )
    assert got == ["shop.sales"]


@pytest.mark.slow
def test_a_task_never_reads_the_project(make_project: MakeProject, tmp_path: Path) -> None:
    """It takes the DAG that its run was scheduled from, whatever has been edited since."""
    project = make_project()
    manifest.read(project)
    (project / "src/shop/pipelines/sales/__init__.py").write_text("x = (")
    kept = (project / ".kedro-astro/manifest.jsonl").read_bytes()
    wanted = {"_AIRFLOW_PARSING_CONTEXT_DAG_ID": "shop.sales"}
    assert parse_afresh(project, "print(json.dumps(sorted(found)))", tmp_path, **wanted) == [
        "shop.sales"
    ]
    assert (project / ".kedro-astro/manifest.jsonl").read_bytes() == kept


def test_two_parses_make_the_same_dag_version(make_project: MakeProject, tmp_path: Path) -> None:
    """A DAG that serializes differently at each parse is a new version in Airflow each time."""
    project = make_project()
    then = """
from airflow.serialization.serialized_objects import BaseSerialization
dags = {k: BaseSerialization.serialize(v)["__var"] for k, v in found.items()}
print(json.dumps({"dags": dags}, sort_keys=True))
"""
    first = parse_afresh(project, then, tmp_path, PYTHONHASHSEED="1")
    second = parse_afresh(project, then, tmp_path, PYTHONHASHSEED="2")
    assert first == second
    for dag in first["dags"].values():
        dag.pop("fileloc")  # Airflow's own; it is no part of what it compares
    assert str(project) not in json.dumps(first)


def test_the_ui_shows_nodes_and_datasets_of_a_task(make_project: MakeProject) -> None:
    then = 'print(json.dumps(found["shop"].get_task("first__second").doc_md))'
    doc = str(parse(make_project(), then))
    assert "`first`" in doc and "`second`" in doc
    assert "`total`: json.JSONDataset at `data/total.json`" in doc


def test_namespaces_become_task_groups(make_project: MakeProject) -> None:
    pipeline = """
    from kedro.pipeline import node, pipeline
    def same(x):
        return x
    def create_pipeline(**kwargs):
        inner = pipeline([node(same, "raw", "a", name="one"), node(same, "a", "b", name="two")],
                         namespace="inner", inputs={"raw"}, outputs={"b"})
        return pipeline([inner, node(same, "b", "total", name="three")], namespace="outer",
                        inputs={"raw"}, outputs={"total"})
    """
    catalog = CATALOG + '"outer.{x}": {type: json.JSONDataset, filepath: "data/{x}.json"}\n'
    project = make_project(
        {"src/shop/pipelines/sales/__init__.py": pipeline, "conf/base/catalog.yml": catalog}
    )
    then = """
dag = found["shop.sales"]
print(json.dumps({t: dag.get_task(t).task_group.group_id for t in sorted(dag.task_dict)}))
"""
    assert parse(project, then) == {
        "outer.inner.one": "outer.inner",
        "outer.inner.two": "outer.inner",
        "outer.three": "outer",
    }


def test_names_that_airflow_refuses_are_shown_as_they_are(make_project: MakeProject) -> None:
    registry = REGISTRY.replace(
        "return", 'pipelines["über alles"] = pipelines["sales"]\n    return'
    )
    pipeline = SALES.replace('name="first"', "").replace('name="second"', "")
    files = {
        "src/shop/pipeline_registry.py": registry,
        "src/shop/pipelines/sales/__init__.py": pipeline,
        "conf/base/catalog.yml": CATALOG
        + "doubled: {type: json.JSONDataset, filepath: data/doubled.json}\n",
    }
    then = """
dag = next(d for i, d in found.items() if "alles" in i)
print(json.dumps([dag.dag_id, dag.dag_display_name]))
"""
    dag_id, name = parse(make_project(files), then)
    assert dag_id.isascii() and name == "über alles"


@pytest.mark.slow
def test_a_dag_runs_once_at_a_time_if_its_runs_would_mix_their_data(
    make_project: MakeProject,
) -> None:
    then = 'print(json.dumps([found["shop"].max_active_runs, found["shop"].doc_md]))'
    runs, doc = parse(make_project(), then)
    assert runs > 1 and "One run at a time" not in doc  # `total` is versioned
    project = make_project({"conf/base/catalog.yml": CATALOG.replace(", versioned: true", "")})
    runs, doc = parse(project, then)
    assert runs == 1 and "One run at a time" in doc and "`total`" in doc


def test_a_task_asks_the_saver_of_a_transcoded_dataset_for_its_version(
    make_project: MakeProject,
) -> None:
    pipeline = SALES.replace('"doubled", name', '"p@one", name').replace('"doubled"', '"p@two"')
    catalog = CATALOG + (
        "p@one: {type: json.JSONDataset, filepath: data/p.json, versioned: true}\n"
        "p@two: {type: json.JSONDataset, filepath: data/p.json, versioned: true}\n"
    )
    files = {"src/shop/pipelines/sales/__init__.py": pipeline, "conf/base/catalog.yml": catalog}
    then = """
task = found["shop.sales"].get_task("second")
class Instance:
    def xcom_pull(self, task_ids):
        assert task_ids == "first"
        return {"p@one": {"location": "data/p.json", "version": "v1"}}
producers = task.made_of[2]["producers"]
print(json.dumps(task._upstream_versions({"ti": Instance()}, producers)))
"""
    assert parse(make_project(files), then) == {"p@two": "v1"}


@pytest.mark.slow
def test_an_asset_that_is_no_more_keeps_no_task_from_running(
    make_project: MakeProject, tmp_path: Path
) -> None:
    """A run of an older commit: Airflow refuses to start a task with an outlet that `main` has no
    more, and lets one end that has."""
    before = "before = [len(task.outlets) for task in found['shop.sales'].tasks]\n"
    after = "print(json.dumps([before, [a.uri for t in dag.tasks for a in t.outlets]]))"
    project = make_project({"data/raw.json": "21"})
    task = {"_AIRFLOW_PARSING_CONTEXT_DAG_ID": "shop.sales"}
    said = parse_afresh(project, before + IN_ORDER + after, tmp_path / "home", **task)
    assert said == [[0], ["kedro://shop/total"]]


def test_airflows_names_are_those_that_airflow_has_and_nothing_else() -> None:
    """No attribute of Airflow's own modules is taken for one of ours."""
    from kedro_astro.airflow import sdk

    assert sdk.BaseOperator and sdk.Asset
    assert not hasattr(sdk, "__path__") and not hasattr(sdk, "Nothing")
