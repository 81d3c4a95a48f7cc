"""Tasks in containers: the image for them, Airflow's Docker operator on a real engine, and the pods
of the Kubernetes operator, which podman plays."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from client import Client
from engine import image_of, in_image
from kedro_astro.airflow.standalone import running
from s3 import Store
from scaffold import ROOT, RUN_TASKS, python, run, succeed
from tasks import DATA, same_as, says

pytestmark = pytest.mark.docker

PLAY = RUN_TASKS.replace(
    "    returned[task.task_id] = task.execute(context)",
    """    session = task.session(context)
    task.add(variables(session))
    pod = ApiClient().sanitize_for_serialization(task.build_pod_request_obj(dry_run=True))
    pod["metadata"].pop("annotations")  # To podman, and to it alone, 63 characters are the most.
    Path("pod.yaml").write_text(json.dumps(pod))
    podman("play", "kube", "--network", "host", "pod.yaml")
    name = pod["metadata"]["name"]
    status, lines = podman("wait", f"{name}-base"), podman("logs", f"{name}-base")
    podman("pod", "rm", "--force", name)
    listener = Listener(print)
    for line in lines.split(chr(10)):
        listener.take(line)
    assert (status.strip(), listener.ended) == ("0", ""), lines
    returned[task.task_id] = task.done(session, listener.saved)
""",
).replace(
    "import kedro_dags",
    """import subprocess
import kedro_dags
from kedro_astro.running.container import variables
from kedro_astro.running.protocol import Listener
from kubernetes.client import ApiClient
def podman(*arguments):
    done = subprocess.run(["podman", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
""",
)
"""The tasks of a DAG, whose pods are played one after the other."""


@pytest.fixture(scope="module")
def store(bucket: tuple[Path, Store]) -> Store:
    return bucket[1]


@pytest.fixture(scope="module")
def project(bucket: tuple[Path, Store]) -> Path:
    return bucket[0]


@pytest.fixture(scope="module")
def image(project: Path) -> Iterator[str]:
    with image_of(project, "kedro-astro/tasks", "Dockerfile.tasks") as image:
        yield image


def ran(project: Path, home: Path, code: str = RUN_TASKS) -> subprocess.CompletedProcess[str]:
    return run(python("-W", "ignore", "-c", code, "penguins"), project, {"AIRFLOW_HOME": str(home)})


def test_the_image_has_kedro_and_the_project_and_no_airflow(image: str) -> None:
    found = in_image(image, "pip", "list", "--format", "freeze")
    assert "kedro==" in found and "s3fs==" in found and "airflow" not in found
    assert in_image(image, "id", "--user").strip() == "50000"
    files = in_image(image, "find", ".", "-type", "f")
    assert "./src/penguins/settings.py" in files
    left_out = r".*credentials|\./(\.git/|data/0|\.venv|tests/)"
    assert [file for file in files.split() if re.match(left_out, file)] == []


def test_the_example_in_docker(
    project: Path, image: str, store: Store, after_kedro_run: Path, tmp_path: Path
) -> None:
    """Nothing is left of its containers, and their lines have the loggers that `kedro run` has."""
    environment = {**store.env, "KEDRO_DATA_ROOT": DATA}
    docker = {"image": image, "network_mode": "host", "environment": environment}
    says(project, run_in="docker", docker=docker)
    checked = run(python("-W", "ignore", "dags/kedro_astro", "check"), project)
    assert "0 findings" in checked.stdout
    done = ran(project, tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["data_science"]["metrics"]["location"] == f"{DATA}/08_reporting/metrics.json"
    assert "[kedro.io.data_catalog]" in done.stdout
    assert same_as(after_kedro_run, store)
    assert (
        succeed(["docker", "ps", "--all", "--quiet", "--filter", "label=kedro/pipeline"], ROOT)
        == ""
    )


@pytest.mark.parametrize(
    ("docker", "says_why"),
    [
        ({"image": "kedro-astro/no-such"}, "of the image kedro-astro/no-such, has failed"),
        pytest.param(
            *({"docker_url": "unix:///nowhere"}, "Failed to establish connection"),
            marks=pytest.mark.starts,
        ),
        pytest.param(
            *({"network_mode": "no-such"}, "network no-such not found"), marks=pytest.mark.starts
        ),
        pytest.param(*({"command": ["sh", "-c", "exit 137"]}, "137"), marks=pytest.mark.starts),
        ({"environment": {}}, "penguins_raw, at s3://bucket/data/01_raw/penguins_raw.csv, could"),
    ],
)
def test_a_container_that_fails_says_why(
    project: Path, image: str, tmp_path: Path, docker: dict[str, object], says_why: str
) -> None:
    """In the last line, and nothing is left of it."""
    says(project, run_in="docker", docker={"image": image, **docker})
    done = ran(project, tmp_path)
    last = [line for line in done.stdout.splitlines() if line.startswith("kedro_astro.errors.")][-1]
    assert says_why in last and done.returncode == 1
    assert (
        succeed(["docker", "ps", "--all", "--quiet", "--filter", f"ancestor={image}"], ROOT) == ""
    )


@pytest.mark.starts
def test_an_airflow_ends_the_container_of_a_task_that_is_marked_as_failed(
    project: Path, image: str, store: Store
) -> None:
    environment = {**store.env, "KEDRO_DATA_ROOT": DATA}
    docker = {"image": image, "network_mode": "host", "environment": environment}
    # It ends when it is asked to, as a session's first process does.
    docker["command"] = ["sh", "-c", "trap 'exit 1' TERM; sleep 600 & wait"]
    says(project, run_in="docker", docker=docker)
    shown = ["docker", "ps", "--all", "--quiet", "--filter", "label=kedro/pipeline"]
    with running(project, project / ".kedro-astro/airflow") as started:
        airflow = Client.of(started)
        run_id = airflow.trigger("penguins")
        airflow.wait_for("a container", lambda: bool(succeed(shown, ROOT)))
        httpx.patch(
            f"{airflow.url}/api/v2/dags/penguins/dagRuns/{run_id}/taskInstances/select_measurements",
            json={"new_state": "failed"},
        ).raise_for_status()
        airflow.wait_for("its end", lambda: not succeed(shown, ROOT))
        assert airflow.wait_for_run("penguins", run_id) == "failed"


def test_the_example_in_pods(
    project: Path,
    image: str,
    store: Store,
    after_kedro_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert shutil.which("podman"), "Install podman."
    # Podman's own limits are above what a container may have here. Docker's runtime is there, and
    # takes a machine whose controllers are in both hierarchies of cgroups; Podman's own refuses it.
    limits = '[containers]\ndefault_ulimits=["nofile=20000:20000","nproc=15000:15000"]\n'
    (tmp_path / "containers.conf").write_text(f'{limits}[engine]\nruntime="runc"\n')
    monkeypatch.setenv("CONTAINERS_CONF", str(tmp_path / "containers.conf"))
    archive = tmp_path / "image.tar"
    succeed(["docker", "save", "--output", str(archive), image], ROOT)
    succeed(["podman", "load", "--quiet", "--input", str(archive)], ROOT)
    pod = {
        "image": f"localhost/{image}",
        "image_pull_policy": "Never",
        "hostnetwork": True,
        "namespace": "data",
        "env_vars": store.env,
        "container_resources": {"limits": {"memory": "1Gi"}},
    }
    says(project, run_in="kubernetes", kubernetes=pod)
    done = ran(project, tmp_path, PLAY)
    assert done.returncode == 0, done.stderr
    assert same_as(after_kedro_run, store)
