"""Tasks start warm: Airflow's scheduler imports once what your pipelines import.

Airflow loads this file in each of its components; only a scheduler does more than that. It belongs
to the template. `KEDRO_ASTRO_WARM_START=off` in the environment turns it off.
"""

import multiprocessing
import sys
from pathlib import Path

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

PROJECT = Path(__file__).resolve().parent.parent

# What a scheduler forks has its command line, and macOS forks no tasks.
FORKED = multiprocessing.parent_process() is not None
IN_SCHEDULER = sys.platform == "linux" and sys.argv[1:2] == ["scheduler"] and not FORKED


class Warm:
    @hookimpl
    def on_starting(self, component: object) -> None:
        """Warm up in a scheduler that starts, before it forks its first task."""
        from airflow.configuration import conf
        from airflow.listeners.listener import get_listener_manager

        # Airflow refuses tasks with `end_from_trigger` where there is a listener, in forks as well.
        get_listener_manager().pm.unregister(self)
        if not (PROJECT / "dags/kedro_astro/warm.py").is_file():
            return  # The DAGs are kept elsewhere, or are of another version.
        others, path = set(sys.modules), list(sys.path)
        sys.path.insert(0, str(PROJECT / "dags"))
        try:
            from kedro_astro.warm import warm_up
        finally:
            sys.path[:] = path
        warm_up(
            PROJECT,
            conf.get("core", "executor"),
            conf.getboolean("core", "execute_tasks_new_python_interpreter", fallback=False),
        )
        # A task imports the shim anew, as it is then.
        for name in set(sys.modules) - others:
            if name.partition(".")[0] == "kedro_astro":
                del sys.modules[name]


class KedroAstroWarm(AirflowPlugin):
    name = "kedro_astro_warm"
    listeners = (Warm(),) if IN_SCHEDULER else ()
