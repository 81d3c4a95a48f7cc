"""Fixtures that several test files share."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine import missing
from s3 import Store, serving
from scaffold import python, scaffold, succeed
from tasks import example


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail what needs a Docker engine where there is none: who starts it wants to see it run."""
    if item.get_closest_marker("docker") and (reason := missing()):
        pytest.fail(reason)


@pytest.fixture(scope="session", autouse=True)
def ctrl_c() -> None:
    """Have what tests start hear Ctrl-C, as what a shell starts in the background does not."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def mypys_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Have mypy read a library once for all projects that are scaffolded."""
    os.environ.setdefault("MYPY_CACHE_DIR", str(tmp_path_factory.mktemp("mypy")))


@pytest.fixture(scope="session")
def penguins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example as it is scaffolded. Read it; do not change it."""
    folder = tmp_path_factory.mktemp("scaffolded") / "penguins"
    return scaffold(folder, project_name="Penguins")


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Store]]:
    """The example, with its raw data in the bucket of an object store; and the store."""
    with serving(tmp_path_factory.mktemp("store"), "bucket") as store:
        yield example(tmp_path_factory.mktemp("in_a_bucket"), store), store


@pytest.fixture(scope="session")
def after_kedro_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example after one `kedro run`."""
    project = scaffold(tmp_path_factory.mktemp("kedro") / "penguins", project_name="Penguins")
    succeed(python("-m", "kedro", "run"), project)
    return project
