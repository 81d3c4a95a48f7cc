"""Tasks start warm: the process that forks them imports once what your pipelines import.

That is Airflow's scheduler with the LocalExecutor, and Celery's worker. The DAG processor, which
forks for each parse, imports the shim and no library. Airflow loads this file in each of its
components; no other does more than that. It belongs to the template.
`KEDRO_ASTRO_WARM_START=off` in the environment turns it off.
"""

import multiprocessing
import sys
from pathlib import Path

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

PROJECT = Path(__file__).resolve().parent.parent

# What they fork has their command line, and macOS forks no tasks.
FORKS = sys.platform == "linux" and multiprocessing.parent_process() is None
IN_SCHEDULER = FORKS and sys.argv[1:2] == ["scheduler"]
IN_DAG_PROCESSOR = FORKS and sys.argv[1:2] == ["dag-processor"]
IN_WORKER = FORKS and sys.argv[1:3] == ["celery", "worker"]


def warm(component: str) -> None:
    """Warm up in a component that starts, before it forks its first task."""
    from airflow.configuration import conf

    if not (PROJECT / "dags/kedro_astro/airflow/warm.py").is_file():
        return  # The DAGs are kept elsewhere, or are of another version.
    others, path = set(sys.modules), list(sys.path)
    sys.path.insert(0, str(PROJECT / "dags"))
    try:
        from kedro_astro.airflow.warm import warm_up
    finally:
        sys.path[:] = path
    warm_up(
        PROJECT,
        component,
        conf.get("core", "executor"),
        conf.getboolean("core", "execute_tasks_new_python_interpreter", fallback=False),
    )
    # Whoever is forked imports the shim anew, or inherits it if it is the same then.
    for name in set(sys.modules) - others:
        if name.partition(".")[0] == "kedro_astro":
            del sys.modules[name]


class Starting:
    @hookimpl
    def on_starting(self, component: object) -> None:
        from airflow.listeners.listener import get_listener_manager

        # Airflow refuses tasks with `end_from_trigger` where there is a listener, in forks as well.
        get_listener_manager().pm.unregister(self)
        warm("dag-processor" if IN_DAG_PROCESSOR else "scheduler")


if IN_WORKER:
    from celery.signals import worker_init

    # It has no listeners, and this comes before its pool of processes.
    worker_init.connect(lambda **_: warm("worker"), weak=False)


class KedroAstroWarm(AirflowPlugin):
    name = "kedro_astro_warm"
    listeners = (Starting(),) if IN_SCHEDULER or IN_DAG_PROCESSOR else ()
