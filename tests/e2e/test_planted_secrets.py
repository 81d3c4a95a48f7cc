"""Planted secrets: where they must not turn up once tasks have run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from client import Client
from scaffold import add_pipeline, append, files_with

pytestmark = pytest.mark.e2e

LEAKY = """
from kedro.io import AbstractDataset
class LeakyDataset(AbstractDataset):
    def __init__(self, credentials):
        self.password = credentials["password"]
    def _load(self):
        print(f"logging in with {self.password}")
        raise ConnectionError(f"nobody answers to {self.password}")
    def _save(self, data):
        pass
    def _describe(self):
        return {"password": self.password}
"""


@pytest.fixture(scope="module")
def credentials(project: Path, secrets: dict[str, str]) -> None:
    """Two datasets with secrets, one of which prints its own."""
    (project / "src/penguins/leaky.py").write_text(LEAKY)
    (project / "conf/airflow/credentials.yml").write_text(
        f"guarded: {{password: {secrets['file']}, token: '${{oc.env:PLANTED}}'}}\n"
        f"leaky: {{password: {secrets['printed']}}}\n"
    )
    append(
        project / "conf/base/catalog.yml",
        "\nguarded: {type: json.JSONDataset, filepath: data/guarded.json, credentials: guarded}\n"
        "leaked: {type: penguins.leaky.LeakyDataset, credentials: leaky}\n",
    )


def test_planted_secrets_are_in_no_log_and_no_database(
    airflow: Client, project: Path, secrets: dict[str, str], credentials: None
) -> None:
    """Of credentials.yml, the environment and a connection; in a task that succeeds and one that
    fails at the dataset that has them."""
    nodes = add_pipeline(project, "guarding", "return guarded")
    pipeline = nodes.with_name("pipeline.py")
    pipeline.write_text(pipeline.read_text().replace("'penguins'", "'guarded'"))
    nodes.write_text(nodes.read_text().replace("penguins", "guarded"))
    airflow.wait_for("the new DAG", lambda: "penguins.guarding" in airflow.dag_ids())
    for data, state in (("not JSON", "failed"), ("3", "success")):
        (project / "data/guarded.json").write_text(data)
        run_id = airflow.trigger("penguins.guarding")
        assert airflow.wait_for_run("penguins.guarding", run_id) == state
    kinds = ("file", "environment", "connection")
    assert files_with(project, *(secrets[kind] for kind in kinds)) == set()


def test_a_secret_that_a_dataset_prints_is_masked(
    airflow: Client, project: Path, secrets: dict[str, str], credentials: None
) -> None:
    """And one that it puts into its error."""
    nodes = add_pipeline(project, "leaking", "return 1")
    pipeline = nodes.with_name("pipeline.py")
    pipeline.write_text(pipeline.read_text().replace("'penguins'", "'leaked'"))
    airflow.wait_for("the new DAG", lambda: "penguins.leaking" in airflow.dag_ids())
    run_id = airflow.trigger("penguins.leaking")
    assert airflow.wait_for_run("penguins.leaking", run_id) == "failed"
    log = json.dumps(airflow.task_log("penguins.leaking", run_id, "leaking_node"))
    assert "logging in with ***" in log and "nobody answers to ***" in log
    # Airflow 3.3's LocalExecutor repeats tasks' lines, unmasked, in the scheduler's own output.
    assert files_with(project, secrets["printed"]) <= {"scheduler.log"}
