"""A project whose libraries have an interpreter of their own, apart from Airflow's."""

from __future__ import annotations

import json
import os
import site
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from airflow_client.client import (
    ConnectionApi,
    ConnectionBody,
    PatchTaskInstanceBody,
    TaskInstanceApi,
)
from astro_cli import HOME, pytest_in
from client import Client
from engine import build, image_of, in_image, layers
from s3 import CHECKSUMS, Store, serving
from scaffold import (
    ROOT,
    RUN_TASKS,
    add_numbers,
    append,
    files_with,
    free_port,
    python,
    run,
    scaffold,
    succeed,
)

TAG = "kedro-astro/apart"
WAITS = """
import os, pathlib, time
from kedro.pipeline import node, pipeline
def wait(number):
    print("waiting")
    pathlib.Path("data/pid").write_text(str(os.getpid()))
    time.sleep(600)
def create_pipeline(**kwargs):
    return pipeline([node(wait, "params:number", "nothing", name="wait")])
"""
SENDS = """
from kedro.pipeline import node, pipeline
def create_pipeline(**kwargs):
    return pipeline([node(abs, "params:number", "sent", name="send")])
"""
SENT = '\nsent: {type: json.JSONDataset, filepath: "s3://lake/sent.json", credentials: lake}\n'
MAJOR = """
import pydantic
from kedro.pipeline import node, pipeline
def major(number):
    return int(pydantic.VERSION.split(".")[0])
def create_pipeline(**kwargs):
    return pipeline([node(major, "params:number", "total", name="major")])
"""


def venv(folder: Path, more: str = "") -> Path:
    """Make a virtual environment that sees all that is installed here; return its Python."""
    succeed(python("-m", "venv", "--without-pip", folder), folder.parent)
    (packages,) = folder.glob("lib/*/site-packages")
    (packages / "all.pth").write_text("\n".join([*site.getsitepackages(), more, ""]))
    return folder / "bin/python"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = tmp_path_factory.mktemp("apart") / "penguins"
    scaffold(project, project_name="Penguins", start="empty", place="venv")
    add_numbers(project)
    return project


