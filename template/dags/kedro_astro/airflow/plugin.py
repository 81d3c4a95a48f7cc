"""The Airflow plugin that has tasks start warm. Airflow loads it in each of its components.

No other than the scheduler and Celery's worker does anything with it. Nothing of the project is
imported before one of them starts, and the shim is not kept by it: tasks import it as it is then.
"""

import multiprocessing
import sys
from pathlib import Path

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

HOME = Path(__file__).parents[2]
"""The folder of the shim: a project's `dags/`, or where packages are installed."""

# What they fork has their command line, and macOS forks no tasks.
FORKS = sys.platform == "linux" and multiprocessing.parent_process() is None


def warm(component: str) -> None:
    """Warm up in a component that starts, before it forks its first task."""
    from airflow import __version__ as airflow
    from airflow.configuration import conf

    dags = HOME if HOME.name == "dags" else Path(conf.get("core", "dags_folder"))
    anew = conf.getboolean("core", "execute_tasks_new_python_interpreter", fallback=False)
    sys.path.insert(0, str(HOME))
    from kedro_astro.airflow.warm import warm_up

    sys.path.remove(str(HOME))
    # Airflow 3 forks tasks whatever that setting says.
    warm_up(dags.parent, component, conf.get("core", "executor"), anew and airflow < "3")
    for name in [name for name in sys.modules if name.partition(".")[0] == "kedro_astro"]:
        del sys.modules[name]


class Starting:
    """Hears that the scheduler starts."""

    @hookimpl
    def on_starting(self, component: object) -> None:
        """Warm up, once."""
        from airflow.listeners.listener import get_listener_manager

        # Airflow refuses tasks with `end_from_trigger` where there is a listener, in forks as well.
        get_listener_manager().pm.unregister(self)
        warm("scheduler")


if FORKS and sys.argv[1:3] == ["celery", "worker"]:
    from celery.signals import worker_init

    # It has no listeners, and this comes before its pool of processes.
    worker_init.connect(lambda **_: warm("worker"), weak=False)


class KedroAstroWarm(AirflowPlugin):
    """What Airflow looks for."""

    name = "kedro_astro_warm"
    listeners = [Starting()] if FORKS and sys.argv[1:2] == ["scheduler"] else []
