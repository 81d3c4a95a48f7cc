"""Shows in Airflow's UI, as a DAG import error, what is wrong with this project's Kedro pipelines.

A file of its own, because Airflow drops every DAG of a file that raises.
"""

from pathlib import Path

from kedro_astro.dags import raise_problems

raise_problems(Path(__file__).resolve().parent.parent)
