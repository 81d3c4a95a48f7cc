"""Where things are in a project, and the environment its processes run with. No Kedro here."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

SHIM = Path(__file__).resolve().parent
"""The folder of this package."""

CACHE = ".kedro-astro"
"""The folder in a project for what kedro-astro may lose."""


def kedro_env(project: Path) -> str | None:
    """Return the Kedro environment of Airflow's tasks: `KEDRO_ENV`, else `airflow` if it is there.

    None leaves the choice to the project's own settings. `os.environ` is read and not `os.getenv`,
    which the Astro CLI's integrity test replaces by one that invents values.
    """
    if env := os.environ.get("KEDRO_ENV"):
        return env
    return "airflow" if (project / "conf" / "airflow").is_dir() else None


def prepare_kedro() -> None:
    """Set what Kedro reads when it is first imported; call it before that.

    - Logging: Kedro replaces all log handlers when it is imported. An incremental configuration
      makes it leave Airflow's (or whoever's) in place, so lines keep their level and logger.
    - Telemetry: it would post to the network, import every dataset class of the catalog and write
      to `pyproject.toml`, in each task.
    - A warning that Kedro 1.7 gets from the newest OmegaConf, three times in each process, and that
      no user can do anything about.
    """
    warnings.filterwarnings("ignore", r"register_new_resolver\(\) is deprecated")
    os.environ["KEDRO_LOGGING_CONFIG"] = str(SHIM / "logging.yml")
    os.environ["KEDRO_DISABLE_TELEMETRY"] = "1"


def relative(path: Path, project: Path) -> str:
    """Return a path below the project relative to it, any other as it is."""
    return (path.relative_to(project) if path.is_relative_to(project) else path).as_posix()
