"""Where things are in a project, and the environment its processes run with. No Kedro here."""

import hashlib
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

SHIM = Path(__file__).resolve().parent
"""The folder of this package."""

IN_DAGS = SHIM.parent.name == "dags"
"""Whether it lies in a project's `dags/`; if not, it is installed."""

CACHE = ".kedro-astro"
"""The folder in a project for what kedro-astro may lose."""

OWN_REQUIREMENTS = "requirements-kedro.txt"
"""Names the libraries of the pipelines where they are not beside Airflow."""

AIRFLOW_PYTHON = ".venv-airflow/bin/python"
"""Airflow's interpreter on your machine where it is not that of the project."""

PYTHON = "KEDRO_ASTRO_PYTHON"
"""Names the interpreter that has Kedro and the project's libraries, if Airflow's has not."""

PROJECT = "KEDRO_ASTRO_PROJECT"
"""Names the project's folder where `dags/` is not in it."""

TARGETS = ("astro", "mwaa", "kubernetes")
"""Where a project may be deployed: workers there share no disk."""


CODE = r"\.(py|ya?ml|toml|json|sql)$"
ELSEWHERE = r"(^|/)(\.|local/|airflow[^/]*\.ya?ml$|[^/]*credentials)"
"""Files that tasks are made of, but for those that not every copy of a project has."""

CONTAINERS = ("docker", "kubernetes")
"""Places of tasks that are containers, and the settings with the arguments of their operators."""


def find_project(folder: Path) -> Path | None:
    """Return the project whose `dags/` holds this package, else the one that a folder is in."""
    for candidate in (SHIM.parents[1], folder, *folder.parents):
        if all((candidate / name).is_file() for name in ("pyproject.toml", "dags/kedro_dags.py")):
            return candidate
    return None


def kedro_env(project: Path) -> str | None:
    """Return the Kedro environment of Airflow's tasks: `KEDRO_ENV`, else `airflow` if it is there.

    None leaves the choice to the project's own settings. `os.environ` is read and not `os.getenv`,
    which the Astro CLI's integrity test replaces by one that invents values.
    """
    if env := os.environ.get("KEDRO_ENV"):
        return env
    return "airflow" if (project / "conf" / "airflow").is_dir() else None


def cache_folder(project: Path) -> Path:
    """Return the folder for what kedro-astro may lose: in the project, or where that is read-only
    in the system's temporary folder. It is made if need be, with a `.gitignore` of its own.

    Raises:
        OSError: if neither can be written to.
    """
    own = project / CACHE
    # Each parse asks; mostly it is there.
    if (own / ".gitignore").exists() and os.access(own, os.W_OK):
        return own
    import tempfile

    owner = hashlib.sha256(f"{os.getuid()} {project}".encode()).hexdigest()[:16]
    for folder in (own, Path(tempfile.gettempdir()) / f"kedro-astro-{owner}"):
        with suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)
            ours = folder == own or folder.stat().st_uid == os.getuid()
            if ours and os.access(folder, os.W_OK):
                (folder / ".gitignore").write_text("*\n", encoding="utf-8")
                return folder
    raise OSError(f"Neither {own} nor {folder} can be written to. Let Airflow write to one.")


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
    os.environ["KEDRO_LOGGING_CONFIG"] = str(SHIM / "running" / "logging.yml")
    os.environ["KEDRO_DISABLE_TELEMETRY"] = "1"


def own_modules(source: Path) -> dict[str, Path]:
    """Return the modules below a folder that are imported, and their files."""
    files = {name: str(getattr(m, "__file__", "")) for name, m in [*sys.modules.items()]}
    return {name: Path(file) for name, file in files.items() if file.startswith(f"{source}/")}


def code_of(project: Path, sources: Iterable[str]) -> list[str]:
    """Return a hash of what a project's tasks are made of, and the sources that it is of.

    It is of code and configuration that each copy of the project has: nothing secret, nothing that
    is for one machine or for Airflow alone. What cannot be read is passed over.

    Args:
        project: the folder that holds `pyproject.toml`.
        sources: files and folders, relative to it.
    """
    found = hashlib.sha256()
    files = (f for name in sources for f in (project / name, *(project / name).rglob("*")))
    for file in sorted(files):
        path = relative(file, project)
        if re.search(CODE, path) and not re.search(ELSEWHERE, path):
            with suppress(OSError):
                found.update(path.encode() + b"\n" + file.read_bytes())
    return [found.hexdigest(), *sources]


def relative(path: Path, project: Path) -> str:
    """Return a path below the project relative to it, any other as it is."""
    return (path.relative_to(project) if path.is_relative_to(project) else path).as_posix()


def write(file: Path, content: bytes) -> None:
    """Replace a file at once or not at all; its folder is made if need be.

    Raises:
        OSError: if it cannot be written.
    """
    import tempfile

    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.name}-") as folder:
        temporary = Path(folder, file.name)
        temporary.touch(mode=0o600)
        temporary.write_bytes(content)
        temporary.replace(file)


def start(
    arguments: Sequence[str], folder: Path, output: IO[Any], **more: Any
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, which neither asks nor is asked from a terminal.

    Args:
        arguments: of its command line.
        folder: that it starts in.
        output: for all that it writes.
        more: other arguments of `subprocess.Popen`.
    """
    of_its_own = {"stdin": subprocess.DEVNULL, "start_new_session": True, **more}
    return subprocess.Popen(arguments, cwd=folder, stdout=output, stderr=output, **of_its_own)


def command(python: str, *arguments: str) -> list[str]:
    """Return the command that runs this package in an interpreter, which may be another than that
    which it is installed for: `__main__` takes nothing else from there."""
    return [python, str(SHIM), *arguments]
