"""The example on workers that share no disk: with data on S3, and with data on their disks."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from cluster import Cluster
from s3 import Store
from scaffold import python, run

from .conftest import ROOT

pytestmark = pytest.mark.workers


def test_both_workers_run_it_and_the_results_are_those_of_kedro_run(
    airflow: Cluster, store: Store, project: Path, after_kedro_run: Path
) -> None:
    files = store.files()
    files.put(
        str(after_kedro_run / "data/01_raw/penguins_raw.csv"), f"{ROOT}/01_raw/penguins_raw.csv"
    )
    run_ids = [airflow.client.trigger("penguins") for _ in range(3)]
    states = [airflow.client.wait_for_run("penguins", run_id, 120) for run_id in run_ids]
    assert states == ["success"] * 3
    ran = [task for r in run_ids for task in airflow.client.task_instances("penguins", r)]
    assert {task.hostname for task in ran} == {"worker-1", "worker-2"}
    local = after_kedro_run / "data"
    for name in ("08_reporting/metrics.json", "08_reporting/species_summary.json"):
        assert json.loads(files.cat(f"{ROOT}/{name}")) == json.loads((local / name).read_text())
    for name in ("03_primary/penguins.parquet", "07_model_output/predictions.parquet"):
        with files.open(f"{ROOT}/{name}") as remote:
            pd.testing.assert_frame_equal(pd.read_parquet(remote), pd.read_parquet(local / name))
    # Nothing has been left beside the store.
    assert [*(project / "data").rglob("*.parquet")] == []


def test_what_one_worker_has_on_its_disk_another_has_not(airflow: Cluster, project: Path) -> None:
    """`check` refuses it; a run says which dataset it is, and what to do."""
    said = run(python("dags/kedro_astro", "check", "--target", "astro"), project).stdout
    assert "local.filled is at data/filled.txt, on a disk that workers or containers do not" in said
    run_id = airflow.client.trigger("penguins.local")
    assert airflow.client.wait_for_run("penguins.local", run_id, 120) == "failed"
    tasks = {t.task_id: t for t in airflow.client.task_instances("penguins.local", run_id)}
    fill, count = tasks["fill"], tasks["count"]
    assert (fill.state, fill.hostname) == ("success", "worker-1")
    assert (count.state, count.hostname) == ("failed", "worker-2")
    log = json.dumps(airflow.client.task_log("penguins.local", run_id, "count"))
    assert "local.filled, at data/filled.txt, could not be loaded: FileNotFoundError" in log
    assert "shares no disk with this one, worker-2: set data_root to an object store" in log
