"""Fixtures of the shim's tests."""

from __future__ import annotations

import os
import site
import subprocess
import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path

# Airflow reads its settings there when it is imported, and makes folders: not in the user's own,
# nor where another Airflow has made them.
HOME = Path(__file__).parents[2] / "build" / f"airflow-{version('apache-airflow')}"
os.environ["AIRFLOW_HOME"] = str(HOME)

import packages as installed  # noqa: E402
import pytest  # noqa: E402
from projects import MakeProject, write  # noqa: E402


@pytest.fixture
def make_project(tmp_path: Path) -> MakeProject:
    """Return a function that writes the project `shop`; its files can be added or replaced."""

    def make(files: dict[str, str] | None = None) -> Path:
        return write(tmp_path / "shop", files or {})

    return make


@pytest.fixture
def packages(tmp_path: Path) -> installed.Install:
    """Return a function that installs modules, by name, and returns the environment to find them.

    Each is of a distribution of its own name, version 1.0.
    """
    return partial(installed.install, tmp_path)


@pytest.fixture(scope="session")
def no_airflow(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter that has all that is installed here but Airflow."""
    venv = tmp_path_factory.mktemp("own") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (packages,) = venv.glob("lib/*/site-packages")
    here = "\n".join(site.getsitepackages())
    (packages / "all.pth").write_text(f"{here}\nimport sys; sys.modules['airflow'] = None\n")
    return str(venv / "bin/python")
