"""Every pipeline of this Kedro project as an Airflow DAG.

Airflow imports this file; `kedro_astro` beside it does the work. Both belong to the template: to
change a DAG, change the pipeline under `src/`.
"""

from pathlib import Path

from kedro_astro.dags import build_dags

globals().update(build_dags(Path(__file__).resolve().parent.parent))
