"""What you write while Airflow runs: new pipelines, edits, mistakes, schedules."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from airflow_client.client import DAGApi
from client import Client
from demo import run as demo_run
from rich.console import Console
from scaffold import add_pipeline, append

pytestmark = pytest.mark.e2e


def test_a_new_pipeline_folder_is_a_new_dag(airflow: Client, project: Path) -> None:
    append(project / "conf/airflow/airflow.yml", "\ncounting: {retention: forever}\n")
    add_pipeline(project, "counting", "return len(penguins)")
    airflow.wait_for("the new DAG", lambda: "penguins.counting" in airflow.dag_ids())
    run_id = airflow.trigger("penguins.counting")
    assert airflow.wait_for_run("penguins.counting", run_id) == "success"
    # The number of birds was declared nowhere and is still an int in the next task.
    kept = airflow.saved("penguins.counting", run_id, "counting_node")["counting_result"]
    assert pickle.loads((project / str(kept["location"])).read_bytes()) == 333


def test_an_edit_counts_from_the_next_task_on(airflow: Client, project: Path) -> None:
    """The libraries of a task are those of the scheduler; your code never is."""
    append(project / "conf/airflow/airflow.yml", "\nedited: {retention: forever}\n")
    nodes = add_pipeline(project, "edited", "return 'before'")
    airflow.wait_for("the new DAG", lambda: "penguins.edited" in airflow.dag_ids())
    for text in ("before", "after"):
        nodes.write_text(nodes.read_text().replace("before", text))
        run_id = airflow.trigger("penguins.edited")
        assert airflow.wait_for_run("penguins.edited", run_id) == "success"
        kept = airflow.saved("penguins.edited", run_id, "edited_node")["edited_result"]
        assert pickle.loads((project / str(kept["location"])).read_bytes()) == text


def test_a_pipeline_that_waits_for_anothers_data(airflow: Client, project: Path) -> None:
    """Of both DAGs that save `metrics`; here it is cleared in none of the runs before."""
    add_pipeline(project, "waiting", "return len(penguins)")
    append(project / "conf/airflow/airflow.yml", "\nwaiting: {schedule: {assets: [metrics]}}\n")
    airflow.wait_for(
        "the schedule",
        lambda: (
            "penguins.waiting" in airflow.dag_ids()
            and "sset" in DAGApi(airflow.api).get_dag("penguins.waiting").timetable_summary
        ),
    )
    airflow.trigger("penguins.data_science")
    runs = airflow.wait_for("the run that waits", lambda: airflow.runs("penguins.waiting"))
    assert runs[0].run_type == "asset_triggered"
    assert airflow.wait_for_run("penguins.waiting", runs[0].dag_run_id) == "success"


def test_a_failing_run_shows_the_tasks_log(airflow: Client, project: Path) -> None:
    """What `make demo` does when a run fails. The pipeline is new: it needs no other command."""
    add_pipeline(project, "failing", "raise ValueError('the sea is frozen')")
    airflow.wait_for("the new DAG", lambda: "penguins.failing" in airflow.dag_ids())
    console = Console(record=True, width=140, file=open(os.devnull, "w"))  # noqa: SIM115
    assert demo_run(airflow, "penguins.failing", console) is False
    text = console.export_text()
    assert "failing_node" in text and "failed" in text
    assert "ValueError: the sea is frozen" in text


def test_a_broken_pipeline_is_shown_and_takes_no_dag_with_it(
    airflow: Client, project: Path
) -> None:
    before = airflow.dag_ids()
    nodes = add_pipeline(project, "broken", "return (")
    message = airflow.wait_for("the message", airflow.import_errors)[0]
    assert "SyntaxError" in message
    assert "src/penguins/pipelines/broken/nodes.py:" in message
    assert set(before) <= set(airflow.dag_ids())
    run_id = airflow.trigger("penguins.data_processing")
    assert airflow.wait_for_run("penguins.data_processing", run_id) == "success"

    nodes.write_text(nodes.read_text().replace("return (", "return 1"))
    airflow.wait_for("the message to go", lambda: not airflow.import_errors())
    airflow.wait_for("the mended DAG", lambda: "penguins.broken" in airflow.dag_ids())
