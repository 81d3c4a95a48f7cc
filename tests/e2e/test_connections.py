"""Kedro's credentials from Airflow's connections: tasks save to an object store that wants keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow_client.client import ConnectionApi, ConnectionBody
from client import Client
from s3 import Store
from scaffold import add_pipeline, append, files_with

pytestmark = pytest.mark.e2e

CATALOG = """
sending_result: {type: json.JSONDataset, filepath: "s3://lake/sent.json", credentials: lake}
sending_text: {type: json.JSONDataset, filepath: "s3://lake/text.json", credentials: pond}
"""
SETTINGS = """
default:
  retries: 0
  credentials: {lake: of_the_environment, pond: of_the_database}
"""


@pytest.fixture(scope="module")
def sending(airflow: Client, project: Path, store: Store) -> Iterator[str]:
    """A DAG that saves with two connections, one of which is in Airflow's database."""
    body = ConnectionBody(**store.connection("of_the_database"))
    ConnectionApi(airflow.api).post_connection(body)
    settings, catalog = project / "conf/airflow/airflow.yml", project / "conf/base/catalog.yml"
    before = settings.read_text(), catalog.read_text()
    settings.write_text(SETTINGS)
    append(catalog, CATALOG)
    pipeline = add_pipeline(project, "sending", "return 21").with_name("pipeline.py")
    pipeline.write_text(pipeline.read_text().replace("'penguins'", "'parameters'"))
    airflow.wait_for("the new DAG", lambda: "penguins.sending" in airflow.dag_ids())
    yield "penguins.sending"
    settings.write_text(before[0])
    catalog.write_text(before[1])


def test_they_come_from_the_environment_and_from_the_database(
    airflow: Client, sending: str, project: Path, store: Store
) -> None:
    """The store wants its keys, and they turn up nowhere."""
    run_id = airflow.trigger(sending)
    assert airflow.wait_for_run(sending, run_id) == "success"
    sent, text = (
        json.loads((store.folder / f"lake/{n}.json").read_text()) for n in ("sent", "text")
    )
    assert text == repr(sent)
    assert files_with(project, store.secret) == set()


def test_a_connection_that_is_not_there_is_named(
    airflow: Client, sending: str, project: Path
) -> None:
    ConnectionApi(airflow.api).delete_connection("of_the_database")
    run_id = airflow.trigger(sending)
    assert airflow.wait_for_run(sending, run_id) == "failed"
    log = json.dumps(airflow.task_log(sending, run_id, "sending_node"))
    assert "takes the credentials pond from the Airflow connection of_the_database, which is" in log
    assert "not there" in log and "`credentials` in airflow.yml" in log
