"""What DAGs of one's own are told of the Kedro catalog: `asset` and `location`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kedro_astro.airflow.manifest import read
from parsing import parse
from projects import MakeProject

CATALOG = """
raw: {type: json.JSONDataset, filepath: data/raw.json}
doubled: {type: pickle.PickleDataset, filepath: "s3://u:hunter2@lake/doubled.pickle"}
total: {type: pandas.SQLTableDataset, table_name: totals, credentials: db}
"""
ASKED = """
import os
from kedro_astro.airflow.catalog import asset, location
os.chdir(sys.argv[1])
said = {}
for name in NAMES:
    for what in (asset, location):
        try:
            answer = what(name)
            said[what.__name__ + " " + name] = getattr(answer, "uri", answer)
        except Exception as error:
            said[what.__name__ + " " + name] = f"{type(error).__name__}: {error}"
print(json.dumps(said))
"""
WAITS = "sales: {schedule: {assets: [raw]}, credentials: {db: warehouse}}"


@pytest.fixture
def asked(make_project: MakeProject):
    """Returns what a DAG file of the project is answered."""

    def asked(*names: str, **files: str) -> tuple[dict[str, str], Path]:
        made = {"conf/base/catalog.yml": CATALOG, "conf/base/airflow.yml": WAITS, **files}
        project = make_project(made)
        said: dict[str, str] = parse(project, ASKED.replace("NAMES", repr(names)))
        return said, project

    return asked


def test_where_a_dataset_is_and_what_its_asset_is_called(asked) -> None:
    said, project = asked("raw", "doubled", "total", "total@pandas")
    assert said["location raw"] == str(project / "data/raw.json")
    assert said["location doubled"] == "s3://lake/doubled.pickle"
    assert said["location total"] == said["location total@pandas"] == "totals"
    assert said["asset raw"] == "kedro://shop/raw"
    assert said["asset total"] == said["asset total@pandas"] == "kedro://shop/total"


def test_the_asset_is_the_one_that_a_schedule_waits_for(asked) -> None:
    said, project = asked("raw")
    assert read(project).problems == ()
    (of_sales,) = (b for b in read(project).blueprints() if b["pipeline"] == "sales")
    assert json.dumps(of_sales["schedule"]["assets"]) == json.dumps(["all", [said["asset raw"]]])


def test_what_there_is_not(asked) -> None:
    said, _ = asked("rwa", "", "params:x")
    for answer in said.values():
        assert answer.startswith("NoDatasetError: No pipeline of this project has a dataset ")
    assert "Did you mean raw?" in said["asset rwa"] and "Known here: doubled" in said["asset rwa"]


@pytest.mark.parametrize(
    "entry",
    [
        "{type: MemoryDataset}",
        '{type: pickle.PickleDataset, filepath: "${runtime_params:airflow_run,local}/d.pickle"}',
        "{type: api.APIDataset, url: https://example.org}",
    ],
)
def test_what_nobody_can_put_anything_into(asked, entry: str) -> None:
    catalog = CATALOG.replace(CATALOG.splitlines()[2], f"doubled: {entry}")
    said, _ = asked("doubled", **{"conf/base/catalog.yml": catalog})
    assert said["location doubled"].startswith(
        "NoPlaceError: Nothing from outside can be put where"
    )
    assert said["asset doubled"] == "kedro://shop/doubled"


def test_a_table_is_on_nobodys_disk_and_shown(make_project: MakeProject) -> None:
    project = make_project({"conf/base/catalog.yml": CATALOG, "conf/base/airflow.yml": WAITS})
    total = read(project).structure().datasets["total"]
    assert (total.location, total.on_a_disk) == ("table://totals", False)