@pytest.mark.e2e
class TestUp:
    """`kedro astro up` in the project's interpreter starts the Airflow of the other one."""

    @pytest.fixture(scope="class")
    def own(self, project: Path) -> Path:
        return venv(project / ".venv", "import sys; sys.modules['airflow'] = None")

    def test_without_the_other_one_it_says_how_to_make_it(self, project: Path, own: Path) -> None:
        done = run([own, "dags/kedro_astro", "up"], project)
        assert done.returncode == 1 and "Traceback" not in done.stdout
        assert "uv venv .venv-airflow" in done.stdout
        assert "'apache-airflow~=3.3.0' pytest --requirement requirements.txt" in done.stdout

    @pytest.fixture(scope="class")
    def store(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
        with serving(tmp_path_factory.mktemp("store"), "lake") as found:
            yield found

    @pytest.fixture(scope="class")
    def airflow(self, project: Path, own: Path, store: Store) -> Iterator[Client]:
        # Kedro is not to be had there.
        other = venv(project / ".venv-airflow", "import sys; sys.modules['kedro'] = None")
        command = other.with_name("airflow")
        command.write_text(f"#!{other}\nfrom airflow.__main__ import main\nmain()\n")
        command.chmod(0o755)
        for name, text in {"waits": WAITS, "sends": SENDS}.items():
            (project / "src/penguins/pipelines" / name).mkdir()
            (project / "src/penguins/pipelines" / name / "__init__.py").write_text(text)
        append(project / "conf/base/catalog.yml", SENT)
        settings = project / "conf/airflow/airflow.yml"
        settings.write_text("default: {credentials: {lake: my_lake}}\n")
        command = [own, "dags/kedro_astro", "up", "--port", str(port := free_port())]
        env = {**os.environ, **CHECKSUMS}
        pipe = subprocess.PIPE
        with psutil.Popen(command, cwd=project, env=env, stdout=pipe, text=True) as process:
            try:
                said = next((line for line in process.stdout if "Ctrl-C" in line), "")
                logs = project / ".kedro-astro/airflow"
                assert said, "it ended before Airflow was there"
                client = Client(f"http://127.0.0.1:{port}", logs, {"scheduler": process})
                ConnectionApi(client.api).post_connection(
                    ConnectionBody(**store.connection("my_lake"))
                )
                yield client
            finally:
                process.terminate()
                process.stdout.close()

    def test_tasks_run_in_the_projects_interpreter(self, airflow: Client, project: Path) -> None:
        run_id = airflow.trigger("penguins.sums")
        assert airflow.wait_for_run("penguins.sums", run_id) == "success"
        assert json.loads((project / "data/total.json").read_text()) == 84
        lines = airflow.task_log("penguins.sums", run_id, "first")
        levels = {line.get("logger"): line.get("level") for line in lines}
        assert levels["kedro.runner.sequential_runner"] == "info"

    def test_a_connections_secret_reaches_that_interpreter_alone(
        self, airflow: Client, project: Path, store: Store
    ) -> None:
        run_id = airflow.trigger("penguins.sends")
        assert airflow.wait_for_run("penguins.sends", run_id) == "success"
        assert json.loads((store.folder / "lake/sent.json").read_text()) == 21
        assert files_with(project, store.secret) == set()

    def test_a_task_killed_in_the_ui_ends_its_process(self, airflow: Client, project: Path) -> None:
        run_id = airflow.trigger("penguins.waits")
        pid = project / "data/pid"
        airflow.wait_for("the node", lambda: pid.exists() and pid.read_text())
        process = psutil.Process(int(pid.read_text()))
        # What is printed is there at once, not when the task has ended.
        airflow.wait_for(
            "its line", lambda: "waiting" in str(airflow.task_log("penguins.waits", run_id, "wait"))
        )
        failed = PatchTaskInstanceBody(new_state="failed")
        TaskInstanceApi(airflow.api).patch_task_instance("penguins.waits", run_id, "wait", failed)
        gone, _ = psutil.wait_procs([process], timeout=60)
        assert gone


@pytest.mark.docker
class TestImage:
    """Pins that go with no Airflow, in one image with it."""

    @pytest.fixture(scope="class")
    def image(self, project: Path) -> Iterator[str]:
        with (project / "requirements-kedro.txt").open("a") as file:
            file.write("pydantic<2\n")
        folder = project / "src/penguins/pipelines/sums"
        (folder / "__init__.py").write_text(MAJOR)
        with image_of(project, TAG) as image:
            yield image

    def test_each_interpreter_has_its_own(self, image: str) -> None:
        code = (
            "import importlib.util as u, pydantic; print(pydantic.VERSION[0], "
            "*(bool(u.find_spec(name)) for name in ('airflow', 'kedro', 'pandas')))"
        )
        assert in_image(image, "python", "-c", code).split() == ["2", "True", "False", "False"]
        own = in_image(image, "/opt/kedro/bin/python", "-c", code).split()
        assert own == ["1", "False", "True", "True"]

    # Under `astro dev start` the image's manifest is out of force, and the project is read there.
    @pytest.mark.parametrize("more", [(), ("--env", "KEDRO_ASTRO_MANIFEST=")])
    def test_a_run(self, image: str, project: Path, more: tuple[str, ...]) -> None:
        (project / "data/total.json").unlink(missing_ok=True)
        (project / "data").chmod(0o777)
        options = ("--env", "AIRFLOW_HOME=/tmp", "--volume", f"{project}/data:{HOME}/data")
        command = ("python", "-W", "ignore", "-c", RUN_TASKS, "penguins.sums")
        in_image(image, *command, options=(*options, *more))
        assert json.loads((project / "data/total.json").read_text()) == 1

    def test_astro_dev_pytest(self, image: str, project: Path) -> None:
        done = pytest_in(image, project, "tests/")
        assert done.returncode == 0, done.stdout
        assert "skipped" not in done.stdout

    def test_an_edit_installs_nothing_anew(self, image: str, project: Path) -> None:
        file = project / "src/penguins/pipelines/sums/__init__.py"
        file.write_text(file.read_text() + "# edited\n")
        done = build(project, f"{TAG}:edited")
        assert done.returncode == 0, done.stdout
        try:
            first, edited = layers(image), layers(f"{TAG}:edited")
            assert [layer for layer in edited if layer not in first] == edited[-2:]
        finally:
            run(["docker", "image", "rm", "--force", f"{TAG}:edited"], ROOT)

    def test_a_library_that_is_nowhere_fails_the_build(self, image: str, project: Path) -> None:
        file = project / "src/penguins/pipelines/sums/__init__.py"
        file.write_text("import no_such_library\n" + file.read_text())
        done = build(project, f"{TAG}:broken")
        assert done.returncode != 0
        assert "is it in requirements-kedro.txt, and installed?" in done.stdout
        assert "pipelines/sums/__init__.py:1" in done.stdout and "Traceback" not in done.stdout
