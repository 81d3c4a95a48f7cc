"""What is measured on a real Airflow, through its REST API."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
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
ALL = (OURS, EMPTY, NO_OP, GROUPED, GUIDE)

NO_OP_FILE = """
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG

with DAG(dag_id="no_op"):
    PythonOperator(task_id="nothing", python_callable=lambda: None)
"""
ROUNDS = 3


def whole_runs(project: Path, home: Path) -> Iterator[Row]:
    """Yield how long runs and tasks take on a real Airflow that has the DAGs of all sides.

    Args:
        project: the example, with kedro-airflow's files in `dags/`.
        home: folder for `AIRFLOW_HOME`.
    """
    planned = rivals.edges(project)
    rivals.write(project / f"dags/{EMPTY}.py", rivals.by_hand({EMPTY: planned[OURS]}))
    rivals.write(project / f"dags/{NO_OP}.py", NO_OP_FILE)
    wall, first = _medians(project, home / "ours", (OURS, EMPTY, NO_OP))
    # The same Airflow, started anew without our warm start. It imports the project's libraries in
    # the scheduler, so kedro-airflow's tasks would start warm as well, which its users' do not.
    os.environ["KEDRO_ASTRO_WARM_START"] = "off"
    theirs, _ = _medians(project, home / "theirs", (GUIDE, GROUPED))
    wall |= theirs
    warm = "one task, warm start"
    yield Row(warm, "a no-op PythonOperator", first[OURS], first[NO_OP], "s", 0.3, "s")
    yield _wall(wall, "kedro-airflow, each node a task", GUIDE, 0.3)
    yield _wall(wall, "kedro-airflow, the same tasks", GROUPED, 0.3)
    yield _wall(wall, "the same DAG with empty tasks", EMPTY, 2)


def _medians(
    project: Path, home: Path, dag_ids: Sequence[str]
) -> tuple[dict[str, float], dict[str, float]]:
    """Run each DAG several times on an Airflow; return the wall time of a run and that of its
    first task, by DAG."""
    tasks: dict[str, list[float]] = {dag_id: [] for dag_id in dag_ids}
    with running(project, home) as airflow:

        def run(dag_id: str) -> float:
            run_id = airflow.trigger(dag_id)
            if airflow.wait_for_run(dag_id, run_id) != "success":
                raise RuntimeError(f"{dag_id} failed; look at {home}/logs")
            tasks[dag_id].append(_seconds(airflow.task_instances(dag_id, run_id)[0]))
            return _seconds(airflow.get(f"dags/{dag_id}/dagRuns/{run_id}"))

        airflow.wait_for("all DAGs", lambda: {*ALL} <= {*airflow.dag_ids()})
        # kedro-airflow's DAGs run once by themselves, and are not to run beside another.
        airflow.wait_for("quiet", lambda: _all_quiet(airflow, (GROUPED, GUIDE)), 300)
        walls = alternate({dag_id: partial(run, dag_id) for dag_id in dag_ids}, ROUNDS)
    return (
        {dag_id: median(found) for dag_id, found in walls.items()},
        # As with the walls, the first run does not count.
        {dag_id: median(found[1:]) for dag_id, found in tasks.items()},
    )


def _wall(wall: Mapping[str, float], against: str, theirs: str, target: float) -> Row:
    return Row("a whole run of the example", against, wall[OURS], wall[theirs], "s", target)


def _all_quiet(airflow: Airflow, dag_ids: Sequence[str]) -> bool:
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
