"""What is measured on a real Airflow, through its REST API."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median

import rivals
from airflow_client.client import DAGRunResponse, TaskInstanceResponse
from client import Client
from kedro_astro.airflow.standalone import running
from kedro_astro.airflow.warm import SWITCH
from report import Row

OURS = "penguins"
EMPTY = "by_hand"
NO_OP = "no_op"
# The same five tasks as ours, from the same catalog: the closest that kedro-airflow comes.
GROUPED = "kedro_airflow"
# A task for each node and each dataset a file, which is what Kedro's guide has its users make.
GUIDE = "kedro_airflow_guide"

NO_OP_FILE = """
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG

with DAG(dag_id="no_op"):
    PythonOperator(task_id="nothing", python_callable=lambda: None)
"""
ROUNDS = 3
SIDES = {"on": (OURS, EMPTY, NO_OP, GUIDE), "off": (GROUPED, GUIDE)}
"""Which DAGs run with our warm start and which without: it warms all tasks of an Airflow, and users
of kedro-airflow have none. With it their DAG is measured, too."""


def whole_runs(project: Path, home: Path) -> Iterator[Row]:
    """Yield how long runs and tasks take on a real Airflow.

    The two sides are started in turns, so that whatever else the machine does meets both.

    Args:
        project: the example, with kedro-airflow's files in `dags/`.
        home: a folder for the `AIRFLOW_HOME` of each side.
    """
    (ours,) = (tasks for dag_id, tasks in rivals.edges(project).items() if dag_id == OURS)
    rivals.write(project / f"dags/{EMPTY}.py", rivals.by_hand({EMPTY: ours}))
    rivals.write(project / f"dags/{NO_OP}.py", NO_OP_FILE)
    walls: dict[tuple[str, str], list[float]] = {}
    firsts: dict[tuple[str, str], list[float]] = {}
    for _ in range(ROUNDS):
        for switch, dag_ids in SIDES.items():
            os.environ[SWITCH] = switch
            for dag_id, run, task in _runs(project, home / switch, dag_ids):
                walls.setdefault((switch, dag_id), []).append(run)
                firsts.setdefault((switch, dag_id), []).append(task)
    warm, cold = (
        {dag_id: median(walls[switch, dag_id]) for dag_id in SIDES[switch]} for switch in SIDES
    )
    first = {dag_id: median(firsts["on", dag_id]) for dag_id in SIDES["on"]}
    yield Row(
        "one task, warm start", "a no-op PythonOperator", first[OURS], first[NO_OP], "s", 0.3, "s"
    )
    yield _wall(warm, "kedro-airflow, each node a task", cold[GUIDE], 0.3)
    yield _wall(warm, "kedro-airflow, the same tasks", cold[GROUPED], 0.3)
    yield _wall(warm, "kedro-airflow, with our warm start", warm[GUIDE], 0.3)
    yield _wall(warm, "the same DAG with empty tasks", warm[EMPTY], 2)


def _runs(
    project: Path, home: Path, dag_ids: tuple[str, ...]
) -> Iterator[tuple[str, float, float]]:
    """Start an Airflow, run each DAG twice, and yield seconds of the run and of its first task."""
    with running(project, home) as found:
        airflow = Client.of(found)
        airflow.wait_for("all DAGs", lambda: {*dag_ids} <= {*airflow.dag_ids()})
        # kedro-airflow's DAGs run once by themselves, and are not to run beside another.
        airflow.wait_for("quiet", lambda: _all_quiet(airflow, SIDES["off"]), 300)
        for dag_id in dag_ids * 2:
            run_id = airflow.trigger(dag_id)
            if airflow.wait_for_run(dag_id, run_id) != "success":
                raise RuntimeError(f"{dag_id} failed; look at {home}/logs")
            wall = _seconds(airflow.run(dag_id, run_id))
            yield dag_id, wall, _seconds(airflow.task_instances(dag_id, run_id)[0])


def _wall(warm: Mapping[str, float], against: str, theirs: float, target: float) -> Row:
    return Row("a whole run of the example", against, warm[OURS], theirs, "s", target)


def _all_quiet(airflow: Client, dag_ids: tuple[str, ...]) -> bool:
    """Whether each of these DAGs has run, and none of them still does."""
    runs = [airflow.runs(dag_id) for dag_id in dag_ids]
    return all(found and all(run.end_date for run in found) for found in runs)


def _seconds(instance: DAGRunResponse | TaskInstanceResponse) -> float:
    """Return the wall time of a DAG run or a task instance, as the API says it."""
    if not (instance.start_date and instance.end_date):
        raise RuntimeError(f"{instance.dag_id} has not ended")
    return (instance.end_date - instance.start_date).total_seconds()
