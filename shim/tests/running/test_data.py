"""What a run leaves: the data that it alone needed are removed, and nothing else is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from kedro_astro.planning.ids import folder_of_run
from parsing import SHIM
from projects import MakeProject
from test_run_nodes import RUN

DUE = datetime(2026, 1, 1, tzinfo=timezone.utc)
OURS = folder_of_run(DUE, "shop.sales", "one")
NODES = """
from kedro.pipeline import node, pipeline
NAMES = {names}
def make(x):
    return [x] * len(NAMES)
def create_pipeline(**kwargs):
    return pipeline([node(make, "raw", NAMES, name="make"), node(repr, NAMES[0], "s", name="use")])
"""
VAULT = """
from kedro.io import AbstractDataset
class VaultDataset(AbstractDataset):
    def __init__(self, filepath):
        self.filepath = filepath
    def load(self):
        return 1
    def save(self, data):
        pass
    def _describe(self):
        return {}
"""
RUN_NAME = "${runtime_params:airflow_run}"
PLACES = {
    "inside": f"data/{RUN_NAME}/inside.json",
    "deeper": f"data/x/{RUN_NAME}/y/z/deeper.json",
    "named": f"data/named-{RUN_NAME}.json",
    "alone": RUN_NAME,
    "up": f"data/{RUN_NAME}/../shared/up.json",
    "twice": f"data/{RUN_NAME}/{RUN_NAME}-x/twice.json",
}


def run(project: Path, **given: Any) -> subprocess.CompletedProcess[str]:
    given = {"pipeline": "sales", "run_id": "2026-01-01T00.00.00.000Z", "nodes": [], **given}
    given |= {"project": str(project), "runtime_params": {"airflow_run": OURS}}
    return subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(given)],
        env={**os.environ, "PYTHONPATH": str(SHIM)},
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def project(make_project: MakeProject) -> Path:
    """One whose node saves a dataset in each of the places."""
    entries = {
        name: {"type": "json.JSONDataset", "filepath": path} for name, path in PLACES.items()
    }
    entries["old"] = {**entries["inside"], "filepath": f"data/{RUN_NAME}/old", "versioned": True}
    entries["vault"] = {"type": "shop.vault.VaultDataset", "filepath": f"vault://b/{RUN_NAME}/v"}
    entries["raw"] = {"type": "json.JSONDataset", "filepath": "data/raw.json"}
    files = {
        "src/shop/pipelines/sales/__init__.py": NODES.format(names=[*PLACES, "old"]),
        "src/shop/vault.py": VAULT,
        "conf/base/catalog.yml": json.dumps(entries),
        "data/raw.json": "1",
    }
    return make_project(files)


def files_of(project: Path) -> set[str]:
    """What is there of data, files and empty folders."""
    found = [*project.glob("data/**/*"), *project.glob("20*")]
    return {str(f.relative_to(project)) for f in found if f.is_file() or not [*f.iterdir()]}


@pytest.mark.slow
def test_what_is_removed_is_of_this_run_alone(project: Path) -> None:
    done = run(project, nodes=["make"])
    assert done.returncode == 0, done.stderr
    others = ["data/other.json", f"data/{OURS}0/x.json", "data/local/x.json", "data/x/x.json"]
    others.append(f"data/named-{folder_of_run(DUE, 'shop.sales', 'two')}.json")
    for name in others:
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text("1")
    (project / "data/x" / OURS / "link").symlink_to(project / "data/local")
    names = [*PLACES, "old"]
    done = run(project, removes=names)
    assert done.returncode == 0, done.stderr
    left = {"data/raw.json", "data/shared/up.json", *others}
    # The empty folder above what was removed stays.
    assert files_of(project) == left
    # And again, as a task that is tried a second time does.
    assert run(project, removes=names).returncode == 0
    gone = run(project, nodes=["use"])
    assert gone.returncode == 1
    said = gone.stderr.splitlines()[-1]
    assert f"inside, at data/{OURS}/inside.json, could not be loaded: FileNotFound" in said
    assert "Clear the task that saves it, too (Upstream)" in said


def test_what_runs_of_the_same_dag_left_long_ago_goes_too(project: Path) -> None:
    theirs = {
        "old": folder_of_run(DUE, "shop.sales", "two"),
        "young": folder_of_run(DUE, "shop.sales", "three"),
        "other": folder_of_run(DUE, "shop.more", "two"),
        "none": "2020-01-01T00.00.00.000Z",
    }
    long_ago = (datetime.now() - timedelta(days=2)).timestamp()
    for age, name in theirs.items():
        for path in (f"data/{name}/inside.json", f"data/named-{name}.json"):
            (project / path).parent.mkdir(parents=True, exist_ok=True)
            (project / path).write_text("1")
            os.utime(project / path, (long_ago, long_ago))
        if age == "young":
            (project / "data" / name / "new.json").write_text("1")
            (project / f"data/named-{name}.json").touch()
    done = run(project, removes=["inside", "named"], retention=86_400)
    assert done.returncode == 0, done.stderr
    left = {name.partition("/")[2].partition("/")[0] for name in files_of(project)}
    kept = [theirs[age] for age in ("young", "other", "none")]
    assert left == {"raw.json", *kept, *(f"named-{name}.json" for name in kept)}


def test_what_cannot_be_removed_is_an_error_that_names_it(project: Path) -> None:
    done = run(project, removes=["vault"])
    said = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and "vault, at vault://b/" in said
    assert "could not be removed" in said and "retention: forever" in said
