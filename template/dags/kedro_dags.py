"""Every pipeline of this Kedro project as an Airflow DAG.

Airflow imports this file; `kedro_astro` beside it does the work. Both belong to the template: to
change a DAG, change the pipeline under `src/`.
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

from kedro_astro.airflow.dags import build_dags  # noqa: E402

globals().update(build_dags(PROJECT))
