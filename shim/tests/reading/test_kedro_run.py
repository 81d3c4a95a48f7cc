"""`kedro run` where credentials come from Airflow's connections, which it has not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from parsing import SHIM
from projects import CATALOG, MakeProject

STORE = CATALOG + "kept: {type: pickle.PickleDataset, filepath: k.pkl, credentials: store}\n"
SAYS = "default: {credentials: {store: my_s3}}"
OWN = "store: {key: k}\n"
ONLY = "The credentials store are the Airflow connection my_s3, says conf/base/airflow.yml."


@pytest.fixture
def kedro_run(make_project: MakeProject, tmp_path: Path):
    """Returns how `kedro run` ends and what it says last, in a project that is installed."""
    (tmp_path / "project-0.dist-info").mkdir()
    points = "[kedro.hooks]\nastro = kedro_astro.reading.kedro_run\n"
    (tmp_path / "project-0.dist-info/entry_points.txt").write_text(points)
    metadata = "Metadata-Version: 2.1\nName: project\nVersion: 0\n"
    (tmp_path / "project-0.dist-info/METADATA").write_text(metadata)

    def run(files: dict[str, str]) -> tuple[int, str]:
        project = make_project({"conf/base/catalog.yml": STORE, "data/raw.json": "1", **files})
        path = f"{tmp_path}{os.pathsep}{SHIM}"
        done = subprocess.run(
            [sys.executable, "-m", "kedro", "run"],
            cwd=project,
            env={**os.environ, "PYTHONPATH": path, "KEDRO_DISABLE_TELEMETRY": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, " ".join(done.stderr.split()).rpartition("Error: ")[2]

    return run


@pytest.mark.parametrize("folder", ["conf/base", "conf/airflow"])
def test_who_has_them_is_said(kedro_run, folder: str) -> None:
    """Also where Airflow's environment says it, which is not that of `kedro run`."""
    status, said = kedro_run({f"{folder}/airflow.yml": SAYS})
    assert status == 1 and said.startswith(ONLY.replace("conf/base", folder))
    assert "`kedro run` does not: put your own into conf/local/credentials.yml." in said


def test_your_own_are_taken(kedro_run) -> None:
    files = {"conf/base/airflow.yml": SAYS, "conf/local/credentials.yml": OWN}
    assert kedro_run(files)[0] == 0


@pytest.mark.parametrize("said", [SAYS.replace("store", "other"), "default: {credentials: 3}", "["])
def test_all_else_kedro_says_itself(kedro_run, said: str) -> None:
    """Whatever is in airflow.yml, of which `check` says what is wrong."""
    status, last = kedro_run({"conf/base/airflow.yml": said})
    assert status == 1 and "Unable to find credentials 'store'" in last
