"""What `airflow.yml` does to the DAGs, and what happens when it cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kedro_astro.airflow.manifest import read
from parsing import parse
from projects import CATALOG, MakeProject, load

DAG = """
from airflow.serialization.serialized_objects import BaseSerialization
dag = found["shop.sales"]
task = dag.task_dict[sorted(dag.task_dict)[0]]
print(json.dumps({
    "ids": sorted(found), "tasks": sorted(dag.task_dict), 
    "schedule": json.dumps(BaseSerialization.serialize(dag)["__var"].get("timetable")),
    "start": str(dag.start_date), "runs": dag.max_active_runs, "tags": sorted(dag.tags),
    "retries": task.retries, "delay": task.retry_delay.total_seconds(), "owner": task.owner,
    "pool": task.pool, "failure": str(task.on_failure_callback),
    "params": dag.params.dump(),
}))
"""
FILES = CATALOG + "doubled: {type: json.JSONDataset, filepath: data/doubled.json}\n"


def dag(project: Path) -> dict:
    return parse(project, DAG)


def with_settings(make_project: MakeProject, text: str, **files: str) -> Path:
    return make_project({"conf/base/airflow.yml": text, "conf/base/catalog.yml": FILES, **files})


@pytest.mark.slow
def test_what_kedro_airflow_takes(make_project: MakeProject) -> None:
    project = with_settings(
        make_project,
        """
        default:
          start_date: [2023, 1, 1]
          max_active_runs: 3
          schedule_interval: "@once"
          catchup: false
          owner: airflow
          depends_on_past: false
          email_on_failure: false
          email_on_retry: false
          retries: 1
          retry_delay: 5
        sales:
          owner: airflow-ds
        """,
    )
    got = dag(project)
    assert "OnceTimetable" in got["schedule"] and got["start"] == "2023-01-01 00:00:00+00:00"
    assert (got["runs"], got["retries"], got["delay"]) == (3, 1, 300)
    assert got["owner"] == "airflow-ds"


@pytest.mark.slow
def test_single_nodes_groupings_and_names(make_project: MakeProject) -> None:
    project = with_settings(
        make_project,
        """
        default: {grouping: pipeline}
        sales:
          dag_id: our_sales
          tags: [money]
          grouping: node
          nodes: {first: {pool: small}}
          on_failure_callback: shop.alerts.tell
          params: {depth: 3}
        """,
    )
    got = parse(project, DAG.replace("shop.sales", "our_sales"))
    assert got["ids"] == ["our_sales", "shop"]
    assert got["tasks"] == ["first", "second"] and got["pool"] == "small"
    assert got["tags"] == ["kedro", "money", "shop"]
    assert "shop.alerts.tell" in got["failure"] and got["params"] == {"depth": 3}


def test_groups_written_by_hand(make_project: MakeProject) -> None:
    project = with_settings(make_project, "sales: {grouping: {all_in_one: [first, second]}}")
    assert dag(project)["tasks"] == ["all_in_one"]


def test_an_environment_has_the_last_word(make_project: MakeProject) -> None:
    files = {"conf/airflow/airflow.yml": "sales: {schedule: 0 6 * * *}"}
    project = with_settings(make_project, "sales: {schedule: 0 5 * * *}", **files)
    assert '"0 6 * * *"' in dag(project)["schedule"]


def test_pipelines_left_out(make_project: MakeProject) -> None:
    project = with_settings(make_project, "pipelines: {include: [sal*]}")
    assert dag(project)["ids"] == ["shop.sales"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sales: {retires: 1}", ["sales.retires", "retries"]),
        ("sales: {retries: many}", ["sales.retries", "whole number"]),
        ("sale: {retries: 1}", ["sale", "sales"]),
        ("sales: {nodes: {frist: {pool: x}}}", ["frist", "first"]),
        ("sales: {schedule: '@dayly'}", ["@dayly", "@daily"]),
    ],
)
@pytest.mark.slow
def test_what_is_wrong_is_said_and_the_last_good_settings_stay(
    make_project: MakeProject, text: str, says: list[str]
) -> None:
    project = with_settings(make_project, "sales: {schedule: 0 5 * * *}")
    read(project)
    (project / "conf/base/airflow.yml").write_text(text)
    (problem,) = read(project).problems
    for part in ["conf/base/airflow.yml", *says]:
        assert part in problem
    assert '"0 5 * * *"' in dag(project)["schedule"]


def test_memory_that_would_cross_is_shown_and_takes_one_dag(make_project: MakeProject) -> None:
    project = make_project({"conf/base/airflow.yml": "sales: {grouping: node}"})
    then = """
from kedro_astro.airflow.manifest import raise_problems
try:
    raise_problems(Path(sys.argv[1]))
except Exception as error:
    print(json.dumps([sorted(found), str(error)]))
"""
    ids, message = json.loads(json.dumps(parse(project, then)))
    assert ids == ["shop"]
    assert "Pipeline sales: the dataset doubled is in memory" in message


def test_a_template_for_a_number_does_not_break_the_form(make_project: MakeProject) -> None:
    project = with_settings(
        make_project,
        "sales: {params: {depth: '{{ ds }}'}}",
        **{"conf/base/parameters.yml": "depth: 3\n"},
    )
    assert dag(project)["params"] == {"depth": "{{ ds }}"}


def test_a_callback_finds_the_projects_code_when_it_is_called(make_project: MakeProject) -> None:
    project = with_settings(
        make_project,
        "sales: {on_failure_callback: shop.alerts.tell}",
        **{"src/shop/alerts.py": "def tell(context):\n    return context['what']\n"},
    )
    then = """
task = found["shop.sales"].get_task("first")
before = "shop" in sys.modules
callbacks = task.on_failure_callback
callback = callbacks[0] if isinstance(callbacks, list) else callbacks
print(json.dumps([before, callback({"what": "it failed"})]))
"""
    assert parse(project, then) == [False, "it failed"]


@pytest.mark.parametrize("section", ["sales", "whole_project"])
def test_an_id_that_another_dag_has_is_refused(make_project: MakeProject, section: str) -> None:
    other = {"sales": "shop", "whole_project": "shop.sales"}[section]
    project = with_settings(make_project, f"{section}: {{dag_id: {other}}}")
    manifest = read(project)
    assert manifest.dag_ids == (other,)
    (problem,) = manifest.problems
    assert f"its DAG would be called {other}" in problem and "give one a `dag_id`" in problem


@pytest.mark.parametrize(
    "text",
    [
        "default: {retries: 1}\ndefault: {retries: 2}\n",
        "1: {retries: 1}\n",
        "default: !!python/object:os.system x\n",
        "sales: {schedule: '${nothing:}'}\n",
    ],
)
def test_what_kedro_cannot_read_is_in_a_file_with_a_name(
    make_project: MakeProject, text: str
) -> None:
    (problem,) = load(make_project({"conf/base/airflow.yml": text})).problems
    assert "cannot be read" in problem and "Correct it in conf/base/airflow.yml." in problem
