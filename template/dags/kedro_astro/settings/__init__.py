"""What `airflow.yml` may say. It needs pydantic: for Airflow's interpreter, and not for a parse."""

from kedro_astro.settings.read import must_be, read, wrong_names
from kedro_astro.settings.use import for_pipeline, for_task, selected

__all__ = ["for_pipeline", "for_task", "must_be", "read", "selected", "wrong_names"]
