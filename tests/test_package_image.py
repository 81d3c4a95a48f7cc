"""The shim as a package in the project's image, fetched from the template's repository."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml
from astro_cli import HOME, pytest_in
from engine import image_of, in_image
from scaffold import ROOT, RUN_TASKS, add_numbers, succeed
from test_package import PACKAGE, Template

TAG = "kedro-astro/package"

pytestmark = pytest.mark.docker


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return Template.released(tmp_path_factory.mktemp("team"))


@pytest.fixture(scope="module")
def address(template: Template) -> Iterator[str]:
    """Where containers, while the image is built, find the template on this machine."""
    gateway = "{{ (index .IPAM.Config 0).Gateway }}"
    show = ["docker", "network", "inspect", "bridge", "--format", gateway]
    host = succeed(show, ROOT).strip()
    succeed(["git", "gc", "--quiet"], template.path)
    succeed(["git", "update-server-info"], template.path)
    handler = partial(Quiet, directory=template.path.parent)
    with ThreadingHTTPServer((host, 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{host}:{server.server_port}/template.git/.git"
        server.shutdown()


@pytest.fixture(scope="module")
def project(template: Template, address: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = tmp_path_factory.mktemp("image") / "penguins"
    template.copied(project, f"git+{address}", **PACKAGE, start="empty")
    add_numbers(project)
    return project


@pytest.fixture(scope="module")
def image(project: Path) -> Iterator[str]:
    with image_of(project, TAG) as image:
        yield image


@pytest.fixture(scope="module")
def data(image: str, project: Path) -> Path:
    """The project's data after what `astro dev start` does to it first."""
    override = yaml.safe_load((project / "docker-compose.override.yml").read_text())
    service = override["services"]["db-migration"]
    *bash, script = service["command"]
    # Compose's own escape, and what the service is there for.
    script = script.replace("$$", "$").replace("airflow db migrate", "touch data/mine")
    data = project / "data"
    options = ["--rm", "--user", service["user"], "--volume", f"{data}:{HOME}/data"]
    succeed(["docker", "run", *options, image, *bash, script], ROOT)
    return data


def test_it_shares_the_data(data: Path) -> None:
    assert (data / "mine").stat().st_uid == 50000
    assert data.stat().st_mode & 0o007 == 0o005


def test_a_run(image: str, data: Path) -> None:
    options = ("--env", "AIRFLOW_HOME=/tmp", "--volume", f"{data}:{HOME}/data")
    command = ("python", "-W", "ignore", "-c", RUN_TASKS, "penguins.sums")
    in_image(image, *command, options=options)
    assert json.loads((data / "total.json").read_text()) == 84


def test_astro_dev_pytest(image: str, project: Path) -> None:
    done = pytest_in(image, project, "tests/")
    assert done.returncode == 0, done.stdout
