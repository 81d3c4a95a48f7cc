"""Fixtures that several test files share."""

import os
from pathlib import Path

import pytest
from scaffold import python, scaffold, succeed


@pytest.fixture(scope="session", autouse=True)
def mypys_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Have mypy read a library once for all projects that are scaffolded."""
    os.environ.setdefault("MYPY_CACHE_DIR", str(tmp_path_factory.mktemp("mypy")))


@pytest.fixture(scope="session")
def penguins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example as it is scaffolded. Read it; do not change it."""
    folder = tmp_path_factory.mktemp("scaffolded") / "penguins"
    return scaffold(folder, project_name="Penguins")


@pytest.fixture(scope="session")
def after_kedro_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example after one `kedro run`."""
    project = scaffold(tmp_path_factory.mktemp("kedro") / "penguins", project_name="Penguins")
    succeed(python("-m", "kedro", "run"), project)
    return project
