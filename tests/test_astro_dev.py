"""`astro dev start`: all that it starts, on a host whose user is not the image's."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import astro_cli
import psutil
import pytest
from astro_cli import HOST_USER
from client import Client
from engine import compose, image_of, provide_postgres
from scaffold import DAGS, free_port, run, scaffold

IMAGE = "kedro-astro/penguins-dev"

pytestmark = pytest.mark.docker


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project that belongs to a user of the host, with its image."""
    project = scaffold(tmp_path_factory.mktemp("astro_dev") / "penguins", project_name="Penguins")
    # Git ignores it, so whoever clones a project has none.
    (project / ".env").unlink()
    with image_of(project, IMAGE):
        astro_cli.give_to_host_user(project)
        yield project


@pytest.fixture(scope="session")
def port() -> int:
    return free_port()


@pytest.fixture(scope="session")
def docker_compose_command(project: Path) -> str:
    return shlex.join([*compose(), "--project-directory", str(project)])


@pytest.fixture(scope="session")
def docker_compose_file(
    project: Path, port: int, tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    file = tmp_path_factory.mktemp("compose") / "compose.yaml"
    file.write_text(astro_cli.compose_file(project, IMAGE, provide_postgres(), port))
    return [file, project / "docker-compose.override.yml"]


@pytest.fixture(scope="session")
def docker_setup() -> str:
    return "up --detach"


@pytest.fixture(scope="session")
def logs(request: pytest.FixtureRequest, project: Path, port: int) -> Iterator[list[str]]:
    """Start all services; return the command that shows what they log."""
    if astro_cli.CLI:
        yield astro_cli.start(project, IMAGE, port)
        run([astro_cli.CLI, "dev", "kill"], project)
        return
    request.getfixturevalue("docker_services")
    files = request.getfixturevalue("docker_compose_file")
    name = request.getfixturevalue("docker_compose_project_name")
    command = shlex.split(request.getfixturevalue("docker_compose_command"))
    for file in files:
        command += ["--file", str(file)]
    yield [*command, "-p", name, "logs", "--follow"]


@pytest.fixture(scope="session")
def airflow(
    logs: list[str], project: Path, port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    log = tmp_path_factory.mktemp("logs") / "services.log"
    with log.open("wb") as output:
        following = psutil.Popen(logs, cwd=project, stdout=output, stderr=output)
        try:
            airflow = Client(f"http://127.0.0.1:{port}", log.parent, {"services": following})
            airflow.wait_for("a healthy Airflow", airflow.is_healthy, 300)
            airflow.wait_for("the DAGs", lambda: set(DAGS) <= set(airflow.dag_ids()))
            airflow.unpause(*DAGS)
            yield airflow
        finally:
            following.terminate()
            following.wait()


@pytest.fixture(scope="session")
def first_run(airflow: Client) -> str:
    run_id = airflow.trigger("penguins")
    assert airflow.wait_for_run("penguins", run_id) == "success"
    return run_id


def as_host_user(code: str, project: Path) -> subprocess.CompletedProcess[str]:
    """Run Python in the project's folder as the user whom it belongs to."""
    return subprocess.run(
        ["/usr/bin/python3", "-c", code],
        cwd=project,
        user=HOST_USER,
        group=HOST_USER,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_results_are_on_the_host(airflow: Client, project: Path, first_run: str) -> None:
    metrics = json.loads((project / "data/08_reporting/metrics.json").read_text())
    assert metrics["accuracy"] > 0.9
    saved = airflow.saved("penguins", first_run, "data_science")
    model = saved["data_science.model"]
    assert (project / str(model["location"]) / str(model["version"])).is_dir()


def test_tasks_started_warm(airflow: Client, first_run: str) -> None:
    (line,) = (
        x for x in airflow.log("services").read_text().splitlines() if "kedro_astro.warm" in x
    )
    assert "scheduler" in line and "Tasks start warm: " in line


def test_they_are_the_host_users_to_change_and_delete(project: Path, first_run: str) -> None:
    code = (
        "import json, pathlib, shutil\n"
        "metrics = pathlib.Path('data/08_reporting/metrics.json')\n"
        "metrics.write_text(metrics.read_text() + '\\n')\n"
        "metrics.unlink()\n"
        "for folder in pathlib.Path('data/02_intermediate').glob('*-*'): shutil.rmtree(folder)\n"
    )
    done = as_host_user(code, project)
    assert done.returncode == 0, done.stderr
    assert [file.name for file in (project / "data/02_intermediate").iterdir()] == [".gitkeep"]


def test_nothing_else_of_the_folder_changes_hands(project: Path, first_run: str) -> None:
    mine = {path for path in project.rglob("*") if path.lstat().st_uid == HOST_USER}
    others = {path.relative_to(project).parts[0] for path in {*project.rglob("*")} - mine}
    assert others <= {"data"}


def test_an_edit_counts_from_the_next_task_on(
    airflow: Client, project: Path, first_run: str
) -> None:
    nodes = project / "src/penguins/pipelines/data_processing/nodes.py"
    catalog = project / "conf/base/catalog.yml"
    for file, old, new in [
        (nodes, '"birds": len(birds)', '"edited": True, "birds": len(birds)'),
        (catalog, "species_summary.json", "edited_summary.json"),
    ]:
        before = file.read_text()
        assert old in before
        file.write_text(before.replace(old, new))
    run_id = airflow.trigger("penguins.data_processing")
    assert airflow.wait_for_run("penguins.data_processing", run_id) == "success"
    summary = json.loads((project / "data/08_reporting/edited_summary.json").read_text())
    assert all(species["edited"] for species in summary.values())


def test_a_broken_edit_is_named_and_the_other_dags_stay(airflow: Client, project: Path) -> None:
    nodes = project / "src/penguins/pipelines/reporting/nodes.py"
    before = nodes.read_text()
    nodes.write_text(before + "def broken(:\n")
    line = len(before.splitlines()) + 1
    (error,) = airflow.wait_for("the import error", airflow.import_errors)
    assert f"src/penguins/pipelines/reporting/nodes.py:{line}" in error
    assert airflow.dag_ids() == DAGS
    nodes.write_text(before)
    airflow.wait_for("its end", lambda: not airflow.import_errors())


def test_a_folder_that_it_may_not_write_to_is_named(airflow: Client, project: Path) -> None:
    folder = project / "data/03_primary"
    os.removexattr(folder, "system.posix_acl_access")
    folder.chmod(0o555)
    (folder / "penguins.parquet").unlink()
    run_id = airflow.trigger("penguins.data_processing")
    assert airflow.wait_for_run("penguins.data_processing", run_id) == "failed"
    lines = airflow.task_log("penguins.data_processing", run_id, "drop_incomplete")
    said = json.dumps(lines)
    assert "Permission denied" in said and "data/03_primary/penguins.parquet" in said
