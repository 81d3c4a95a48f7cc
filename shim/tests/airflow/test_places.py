"""`run_in`: which operator a task gets, with what; and what is wrong with that before it runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from kedro_astro.airflow.manifest import read
from parsing import parse
from projects import CATALOG, SALES, MakeProject

OPERATORS = """
import sys
tasks = {}
for task in found["shop.sales"].tasks:
    name = type(task).__name__
    said = {"operator": name}
    if name == "KedroPodOperator":
        resources = task.container_resources
        variables = {each.name: each.value for each in task.env_vars} if (
            isinstance(task.env_vars, list)) else task.env_vars
        said |= {"image": task.image, "limits": resources and resources.limits,
                 "env": variables, "annotations": task.annotations, "pool": task.pool,
                 "tolerations": [each.key for each in task.tolerations]}
    if name == "KedroDockerOperator":
        said |= {"image": task.image, "labels": task.labels, "remove": task.auto_remove}
    if config := task.executor_config:
        said["pod"] = type(config["pod_override"]).__name__
    tasks[task.task_id] = said
theirs = {"docker": "docker.operators.docker", "kubernetes": "cncf.kubernetes.operators.pod"}
there = [place for place, name in theirs.items() if f"airflow.providers.{name}" in sys.modules]
print(json.dumps([tasks, there]))
"""
ADD = """
said = {}
for task in found["shop.sales"].tasks:
    task.add({"KEDRO_ASTRO_SESSION_00": "{}"})
    in_pod = {each.name: each.value for each in task.env_vars}
    said[task.task_id] = [in_pod, task.secret and task.secret[1], len(task.env_from)]
