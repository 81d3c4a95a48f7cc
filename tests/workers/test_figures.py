"""How wall time falls with more workers, and 500 runs through one scheduler.

docs/how-to/scale.md has the figures of one day.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any

import psutil
import pytest
from cluster import Cluster, family
from s3 import Store

from .conftest import ROOT as DATA

pytestmark = pytest.mark.workers

NODES, SECONDS = 64, 0.5
RUNS = 500


def wall(airflow: Cluster, dag_id: str) -> dict[str, float]:
    """Run a DAG; return seconds from its first task's start to its last one's end, and more."""
    before = cpu(airflow)
    run_id = airflow.client.trigger(dag_id)
    assert airflow.client.wait_for_run(dag_id, run_id, 400) == "success"
    tasks = airflow.client.task_instances(dag_id, run_id)
    tasks = [task for task in tasks if task.task_id.startswith("wait")]
    assert len(tasks) == NODES
    first, last = min(t.start_date for t in tasks), max(t.end_date for t in tasks)
    spent = {name: round(used - before[name], 1) for name, used in cpu(airflow).items()}
    durations = sorted(t.duration for t in tasks)
    return {
        "wall": round((last - first).total_seconds(), 1),
        "task": round(durations[len(durations) // 2], 2),
        "cpu": spent,
    }


def cpu(airflow: Cluster) -> Counter[str]:
    """Return the seconds that the processors have worked for each component, all of its ended
    children included."""
    found: Counter[str] = Counter()
    for name, process in airflow.processes.items():
        for member in family(process):
            try:
                times = member.cpu_times()
            except psutil.NoSuchProcess:
                continue
            found[name.partition("-")[0]] += sum(times[:4])
    return found


@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("two_workers")
def test_a_wide_pipeline_on_one_two_and_four_workers(
    airflow: Cluster, figures: dict[str, Any]
) -> None:
    airflow.stop("worker-2")
    for count in (1, 2, 4):
        for number in range(1, count + 1):
            if f"worker-{number}" not in airflow.processes:
                airflow.start_worker(number)
        for number in range(1, count + 1):
            airflow.ready(number)
        for dag_id in ("penguins.wide", "by_hand"):
            figures[f"{dag_id} {count}"] = wall(airflow, dag_id)


@pytest.mark.timeout(1800)
def test_five_hundred_runs(airflow: Cluster, store: Store, figures: dict[str, Any]) -> None:
    """Each ends well with its own result, and nobody holds much more memory at the end."""
    client, dag_id = airflow.client, "penguins.small"
    warm_up = client.trigger(dag_id)
    assert client.wait_for_run(dag_id, warm_up, 120) == "success"
    before, began = airflow.memory(), time.monotonic()
    numbers = {client.trigger(dag_id, {"number": n}): n for n in range(RUNS)}
    figures["triggered in"] = round(time.monotonic() - began, 1)

    def ended() -> bool:
        found = client.runs(dag_id, state=["queued", "running"], limit=1)
        return not found

    client.wait_for("the end of all runs", ended, 1500)
    figures["runs in"] = round(time.monotonic() - began, 1)
    figures["memory before"], figures["memory after"] = before, airflow.memory()
    found = [
        run for n in range(0, RUNS + 100, 100) for run in client.runs(dag_id, limit=100, offset=n)
    ]
    states = Counter(run.state.value for run in found)
    assert states == {"success": RUNS + 1}
    files = store.files()
    roots = [
        json.loads(files.cat(path))
        for path in files.find(f"{DATA}/small")
        if path.endswith("root.json")
    ]
    assert sorted(roots) == sorted([*range(RUNS), 3])
    assert set(numbers.values()) == {*range(RUNS)}
    for name, megabytes in figures["memory after"].items():
        assert megabytes < 1.5 * before[name] + 50, name
