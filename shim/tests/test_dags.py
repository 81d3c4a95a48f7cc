"""What Airflow gets when it imports `dags/kedro_dags.py`, in fresh processes as it does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from kedro_astro import dags, manifest
from projects import MakeProject

SHIM = Path(dags.__file__).parent.parent
PARSE = """
import json, sys
from pathlib import Path
from kedro_astro.dags import build_dags
found = build_dags(Path(sys.argv[1]))
"""


def parse(project: Path, then: str, tmp_path: Path, **env: str) -> dict:
    """Build the DAGs in a new process, run `then`, and return the JSON that it prints."""
    done = subprocess.run(
        [sys.executable, "-c", PARSE + then, str(project)],
        env={**os.environ, "PYTHONPATH": str(SHIM), "AIRFLOW_HOME": str(tmp_path), **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_parse_imports_neither_kedro_nor_the_project(
    make_project: MakeProject, tmp_path: Path
) -> None:
    project = make_project()
    manifest.load(project)
    then = """
heavy = {"kedro", "shop", "pandas", "rich", "omegaconf"} & {m.split(".")[0] for m in sys.modules}
import airflow.sdk
print(json.dumps({"dags": sorted(found), "heavy": sorted(heavy)}))
"""
    got = parse(project, then, tmp_path)
    assert got["dags"] == ["shop", "shop.sales"]
    # Airflow itself imports rich; nothing of Kedro's or the user's is there.
    assert set(got["heavy"]) <= {"rich"}


def test_a_tasks_process_builds_the_dag_of_that_task_alone(
    make_project: MakeProject, tmp_path: Path
) -> None:
    got = parse(
        make_project(),
        "print(json.dumps(sorted(found)))",
        tmp_path,
        _AIRFLOW_PARSING_CONTEXT_DAG_ID="shop.sales",
    )
    assert got == ["shop.sales"]


def test_two_parses_make_the_same_dag_version(make_project: MakeProject, tmp_path: Path) -> None:
    """A DAG that serializes differently at each parse is a new version in Airflow each time."""
    project = make_project()
    then = """
from airflow.serialization.serialized_objects import DagSerialization
dags = {k: DagSerialization.to_dict(v)["dag"] for k, v in found.items()}
print(json.dumps({"dags": dags}, sort_keys=True))
"""
    first = parse(project, then, tmp_path, PYTHONHASHSEED="1")
    second = parse(project, then, tmp_path, PYTHONHASHSEED="2")
    assert first == second
    for dag in first["dags"].values():
        dag.pop("fileloc")  # Airflow's own; it is no part of what it compares
    assert str(project) not in json.dumps(first)


def test_the_ui_shows_nodes_and_datasets_of_a_task(
    make_project: MakeProject, tmp_path: Path
) -> None:
    then = 'print(json.dumps(found["shop"].get_task("first__second").doc_md))'
    doc = str(parse(make_project(), then, tmp_path))
    assert "`first`" in doc and "`second`" in doc
    assert "`total` (json.JSONDataset, `data/total.json`)" in doc
