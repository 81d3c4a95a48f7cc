"""Shows in Airflow's UI, as a DAG import error, what is wrong with this project's Kedro pipelines.

A file of its own, because Airflow drops every DAG of a file that raises.
"""

import os
import sys
from pathlib import Path

DAGS = Path(__file__).resolve().parent
# On Amazon MWAA they are apart, and startup.sh says where the project is.
PROJECT = Path(os.environ.get("KEDRO_ASTRO_PROJECT") or DAGS.parent)
# Airflow puts this folder there itself; a test that imports this file need not.
if str(DAGS) not in sys.path:
    sys.path.insert(0, str(DAGS))

from kedro_astro.airflow.manifest import raise_problems  # noqa: E402

raise_problems(PROJECT)
