"""Airflow takes every file in dags/, and each Kedro pipeline is a DAG."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]

APART = (PROJECT / "requirements-kedro.txt").exists()

if not find_spec("airflow"):
    own = "it has an interpreter of its own: .venv-airflow/bin/python -m pytest tests/dags"
    how = own if APART else "uv sync --group airflow"
    pytest.skip(f"Airflow is not installed: {how}", allow_module_level=True)
if APART:
    os.environ.setdefault("KEDRO_ASTRO_PYTHON", str(PROJECT / ".venv" / "bin" / "python"))

# Airflow reads these when it is first imported. What another one has in your home folder is not for
# this project, and before 3.3 it would look at its own examples.
os.environ.setdefault("AIRFLOW_HOME", str(PROJECT / ".kedro-astro" / "tests"))
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"


@pytest.fixture(scope="module")
def dagbag():
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # before Airflow 3.2
        from airflow.models import DagBag

    return DagBag(dag_folder=str(PROJECT / "dags"))


def test_every_file_imports(dagbag) -> None:
    errors = [f"{file}:\n{error}" for file, error in dagbag.import_errors.items()]
    assert not errors, "\n\n".join(errors)


def test_every_pipeline_is_a_dag(dagbag) -> None:
    path = os.pathsep.join([str(PROJECT / "dags"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "kedro_astro", "list", "--json"]
    env = {**os.environ, "PYTHONPATH": path}
    listed = subprocess.run(
        command, cwd=PROJECT, env=env, stdout=subprocess.PIPE, check=True
    ).stdout
    planned = {entry["pipeline"]: entry.get("dag_id") for entry in json.loads(listed)}
    missing = [name for name, dag_id in planned.items() if dag_id not in dagbag.dag_ids]
    assert not missing
