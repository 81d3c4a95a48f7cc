"""The images of projects on Airflow 2, and all that `astro dev start` starts for them.

They start from images that stand in for Runtime 12 and 13.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from astro_cli import compose_file_of_airflow_2, give_to_host_user, pytest_in
from engine import compose, image_of, in_image, provide_postgres
from scaffold import DAGS, free_port, run, scaffold, succeed
from tasks import RESULTS
from up import Up

KINDS = {
    "2.11": {"runtime": "13.4.0-python-3.11"},
    "2.10": {"runtime": "12.11.0-python-3.11"},
    "2.10 apart": {"runtime": "12.11.0-python-3.11", "place": "venv"},
}
"""By name, which begins with Airflow's version: the answers."""

pytestmark = [pytest.mark.airflow_2, pytest.mark.docker]


@pytest.fixture(scope="module", params=KINDS)
def project(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("two") / "penguins"
    return request.param, scaffold(folder, project_name="Penguins", **KINDS[request.param])


@pytest.fixture(scope="module")
def image(project: tuple[str, Path]) -> Iterator[str]:
    kind, folder = project
    tag = f"kedro-astro/{kind.replace(' ', '-')}"
    with image_of(folder, tag) as image:
        yield image


@pytest.fixture(scope="module")
def started(
    project: tuple[str, Path], image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Up]:
    """Start all services, for a project that belongs to a user of the host."""
    kind, folder = project
    give_to_host_user(folder)
    port = free_port()
    file = tmp_path_factory.mktemp("compose") / "compose.yaml"
    file.write_text(compose_file_of_airflow_2(folder, image, provide_postgres(), port))
    override = folder / "docker-compose.override.yml"
    command = [*compose(), "--project-directory", folder, "--file", file, "--file", override]
    command += ["--project-name", "two"]
    try:
        succeed([*command, "up", "--detach"], folder)
        api = f"http://admin:admin@127.0.0.1:{port}/api/v1"
        airflow = Up(f"http://127.0.0.1:{port}", api, folder)

        def answers() -> bool:
            with suppress(httpx.HTTPError):
                return str(airflow.get("/version")["version"]).startswith(kind.split()[0])
            return False

        airflow.wait_for("an Airflow that answers", answers)
        yield airflow
    except BaseException:
        print(run([*command, "logs", "--tail", "60"], folder).stdout)  # noqa: T201
        raise
    finally:
        run([*command, "down", "--volumes", "--timeout", "5"], folder)


def test_a_parse_trusts_the_manifest_that_the_build_made(image: str) -> None:
    code = (
        "import sys; sys.path.insert(0, 'dags'); import kedro_dags, json\n"
        "dags = sorted(n for n, d in vars(kedro_dags).items() if type(d).__name__ == 'DAG')\n"
        "print(json.dumps([dags, 'kedro' in sys.modules]))"
    )
    output = in_image(
        image, "python", "-W", "ignore", "-c", code, options=("--env", "AIRFLOW_HOME=/tmp")
    )
    assert json.loads(output.splitlines()[-1]) == [DAGS, False]


def test_no_log_is_in_it(image: str) -> None:
    """Services whose disk for logs begins as the image's folder would all write it at once."""
    assert in_image(image, "find", "logs", "-mindepth", "1") == ""


def test_astro_dev_parse_and_pytest(project: tuple[str, Path], image: str) -> None:
    for what in (".astro/test_dag_integrity_default.py", "tests/"):
        done = pytest_in(image, project[1], what)
        assert done.returncode == 0, done.stdout


def test_the_example_as_kedro_run_leaves_it(
    project: tuple[str, Path], started: Up, after_kedro_run: Path
) -> None:
    for dag_id in started.wait_for("the DAGs", lambda: dags(started)):
        address = f"{started.api}/dags/{dag_id}"
        httpx.patch(address, json={"is_paused": False}, trust_env=False).raise_for_status()
    ended = started.run("penguins", started.trigger("penguins"))
    assert ended["state"] == "success"
    for name in RESULTS:
        here, there = (p / "data/08_reporting" / name for p in (project[1], after_kedro_run))
        assert here.read_bytes() == there.read_bytes()


def dags(airflow: Up) -> list[str]:
    """Return the DAGs' ids once all are there."""
    found = sorted(dag["dag_id"] for dag in airflow.get("/dags")["dags"])
    return found if found == DAGS else []
