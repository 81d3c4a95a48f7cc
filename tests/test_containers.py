"""Tasks in containers: the image for them, Airflow's Docker operator on a real engine, and the pods
of the Kubernetes operator, which podman plays."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine import in_image, missing
from s3 import Store, serving
from scaffold import ROOT, RUN_TASKS, python, run, succeed
from tasks import DATA, example, image_of, same_as, says

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(bool(reason := missing()), reason=reason or "all there"),
]

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
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with serving(tmp_path_factory.mktemp("store"), "bucket") as store:
        yield store


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, store: Store) -> Path:
    return example(tmp_path_factory.mktemp("containers"), store)


@pytest.fixture(scope="module")
def image(project: Path) -> Iterator[str]:
    with image_of(project, "kedro-astro/tasks") as image:
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


def test_the_example_in_pods(
    project: Path, image: str, store: Store, after_kedro_run: Path, tmp_path: Path
) -> None:
    assert shutil.which("podman"), "Install podman."
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
