"""Raw data that a DAG brings, and the pipelines that start when they are there.

Files, objects, tables of PostgreSQL and of DuckDB; by Airflow's own means on Airflow 3, by the
Astro SDK on 2.10. All end the same.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from cluster import backends
from s3 import Store, serving
from scaffold import ROOT, python, run, scaffold
from tasks import DATA, RESULTS
from up import Up, up

pytestmark = pytest.mark.airflow_2

ROUTES = {
    "files": (sys.executable, {"ingestion": "files"}),
    "objects": (sys.executable, {"ingestion": "files", "data_root": DATA}),
    "table": (sys.executable, {"ingestion": "table"}),
    "duckdb": (sys.executable, {"ingestion": "duckdb"}),
    "astro-sdk": (
        str(ROOT / ".venv-astro-sdk/bin/python"),
        {"ingestion": "astro-sdk", "runtime": "12.11.0-python-3.11", "place": "venv"},
    ),
}
"""By name: Airflow's interpreter, and all answers."""

PENGUINS = """penguins:
  type: pandas.ParquetDataset
  filepath: ${globals:data_root}/03_primary/penguins.parquet
"""
PENGUINS_IN_A_TABLE = """penguins:
  type: pandas.SQLTableDataset
  table_name: penguins
  credentials: warehouse
  save_args: {if_exists: replace, index: false}
"""


@dataclass
class Route:
    """A project with a DAG that brings its raw data, and the Airflow that runs it.

    Attributes:
        data: the folder that is `data_root`, be it served as an object store.
        records: the published records, which are nowhere else.
        table: returns the names of the columns and the rows of what was brought, if a table was.
    """

    name: str
    airflow: Up
    project: Path
    data: Path
    records: str
    table: Callable[[], list[Any]] | None
    store: Store

    def arrives(self, text: str | None) -> dict[str, Any]:
        """Have a file arrive, or none; return how the DAG ended that is to bring it."""
        conf = {}
        if self.name == "objects":
            files, place = self.store.files(), "bucket/arrives/penguins_raw.csv"
            conf = {"source": f"s3://{place}"}
            if files.exists(place):
                files.rm(place)
            if text is not None:
                files.pipe(place, text.encode())
        else:
            place = self.project / "include/arrives/penguins_raw.csv"
            place.parent.mkdir(exist_ok=True)
            place.unlink(missing_ok=True)
            if text is not None:
                place.write_text(text)
        run_id = self.airflow.trigger("bring_penguins", **conf)
        return self.airflow.run("bring_penguins", run_id)

    def there(self) -> list[Any]:
        """Return what was brought, in order."""
        if self.table is None:
            return (self.data / "01_raw/penguins_raw.csv").read_text().splitlines()
        columns, *rows = self.table()
        return [list(columns), *sorted(tuple(map(str, row)) for row in rows)]


@pytest.fixture(scope="module")
def warehouse() -> Iterator[sqlalchemy.Engine]:
    with backends() as settings:
        yield sqlalchemy.create_engine(settings["DATABASE__SQL_ALCHEMY_CONN"])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with serving(tmp_path_factory.mktemp("store"), "bucket") as store:
        yield store


@pytest.fixture(scope="module", params=ROUTES)
def route(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    warehouse: sqlalchemy.Engine,
    store: Store,
) -> Iterator[Route]:
    interpreter, answers = ROUTES[request.param]
    assert Path(interpreter).exists(), "`make test-airflow-2` installs it"
    folder = tmp_path_factory.mktemp("route") / "penguins"
    project = scaffold(folder, project_name="Penguins", **answers)
    raw = project / "data/01_raw/penguins_raw.csv"
    records = raw.read_text()
    raw.unlink()
    table, connection = None, None
    if request.param == "duckdb":
        database = str(project / "warehouse.duckdb")
        connection = {"conn_type": "duckdb", "extra": {"database": database}}
        table = partial(in_duckdb, database)
    elif answers["ingestion"] != "files":
        # What the pipelines save is a table, too.
        catalog = project / "conf/base/catalog.yml"
        catalog.write_text(catalog.read_text().replace(PENGUINS, PENGUINS_IN_A_TABLE))
        url = warehouse.url
        said = {"host": url.host, "port": url.port, "login": url.username, "password": url.password}
        connection = {"conn_type": "postgres", "schema": url.database, **said}
        with warehouse.begin() as made:
            made.execute(sqlalchemy.text("DROP TABLE IF EXISTS penguins_raw, penguins"))
        table = partial(in_postgresql, warehouse)
    data = store.folder / "bucket/data" if request.param == "objects" else project / "data"
    env = {"AIRFLOW_CONN_WAREHOUSE": json.dumps(connection)} if connection else store.env
    with up(project, Path(interpreter), **env) as airflow:
        yield Route(request.param, airflow, project, data, records, table, store)


