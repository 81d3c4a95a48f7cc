"""One Airflow, on which all tests of this folder run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from client import Client
from kedro_astro.airflow.standalone import running
from s3 import CHECKSUMS, Store, serving
from scaffold import DAGS, scaffold

PLUGIN = """
from airflow.plugins_manager import AirflowPlugin
class Mine(AirflowPlugin):
    name = "mine"
"""


@pytest.fixture(scope="package")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of its own, in a folder with a name that quoting has to survive."""
    folder = tmp_path_factory.mktemp("e2e") / 'Zoë\'s "penguins"'
    project = scaffold(folder, project_name="Penguins", package_name="penguins")
    (project / "plugins/mine.py").write_text(PLUGIN)
    return project


@pytest.fixture(scope="package")
def secrets() -> dict[str, str]:
    """Words that are to be seen nowhere, by where they are planted."""
    kinds = ("file", "environment", "connection", "printed")
    return {kind: f"hunter2-{kind}" for kind in kinds}


@pytest.fixture(scope="package")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """An object store that wants keys."""
    with serving(tmp_path_factory.mktemp("store"), "lake") as found:
        yield found


@pytest.fixture(scope="package")
def airflow(project: Path, secrets: dict[str, str], store: Store) -> Iterator[Client]:
    with pytest.MonkeyPatch.context() as patch:
        said = store.connection("of_the_environment")
        patch.setenv(f"AIRFLOW_CONN_{said.pop('connection_id').upper()}", json.dumps(said))
        for name, value in CHECKSUMS.items():
            patch.setenv(name, value)
        patch.setenv("PLANTED", secrets["environment"])
        patch.setenv("AIRFLOW_CONN_STORE", f"http://ada:{secrets['connection']}@127.0.0.1:9")
        with running(project, project / ".kedro-astro" / "airflow") as found:
            client = Client.of(found)
            client.wait_for("the DAGs", lambda: set(DAGS) <= set(client.dag_ids()))
            yield client


@pytest.fixture(scope="package")
def first_run(airflow: Client) -> str:
    run_id = airflow.trigger("penguins")
    assert airflow.wait_for_run("penguins", run_id) == "success"
    return run_id
