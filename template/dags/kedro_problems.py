"""Shows in Airflow's UI, as a DAG import error, what is wrong with this project's Kedro pipelines.

A file of its own, because Airflow drops every DAG of a file that raises.
"""

import sys
from pathlib import Path

DAGS = Path(__file__).resolve().parent
# Airflow puts this folder there itself; a test that imports this file need not.
if str(DAGS) not in sys.path:
    sys.path.insert(0, str(DAGS))

from kedro_astro.airflow.problems import raise_problems  # noqa: E402

raise_problems(DAGS.parent)
