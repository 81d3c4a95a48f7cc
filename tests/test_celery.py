"""Airflow with the CeleryExecutor: a scheduler, a worker, and a broker between them.

Broker and database are files of SQLite, which Kombu and Airflow have drivers for.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from client import Client
from scaffold import free_port, scaffold, succeed

pytestmark = pytest.mark.workers
AIRFLOW = Path(sys.executable).with_name("airflow")
COMPONENTS = (["api-server"], ["scheduler", "-s"], ["dag-processor"], ["celery", "worker", "-s"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("celery")


@pytest.fixture(scope="module")
def project(folder: Path) -> Path:
    return scaffold(folder / "penguins", project_name="Penguins")


@pytest.fixture(scope="module")
def address() -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def components(folder: Path, project: Path, address: str) -> Iterator[dict[str, psutil.Popen]]:
    """All that an Airflow consists of, each with its log in `folder`."""
    # The one setting that the image has for Celery.
    (lazy,) = re.findall("ENV (.*LAZY.*)=(.*)\n", (project / "Dockerfile").read_text())
    settings = {
        "CORE__DAGS_FOLDER": project / "dags",
        "CORE__PLUGINS_FOLDER": project / "plugins",
        "CORE__LOAD_EXAMPLES": False,
        "CORE__EXECUTOR": "CeleryExecutor",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": False,
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": True,
        "CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "API__BASE_URL": address,
        "API__PORT": address.rpartition(":")[2],
        "API__WORKERS": 1,
        "API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "CELERY__BROKER_URL": f"sqla+sqlite:///{folder}/broker.db",
        "CELERY__RESULT_BACKEND": f"db+sqlite:///{folder}/results.db",
        "CELERY__WORKER_CONCURRENCY": 2,
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.25,
    }
    env = {
        **os.environ,
        **dict([lazy]),
        **{f"AIRFLOW__{name}": str(value) for name, value in settings.items()},
        "AIRFLOW_HOME": str(folder / "airflow"),
        # Airflow wants another database for more than one machine.
        "_AIRFLOW__SKIP_DATABASE_EXECUTOR_COMPATIBILITY_CHECK": "1",
    }
    succeed([AIRFLOW, "db", "migrate"], project, env)
    with ExitStack() as stack:
        started = {}
        for name, *arguments in COMPONENTS:
            log = stack.enter_context((folder / f"{name}.log").open("w"))
            started[name] = psutil.Popen(
                [AIRFLOW, name, *arguments],
                cwd=project,
                env=env,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            stack.callback(end, started[name])
        yield started


@pytest.fixture(scope="module")
def airflow(folder: Path, address: str, components: dict[str, psutil.Popen]) -> Client:
    airflow = Client(address, folder, components)
    airflow.wait_for("the DAGs", lambda: "penguins" in airflow.dag_ids())
    airflow.wait_for("a worker", lambda: " ready." in log_of(folder, "celery"))
    return airflow


def end(process: psutil.Popen) -> None:
    family = [process, *process.children(recursive=True)]
    for member in family:
        member.terminate()
    for member in psutil.wait_procs(family, timeout=10)[1]:
        member.kill()
    process.wait()


def log_of(folder: Path, component: str) -> str:
    return (folder / f"{component}.log").read_text()


def test_the_worker_is_warm_before_it_forks_its_pool(
    airflow: Client, components: dict[str, psutil.Popen], folder: Path
) -> None:
    """The scheduler, which forks nothing then, is not."""
    assert "Tasks start warm: " in log_of(folder, "celery")
    assert "Tasks start cold: with the CeleryExecutor" in log_of(folder, "scheduler")
    pool = [process.memory_maps() for process in components["celery"].children()]
    assert any("/pandas/" in library.path for maps in pool for library in maps)


def test_a_run_by_way_of_the_broker(airflow: Client, project: Path, folder: Path) -> None:
    run_id = airflow.trigger("penguins")
    assert airflow.wait_for_run("penguins", run_id) == "success"
    assert (project / "data/08_reporting/metrics.json").is_file()
    airflow.wait_for(
        "the worker's word of six tasks",
        lambda: log_of(folder, "celery").count("final_state=success") == 6,
    )
