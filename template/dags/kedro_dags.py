"""Every pipeline of this Kedro project as an Airflow DAG.

Airflow imports this file; `kedro_astro` beside it does the work. Both belong to the template: to
change a DAG, change the pipeline under `src/`.
"""

import sys
from pathlib import Path

DAGS = Path(__file__).resolve().parent
# Airflow puts this folder there itself; a test that imports this file need not.
if str(DAGS) not in sys.path:
    sys.path.insert(0, str(DAGS))

from kedro_astro.airflow.dags import build_dags  # noqa: E402

globals().update(build_dags(DAGS.parent))
