"""What is wrong with a project, as Airflow's UI shows it. It builds nothing."""

from pathlib import Path

from kedro_astro.airflow.manifest import patience, read


def raise_problems(project: Path) -> None:
    """Raise what is wrong with the project, for `dags/kedro_problems.py` to show in Airflow's UI.

    Raises:
        BrokenProjectError: if pipelines could not be read, or cannot be DAGs.
        StillReadingError: if the project is being read for longer than Airflow would wait.
    """
    from kedro_astro.errors import BrokenProjectError, StillReadingError

    manifest = read(project, patience)
    if manifest.still_reading:
        raise StillReadingError(kept=len(manifest.dag_ids))
    if manifest.problems:
        raise BrokenProjectError(manifest.problems, kept=len(manifest.dag_ids))