print(json.dumps([said, None]))
"""
FILES = CATALOG + "doubled: {type: json.JSONDataset, filepath: data/doubled.json}\n"


@pytest.fixture
def made(make_project: MakeProject):
    """Return a function that makes a project of two tasks with an airflow.yml."""

    def make(text: str, **files: str) -> Path:
        path = "src/shop/pipelines/sales/__init__.py"
        sales = SALES.replace('name="first"', 'name="first", tags=["gpu"]')
        yml = {"conf/base/airflow.yml": text, "conf/base/catalog.yml": FILES}
        return make_project({path: sales, "data/raw.json": "2", **yml, **files})

    return make


def operators(project: Path, script: str = OPERATORS) -> Any:
    return parse(project, script)


@pytest.mark.slow
def test_each_task_has_a_place(made) -> None:
    """Of its node, its tag or the default; arguments are added to each other, name by name."""
    text = """
    default:
      run_in: kubernetes
      kubernetes:
        image: shop:1
        env_vars: {PORT: 5432, DEBUG: true, NAME: x}
        tolerations: [{key: gpu, operator: Exists}]
      node_tags:
        gpu: {pool: gpu, kubernetes: {container_resources: {limits: {memory: 2Gi, cpu: 2}}}}
      nodes: {second: {run_in: docker, docker: {image: "shop:2"}}}
    """
    tasks, modules = operators(made(text))
    assert tasks["first"] == {
        "operator": "KedroPodOperator",
        "image": "shop:1",
        "limits": {"memory": "2Gi", "cpu": "2"},
        "env": {"PORT": "5432", "DEBUG": "true", "NAME": "x"},
        "annotations": {"kedro/pipeline": "sales", "kedro/nodes": "first"},
        "pool": "gpu",
        "tolerations": ["gpu"],
    }
    assert tasks["second"]["operator"] == "KedroDockerOperator"
    assert (tasks["second"]["image"], tasks["second"]["remove"]) == ("shop:2", "force")
    assert tasks["second"]["labels"]["kedro/nodes"] == "second"
    assert modules == ["docker", "kubernetes"]


def test_no_provider_is_imported_where_no_task_needs_it(made) -> None:
    tasks, modules = operators(made("default: {run_in: worker, kubernetes: {image: x}}"))
    assert {task["operator"] for task in tasks.values()} == {"KedroOperator"}
    assert modules == []


@pytest.mark.slow
def test_the_pod_of_a_kubernetes_executor(made) -> None:
    pod = "{spec: {containers: [{name: base, resources: {limits: {memory: 2Gi}}}]}}"
    tasks, _ = operators(made(f"default: {{executor_config: {{pod_override: {pod}}}}}"))
    assert tasks["first"] == {"operator": "KedroOperator", "pod": "V1Pod"}
    (problem,) = read(made("default: {executor_config: {pod_override: [3]}}")).problems[:1]
    assert "executor_config.pod_override: [3] is no V1Pod" in problem


WRONG = [
    ("image: x, container_resources: {limits: {memory: 2GB}}", "Invalid number format: 2GB"),
    (
        "image: x, container_resources: {limits: {memory: 1Mi}, requests: {memory: 1Gi}}",
        "kubernetes.container_resources: the limit of memory is less than what is requested",
    ),
    ("image: x, container_resources: {limit: {}}", "V1ResourceRequirements has no limit"),
    ("image: x, volume_mounts: [{name: a, mount_path: /b}]", "kubernetes.volume_mounts"),
    (
        "image: x, init_containers: [{name: a, resources: {limits: {cpu: 1}}},"
        " {name: b, limits: {cpu: 1}}]",
        "V1Container has no cpu and no limits",
    ),
    ("image: x, tolerations: {key: gpu}", "kubernetes.tolerations: it must be a list"),
    ("image: x, tolerations: [gpu]", "kubernetes.tolerations"),
    ("image: x, env_vars: 3", "kubernetes.env_vars: it must be a list"),
    ("image: x, affinity: gpu", 'kubernetes.affinity: "gpu" is no V1Affinity'),
    ("image: x, affinity: [gpu]", 'kubernetes.affinity: ["gpu"] is no V1Affinity'),
    ("image: x, secrets: [{secret: store}]", "kubernetes.secrets"),
    ("image: x, task_id: y", "task_id"),
    ("imag: x", "kubernetes has none of image, pod_template_file"),
    ("image: x, imag: y", "imag"),
    ("image: x, on_finish_action: keep", "keep"),
]


@pytest.mark.parametrize(("said", "words"), WRONG)
def test_what_kubernetes_would_refuse(made, said: str, words: str) -> None:
    """Each before the run, with the argument; other pipelines stay."""
    project = made(f"sales: {{run_in: kubernetes, kubernetes: {{{said}}}}}")
    manifest = read(project)
    (problem,) = manifest.problems
    assert "Airflow refuses the DAG of the pipeline sales" in problem and words in problem
    assert manifest.dag_ids == ("shop",)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("docker: {imag: x}", "image"),
        ("docker: {image: x, auto_remove: sometimes}", "sometimes"),
        ("docker: {image: x, port_bindings: {1: 2}, network_mode: host}", "Port bindings"),
    ],
)
def test_what_docker_would_refuse(made, said: str, words: str) -> None:
    (problem,) = read(made(f"sales: {{run_in: docker, {said}}}")).problems
    assert "Airflow refuses the DAG of the pipeline sales" in problem and words in problem


def test_a_provider_that_is_missing(made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "kedro_astro.airflow.docker", raising=False)
    monkeypatch.setitem(sys.modules, "airflow.providers.docker", None)
    for name in [name for name in sys.modules if name.startswith("airflow.providers.docker.")]:
        monkeypatch.delitem(sys.modules, name)
    problems = read(made("sales: {run_in: docker, docker: {image: x}}")).problems
    assert "Add apache-airflow-providers-docker or" in "".join(problems)


def test_an_unknown_place(made) -> None:
    (problem,) = read(made("sales: {run_in: kubernete}")).problems
    assert "run_in is 'kubernete'. Did you mean kubernetes?" in problem


@pytest.mark.parametrize("credentials", [{}, {"store": "aws_default"}])
def test_credentials_of_airflow_stand_in_no_pod(made, credentials: dict[str, str]) -> None:
    """The session that holds them is in a Secret, which the pod names."""
    task = {"run_in": "kubernetes", "kubernetes": {"image": "x"}, "credentials": credentials}
    tasks, _ = operators(made(json.dumps({"sales": task})), ADD)
    in_pod, in_secret, sources = tasks["first"]
    session = {"KEDRO_ASTRO_SESSION_00": "{}"}
    assert (in_pod, in_secret) == (({}, session) if credentials else (session, None))
    assert bool(sources) == bool(credentials)


def test_one_task_of_nodes_with_two_images(made) -> None:
    text = """
    sales:
      grouping: pipeline
      nodes: {first: {kubernetes: {image: a}}, second: {kubernetes: {image: b}}}
    """
    (problem,) = read(made(text)).problems
    assert "airflow.yml says of kubernetes" in problem and "which run in one task" in problem


def test_what_is_in_an_image_is_known(made) -> None:
    """The manifest has a hash of the code that its DAGs are made of."""
    project = made("{}")
    first = next(read(project).blueprints())["code"]
    path = project / "src/shop/pipelines/sales/__init__.py"
    path.write_text(path.read_text().replace("x * 2", "x * 3"))
    second = next(read(project).blueprints())["code"]
    assert first[0] != second[0] and first[1:] == second[1:]
    assert json.dumps(first)
