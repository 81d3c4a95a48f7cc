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


@hookimpl
def on_starting(component: object) -> None:
    """Warm up in a scheduler that starts: not in what it forks, and not in other components."""
    forked = multiprocessing.parent_process() is not None
    if sys.platform != "linux" or sys.argv[1:2] != ["scheduler"] or forked:
        return
    if not (PROJECT / "dags/kedro_astro/warm.py").is_file():
        return  # The DAGs are kept elsewhere, or are of another version.
    from airflow.configuration import conf

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
    listeners = (sys.modules[__name__],)
