"""Tasks start warm: Airflow's scheduler, or Celery's worker, imports once what pipelines import.

This file belongs to the template. `KEDRO_ASTRO_WARM_START=off` in the environment turns it off.
"""

import sys
from pathlib import Path

DAGS = Path(__file__).resolve().parent.parent / "dags"

# The DAGs may be kept elsewhere, or be of another version.
if (DAGS / "kedro_astro/airflow/plugin.py").is_file():
    sys.path.insert(0, str(DAGS))
    before = set(sys.modules)
    try:
        from kedro_astro.airflow.plugin import KedroAstroWarm  # noqa: F401
    finally:
        sys.path.remove(str(DAGS))
    # Tasks, which are forked, import the shim as it is then. What was there before stays: where the
    # shim itself imports Airflow, as `kedro astro compile` does, it is not complete yet.
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == "kedro_astro":
            del sys.modules[name]
