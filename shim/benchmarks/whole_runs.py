"""What is measured on a real Airflow, through its REST API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import rivals
from kedro_astro.client import Airflow
from kedro_astro.standalone import running
from measure import alternate
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


def whole_runs(project: Path, home: Path) -> Iterator[Row]:
    """Yield how long runs and tasks take on an Airflow that has the DAGs of all sides.

    One Airflow, in turns: on two of them, one after the other, whatever else the machine did in
    the meantime made kedro-airflow's runs 15 seconds long or 27.

    Args:
        project: the example, with kedro-airflow's files in `dags/`.
        home: `AIRFLOW_HOME` of the Airflow that is started.
    """
    (ours,) = (tasks for dag_id, tasks in rivals.edges(project).items() if dag_id == OURS)
    rivals.write(project / f"dags/{EMPTY}.py", rivals.by_hand({EMPTY: ours}))
    rivals.write(project / f"dags/{NO_OP}.py", NO_OP_FILE)
    dag_ids = (OURS, GROUPED, GUIDE, EMPTY, NO_OP)
    starts: dict[str, list[float]] = {dag_id: [] for dag_id in dag_ids}
    with running(project, home) as airflow:
        airflow.wait_for("all DAGs", lambda: {*dag_ids} <= {*airflow.dag_ids()})
        # kedro-airflow's DAGs run once by themselves, and are not to run beside another.
        airflow.wait_for("quiet", lambda: _all_quiet(airflow, (GROUPED, GUIDE)), 300)

        def run(dag_id: str) -> float:
            run_id = airflow.trigger(dag_id)
            if airflow.wait_for_run(dag_id, run_id) != "success":
                raise RuntimeError(f"{dag_id} failed; look at {home}/logs")
            starts[dag_id].append(_seconds(airflow.task_instances(dag_id, run_id)[0]))
            return _seconds(airflow.get(f"dags/{dag_id}/dagRuns/{run_id}"))

        walls = alternate({dag_id: partial(run, dag_id) for dag_id in dag_ids}, ROUNDS)
    wall = {dag_id: median(found) for dag_id, found in walls.items()}
    first = {dag_id: median(found[1:]) for dag_id, found in starts.items()}
    yield Row(
        "one task, warm start", "a no-op PythonOperator", first[OURS], first[NO_OP], "s", 0.3, "s"
    )
    yield _wall(wall, "kedro-airflow, each node a task", GUIDE, 0.3)
    yield _wall(wall, "kedro-airflow, the same tasks", GROUPED, 0.3)
    yield _wall(wall, "the same DAG with empty tasks", EMPTY, 2)


def _wall(wall: Mapping[str, float], against: str, theirs: str, target: float) -> Row:
    return Row("a whole run of the example", against, wall[OURS], wall[theirs], "s", target)


def _all_quiet(airflow: Airflow, dag_ids: tuple[str, ...]) -> bool:
    """Whether each of these DAGs has run, and none of them still does."""
    runs = [airflow.get(f"dags/{dag_id}/dagRuns")["dag_runs"] for dag_id in dag_ids]
    return all(found and all(run["end_date"] for run in found) for found in runs)


def _seconds(instance: Mapping[str, Any]) -> float:
    """Return the wall time of a DAG run or a task instance, as the API says it."""
    start, end = (
        datetime.fromisoformat(instance[name].replace("Z", "+00:00"))
        for name in ("start_date", "end_date")
    )
    return (end - start).total_seconds()