def in_postgresql(engine: sqlalchemy.Engine) -> list[Any]:
    with engine.connect() as connection:
        found = connection.execute(sqlalchemy.text("SELECT * FROM penguins_raw"))
        return [found.keys(), *found]


def in_duckdb(database: str) -> list[Any]:
    import duckdb

    with closing(duckdb.connect(database, read_only=True)) as connection:
        found = connection.execute("SELECT * FROM penguins_raw")
        return [[name for name, *_ in found.description], *found.fetchall()]


ENDS: dict[str, list[Any]] = {}
"""What was there at the end of each route into the table."""


def test_the_pipelines_start_when_the_data_are_there(
    route: Route, warehouse: sqlalchemy.Engine, after_kedro_run: Path
) -> None:
    """And end as they do with `kedro run` and the same data in a file."""
    brought = route.arrives(route.records)
    assert brought["state"] == "success", route.airflow.log("bring_penguins", brought["dag_run_id"])
    (started,) = route.airflow.wait_for("a run", lambda: route.airflow.runs("penguins"))
    ended = route.airflow.run("penguins", started["dag_run_id"])
    assert ended["state"] == "success", route.airflow.log("penguins", ended["dag_run_id"])
    for name in RESULTS:
        here, there = (p / "08_reporting" / name for p in (route.data, after_kedro_run / "data"))
        assert here.read_bytes() == there.read_bytes()
    if route.table:
        assert route.name == "duckdb" or sqlalchemy.inspect(warehouse).has_table("penguins")
        ENDS[route.name] = route.there()
        assert all(end == route.there() for end in ENDS.values())
    path = f"/dags/bring_penguins/dagRuns/{brought['dag_run_id']}/taskInstances"
    tasks = route.airflow.get(path)["task_instances"]
    (brings,) = (task for task in tasks if task["task_id"] in ("bring", "all_of"))
    began, was_there = (
        datetime.fromisoformat(at) for at in (ended["start_date"], brings["end_date"])
    )
    seconds = (began - was_there).total_seconds()
    sys.stdout.write(f"\n{route.name}: {seconds:.1f} s from the data to the start of the DAG\n")


BAD: dict[str, tuple[Callable[[str], str | None], str]] = {
    "missing": (lambda text: None, "is not there|File path .* not exist|FileNotFoundError"),
    "empty": (lambda text: text.splitlines()[0] + "\n", "no rows|Can't load empty dataframe"),
    "changed": (lambda text: text.replace("Sex", "Gender", 1), "other columns than .*Gender, Sex"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_wrong_is_said_before_anything_is_overwritten(route: Route, what: str) -> None:
    make, says = BAD[what]
    before = route.there()
    runs = len(route.airflow.runs("penguins"))
    ended = route.arrives(make(route.records))
    assert ended["state"] == "failed"
    assert re.search(says, route.airflow.log("bring_penguins", ended["dag_run_id"]))
    assert route.there() == before
    assert len(route.airflow.runs("penguins")) == runs


@pytest.mark.parametrize("said", [{}, {"host": "/srv/warehouse.duckdb"}])
def test_a_connection_that_names_no_file_of_duckdb(tmp_path: Path, said: dict[str, str]) -> None:
    """Nobody would see again what is written into memory."""
    project = scaffold(tmp_path / "p", project_name="Penguins", ingestion="duckdb")
    code = (
        "from bring_penguins import bring_penguins\n"
        "task = bring_penguins().get_task('bring')\n"
        "task.python_callable(params={'source': 'data/01_raw/penguins_raw.csv'})"
    )
    connection = json.dumps({"conn_type": "duckdb", **said})
    env = {
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW_CONN_WAREHOUSE": connection,
        "PYTHONPATH": "dags",
    }
    done = run(python("-W", "ignore", "-c", code), project, env)
    assert "The connection warehouse says no `database` in its extra. Write the path" in done.stdout
