"""`astro dev parse` runs this: every DAG file must import."""

import os
from pathlib import Path

import pytest

# Before 3.3 Airflow looks at its own examples as well, unless told not to.
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:  # before Airflow 3.2
    from airflow.models import DagBag

PROJECT = Path(__file__).resolve().parent.parent
EXCEPTIONS = PROJECT / ".astro" / "dag_integrity_exceptions.txt"


def excepted() -> set[str]:
    lines = EXCEPTIONS.read_text().splitlines() if EXCEPTIONS.exists() else []
    return {line.strip() for line in lines if line.strip() and not line.startswith("#")}


@pytest.fixture(scope="module")
def import_errors() -> dict[str, str]:
    dags = PROJECT / "dags"
    bag = DagBag(dag_folder=str(dags))
    return {
        str(Path(file).relative_to(dags) if Path(file).is_absolute() else file): error
        for file, error in bag.import_errors.items()
    }


def test_every_dag_file_imports(import_errors: dict[str, str]) -> None:
    broken = {file: text for file, text in import_errors.items() if file not in excepted()}
    assert not broken, "\n\n".join(f"{file}:\n{text}" for file, text in broken.items())
