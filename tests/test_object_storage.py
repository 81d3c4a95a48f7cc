"""The example with all of its data in an object store, and what a task says if it cannot have them.

The server is real, and so are the places that do not answer.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from s3 import Store, serving
from scaffold import RUN_TASKS, append, free_port, python, run, run_dag, scaffold, succeed

pytestmark = pytest.mark.stores

BRING = (
    "import fsspec; fsspec.filesystem('s3').put('data/01_raw/', '{root}/01_raw/', recursive=True)"
)
ROOT = "s3://bucket/some/data"
PARTS = """
parts: {type: partitions.PartitionedDataset, path: "${globals:data_root}/parts",
        dataset: json.JSONDataset, filename_suffix: .json}
sizes: {type: json.JSONDataset, filepath: "${globals:data_root}/sizes.json", versioned: true}
"""
PARTS_NODES = """
from kedro.pipeline import node, pipeline
def split(penguins):
    return {name: len(rows) for name, rows in penguins.groupby("species")}
def join(parts, kept):
    return {name: load() for name, load in sorted(parts.items())} == kept
def twice(penguins):
    parts = split(penguins)
    return parts, parts
def create_pipeline(**kwargs):
    return pipeline([
        node(twice, "penguins", ["parts", "kept"], name="split"),
        node(join, ["parts", "kept"], "sizes", name="join"),
    ])
"""
"""Partitioned, versioned, and a pickle of the run."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = scaffold(tmp_path_factory.mktemp("s3") / "penguins", project_name="Penguins")
    append(project / "conf/base/catalog.yml", PARTS)
    folder = project / "src/penguins/pipelines/parts"
    folder.mkdir()
    (folder / "__init__.py").write_text(PARTS_NODES)
    append(project / "requirements.txt", "s3fs\nkedro-datasets[partitions-partitioneddataset]\n")
    return project


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with serving(tmp_path_factory.mktemp("store"), "bucket") as store:
        yield store


@pytest.fixture
def environment(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    # The / at its end is one too many.
    for name, value in {**store.env, "KEDRO_DATA_ROOT": f"{ROOT}/"}.items():
        monkeypatch.setenv(name, value)


def test_the_example_in_a_bucket(
    project: Path,
    store: Store,
    after_kedro_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its image knows of no bucket: only the environment of its tasks does."""
    manifest = tmp_path / "manifest.jsonl"
    kedro_astro = ["-W", "ignore", "dags/kedro_astro"]
    succeed(python(*kedro_astro, "compile", manifest), project)
    for name, value in {**store.env, "KEDRO_DATA_ROOT": f"{ROOT}/"}.items():
        monkeypatch.setenv(name, value)
    for _ in range(2):  # A second time changes nothing.
        succeed(python("-c", BRING.format(root=ROOT)), project)
    monkeypatch.setenv("KEDRO_ASTRO_MANIFEST", str(manifest))
    saved = run_dag(project, "penguins", tmp_path / "airflow")
    monkeypatch.delenv("KEDRO_ASTRO_MANIFEST")

    assert saved["data_science"]["metrics"]["location"] == f"{ROOT}/08_reporting/metrics.json"
    bucket = store.folder / "bucket/some/data"
    for name in ("metrics.json", "species_summary.json", "penguin_plot.png"):
        there = bucket / "08_reporting" / name
        assert there.read_bytes() == (after_kedro_run / "data/08_reporting" / name).read_bytes()
    (sizes,) = bucket.glob("sizes.json/*/sizes.json")
    assert json.loads(sizes.read_text()) is True
    assert len([*bucket.glob("parts/*.json")]) == 3
    assert len([*bucket.glob("06_models/classifier.pickle/*/classifier.pickle")]) == 1
    # What the run alone needed is gone from there, and nothing was ever here.
    assert not (bucket / "02_intermediate").exists()
    assert sorted(f.name for f in project.glob("data/0[2-8]*/*") if f.name != ".gitkeep") == []

    checked = run(python(*kedro_astro, "check", "--target", "astro"), project)
    assert checked.returncode == 0, checked.stdout
    assert "0 findings" in checked.stdout
    # The variable is a source like others.
    monkeypatch.delenv("KEDRO_DATA_ROOT")
    checked = run(python(*kedro_astro, "check", "--target", "astro"), project)
    assert "metrics is at data/08_reporting/metrics.json" in checked.stdout


FAIL = RUN_TASKS.replace(
    "    returned[task.task_id] = task.execute(context)",
    """    try:
        task.execute(context)
    except Exception as error:
        sys.exit(f"{type(error).__name__}: {error}")
    sys.exit("nothing is wrong")""",
)


def said_by_the_first_task(project: Path, home: Path, **env: str) -> str:
    """What the error says that ends a task which should load the raw data from a store."""
    command = [sys.executable, "-W", "ignore", "-c", FAIL, "penguins"]
    env = {**os.environ, "AIRFLOW_HOME": str(home), **env}
    done = subprocess.run(
        command, cwd=project, env=env, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 1
    return done.stderr.splitlines()[-1]


WRONG = {
    "bucket": ({"KEDRO_DATA_ROOT": "s3://no-such-bucket/data"}, "bucket does not exist"),
    "keys": ({"AWS_SECRET_ACCESS_KEY": "wrong"}, ""),
    "endpoint": ({"AWS_ENDPOINT_URL": "http://127.0.0.1:{closed}"}, "Could not connect"),
}


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("what", WRONG)
def test_a_store_that_cannot_be_used(project: Path, tmp_path: Path, what: str) -> None:
    env, words = WRONG[what]
    env = {name: value.format(closed=free_port()) for name, value in env.items()}
    said = said_by_the_first_task(project, tmp_path, **env)
    root = env.get("KEDRO_DATA_ROOT", ROOT)
    assert f"penguins_raw, at {root}/01_raw/penguins_raw.csv, could not be loaded" in said
    assert words in said
    assert "KEDRO_DATA_ROOT" in said and "credentials.yml" in said and "AWS_ENDPOINT_URL" in said


@pytest.mark.usefixtures("environment")
def test_a_store_that_never_answers(project: Path, tmp_path: Path) -> None:
    """Left alone, s3fs and botocore would wait for more than six minutes."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        said = said_by_the_first_task(project, tmp_path, AWS_ENDPOINT_URL=endpoint)
    assert "penguins_raw, at " in said and "Read timeout on endpoint" in said
