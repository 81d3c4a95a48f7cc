"""Tasks in pods of a real Kubernetes: what its API takes, a real Airflow's runs, and failures."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
import pytest
from airflow_client.client import PatchTaskInstanceBody, TaskInstanceApi, TaskInstanceResponse
from client import Client
from engine import image_of
from engine import missing as no_engine
from kedro_astro.airflow.standalone import running
from kube import api, cluster, missing, wait_for
from kubernetes.client import ApiException, CoreV1Api, RbacAuthorizationV1Api
from s3 import Store
from scaffold import ROOT, append, files_with, python, succeed
from tasks import same_as, says

reason = missing() or no_engine()
pytestmark = [
    pytest.mark.kubernetes,
    pytest.mark.skipif(bool(reason), reason=reason or "all there"),
]

SLOW = """
import time

import fsspec
from kedro.pipeline import node, pipeline


def wait():
    store = fsspec.filesystem("s3", use_listings_cache=False)
    print("It waits.")
    while not store.exists("bucket/open"):
        time.sleep(0.2)
    return ["waited"]


def create_pipeline(**kwargs):
    return pipeline(
        [
            node(wait, None, "waited", name="wait"),
            node(len, "waited", "length", name="end"),
        ]
    )
"""
CATALOG = """
waited:
  type: json.JSONDataset
  filepath: "${globals:data_root}/waited.json"
  versioned: true
"""


KEEP = """
from kedro.pipeline import node, pipeline


def create_pipeline(**kwargs):
    return pipeline([node(lambda: [1], None, "kept", name="keep")])
"""
KEPT = """
kept:
  type: json.JSONDataset
  filepath: s3://bucket/kept.json
  credentials: keys
"""
"""A catalog entry of the environment `keys` alone."""


@pytest.fixture(scope="module")
def store(bucket: tuple[Path, Store]) -> Store:
    return bucket[1]


@pytest.fixture(scope="module")
def project(bucket: tuple[Path, Store]) -> Path:
    """The example, a pipeline that waits for a file in the bucket, and one that needs keys."""
    project, _ = bucket
    for name, text in {"slow": SLOW, "keep": KEEP}.items():
        folder = project / "src/penguins/pipelines" / name
        folder.mkdir()
        (folder / "__init__.py").write_text(text)
    append(project / "conf/base/catalog.yml", CATALOG)
    shutil.copytree(project / "conf/airflow", project / "conf/keys")
    append(project / "conf/keys/catalog.yml", KEPT)
    return project


@pytest.fixture(scope="module")
def image(project: Path) -> Iterator[str]:
    with image_of(project, "kedro-astro/pods", "Dockerfile.tasks") as image:
        yield image


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory, image: str) -> Iterator[Path]:
    with cluster(tmp_path_factory.mktemp("cluster"), image) as kubeconfig:
        yield kubeconfig


@pytest.fixture(scope="module")
def pods(kubeconfig: Path, store: Store) -> Iterator[Pods]:
    """A namespace, with a Secret that holds the store's keys."""
    pods = Pods(api(kubeconfig))
    pods.api.create_namespace({"metadata": {"name": Pods.namespace}})
    secret = {"metadata": {"name": "store"}, "stringData": store.env}
    pods.api.create_namespaced_secret(Pods.namespace, secret)
    yield pods
    pods.api.delete_namespace(Pods.namespace)


class Pods:
    """The pods of a namespace."""

    namespace = "kedro-astro-tests"

    def __init__(self, api: CoreV1Api) -> None:
        self.api = api

    def names(self) -> list[str]:
        pods = self.api.list_namespaced_pod(self.namespace).items
        return [pod.metadata.name for pod in pods]

    def waiting(self) -> list[str]:
        """Names of pods whose node waits for the file."""
        return [name for name in self.names() if "It waits." in self._log(name)]

    def wait_until_none(self) -> None:
        wait_for("The end of all pods", lambda: not self.names())

    def kill(self, name: str) -> None:
        self.api.delete_namespaced_pod(name, self.namespace, grace_period_seconds=0)

    def secrets(self) -> set[str]:
        secrets = self.api.list_namespaced_secret(self.namespace).items
        return {secret.metadata.name for secret in secrets if secret.type == "Opaque"}

    def described(self, name: str) -> str:
        """All that is to be seen of a pod."""
        return str(self.api.read_namespaced_pod(name, self.namespace))

    @cached_property
    def token(self) -> str:
        """Return a key of who may do all with pods, and nothing else."""
        name = "makes-pods"
        rules = [{"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["*"]}]
        account = {"kind": "ServiceAccount", "name": name, "namespace": self.namespace}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
        metadata = {"metadata": {"name": name}}
        rights = RbacAuthorizationV1Api(self.api.api_client)
        rights.create_namespaced_role(self.namespace, {**metadata, "rules": rules})
        binding = {**metadata, "subjects": [account], "roleRef": role}
        rights.create_namespaced_role_binding(self.namespace, binding)
        self.api.create_namespaced_service_account(self.namespace, metadata)
        made = self.api.create_namespaced_service_account_token(name, self.namespace, {"spec": {}})
        return str(made.status.token)

    def _log(self, name: str) -> str:
        try:
            return str(self.api.read_namespaced_pod_log(name, self.namespace))
        except ApiException:
            return ""


@pytest.fixture(scope="module")
def kubernetes(kubeconfig: Path, image: str) -> dict[str, Any]:
    """What airflow.yml says of the pods."""
    return {
        "image": image,
        "image_pull_policy": "Never",
        "hostnetwork": True,
        "namespace": Pods.namespace,
        "config_file": str(kubeconfig),
        "in_cluster": False,
        "env_from": [{"secretRef": {"name": "store"}}],
    }


@pytest.fixture(scope="module")
def airflow(project: Path, kubernetes: dict[str, Any], pods: Pods) -> Iterator[Client]:
    says(project, run_in="kubernetes", kubernetes=kubernetes, retries=1, retry_delay=0)
    with pytest.MonkeyPatch.context() as patch:
        # As long as a task that is lost may be silent, and as often as such are looked for.
        patch.setenv("AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT", "15")
        patch.setenv("AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL", "3")
        with running(project, project / ".kedro-astro/airflow") as found:
            client = Client.of(found)
            client.wait_for("the DAGs", lambda: "penguins.slow" in client.dag_ids())
            yield client


@pytest.fixture
def closed(store: Store) -> Iterator[Path]:
    """The file that the slow pipeline waits for, which is not there yet."""
    gate = store.folder / "bucket/open"
    gate.unlink(missing_ok=True)
    yield gate
    gate.touch()


def waiting(airflow: Client, run_id: str) -> TaskInstanceResponse:
    """Return the task that waits."""
    return airflow.task_instances("penguins.slow", run_id)[0]


def error(airflow: Client, run_id: str) -> str:
    """Return what the log of the first try of the task that waits says of why it failed."""
    lines = airflow.task_log("penguins.slow", run_id, "wait")
    failed = [line for line in lines if line["event"] == "Task failed with exception"]
    return str(failed[0]["error_detail"][0]["exc_value"])


def test_the_example_in_pods(
    airflow: Client, pods: Pods, project: Path, store: Store, after_kedro_run: Path
) -> None:
    """Nothing is left of its pods, its keys are in no log, and its lines have their loggers."""
    (store.folder / "bucket/open").touch()
    run_id = airflow.trigger("penguins")
    assert airflow.wait_for_run("penguins", run_id, 500) == "success"
    assert same_as(after_kedro_run, store)
    lines = airflow.task_log("penguins", run_id, "drop_incomplete")
    loggers = {line.get("logger") for line in lines}
    assert {"kedro.pipeline.node", "kedro.io.data_catalog"} <= loggers
    pods.wait_until_none()
    assert files_with(project, store.secret) == set()


def test_a_pod_that_is_killed(airflow: Client, pods: Pods, closed: Path) -> None:
    run_id = airflow.trigger("penguins.slow")
    (pod,) = airflow.wait_for("a pod that waits", pods.waiting)
    pods.kill(pod)
    closed.touch()
    assert airflow.wait_for_run("penguins.slow", run_id) == "success"
    # What its container says last, or Kubernetes once it is gone.
    assert re.search(f'signal SIGTERM|pods "{pod}" not found', error(airflow, run_id))
    pods.wait_until_none()


def test_a_worker_that_is_killed(airflow: Client, pods: Pods, closed: Path) -> None:
    """The second try waits for the first one's pod, and says what that has saved."""
    run_id = airflow.trigger("penguins.slow")
    first = airflow.wait_for("a pod that waits", pods.waiting)
    psutil.Process(waiting(airflow, run_id).pid).kill()
    airflow.wait_for("a second try", lambda: waiting(airflow, run_id).try_number == 2)
    assert pods.waiting() == first
    closed.touch()
    assert airflow.wait_for_run("penguins.slow", run_id) == "success"
    pods.wait_until_none()


def test_a_task_that_is_marked_as_failed(airflow: Client, pods: Pods, closed: Path) -> None:
    run_id = airflow.trigger("penguins.slow")
    airflow.wait_for("a pod that waits", pods.waiting)
    body = PatchTaskInstanceBody(new_state="failed")
    TaskInstanceApi(airflow.api).patch_task_instance("penguins.slow", run_id, "wait", body)
    pods.wait_until_none()


NAMES = ("_private", "a[b]", "n" * 200, "Zoë's node", "2024", "train.model", "x" * 62 + "-y")
PODS: tuple[dict[str, Any], ...] = (
    {"image": "shop:1"},
    {"image": "shop:1", "labels": {"team": "data", "none": ""}, "annotations": {"any": "[text]"}},
    {"image": "shop:1", "env_vars": {"WORKERS": 4, "DEBUG": True, "NOTHING": None, "TEXT": "$(A)"}},
    {"image": "shop:1", "name": "My_pod", "container_resources": {"limits": {"memory": "2Gi"}}},
    {
        "image": "shop:1",
        "secrets": [{"deploy_type": "env", "deploy_target": "KEY", "secret": "store", "key": "k"}],
        "env_from": [{"secretRef": {"name": "store"}}],
        "image_pull_secrets": [{"name": "registry"}],
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "volumes": [{"name": "lake", "persistentVolumeClaim": {"claimName": "lake"}}],
        "volume_mounts": [{"name": "lake", "mountPath": "/lake", "readOnly": True}],
        "container_resources": {
            "requests": {"cpu": "500m", "memory": "1Gi"},
            "limits": {"memory": "2Gi", "nvidia.com/gpu": 1},
        },
        "security_context": {"runAsNonRoot": True, "fsGroup": 50000},
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}
                    ]
                }
            }
        },
    },
    {
        "pod_template_dict": {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"labels": {"from": "template"}},
            "spec": {
                "containers": [{"name": "base", "image": "shop:1"}],
                "nodeSelector": {"disk": "ssd"},
            },
        }
    },
)
"""What airflow.yml may say of pods."""

RENDER = """
import json, sys
from types import SimpleNamespace as Thing
from kedro_astro.airflow.kubernetes import operator
from kedro_astro.planning.ids import airflow_id
from kubernetes.client import ApiClient
namespace, names, pods = json.loads(sys.argv[1])
rendered = []
for name in names:
    for said in pods:
        annotations = {"kedro/pipeline": "__default__", "kedro/nodes": name}
        said = {**said, "namespace": namespace}
        task = operator(annotations, said, {"task_id": airflow_id(name)})
        task.made_of = "", {"credentials": {}}, {}
        task.name = task._set_name(task.name)
        task.add({"KEDRO_ASTRO_SESSION_00": "{}"})
        ids = {"dag_id": "__default__", "task_id": task.task_id, "map_index": -1, "try_number": 1}
        context = {"ti": Thing(**ids), "run_id": "manual__2024-01-01T00:00:00+00:00", "dag": None}
        pod = task.build_pod_request_obj(context, dry_run=True)
        rendered.append(ApiClient().sanitize_for_serialization(pod))
print(json.dumps(rendered))
"""


def test_the_api_takes_every_pod(pods: Pods, tmp_path: Path) -> None:
    """Whatever nodes are called, and whatever is said of their pods."""
    given = json.dumps([Pods.namespace, NAMES, PODS])
    environment = {"AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": str(ROOT / "shim/src")}
    said = succeed(python("-W", "ignore", "-c", RENDER, given), tmp_path, environment)
    rendered = json.loads(said.splitlines()[-1])
    assert len(rendered) == len(NAMES) * len(PODS)
    refused = []
    for pod in rendered:
        try:
            pods.api.create_namespaced_pod(Pods.namespace, pod, dry_run="All")
        except ApiException as error:
            refused.append(json.loads(error.body)["message"])
    assert refused == []


EXECUTE = """
import asyncio, json, sys
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace as Thing
sys.path.insert(0, str(Path("dags").resolve()))
import kedro_dags
from airflow.providers.common.compat.sdk import TaskDeferred
dag, pushed, now = vars(kedro_dags)[sys.argv[1]], {}, datetime.now(timezone.utc)
task, = (task for task in dag.tasks if task.task_id in ("wait", "keep"))
run = Thing(dag_id=dag.dag_id, run_id="test", run_after=now, start_date=now)
push = lambda key, value: pushed.update({key: value})
ids = {"dag_id": dag.dag_id, "task_id": task.task_id, "run_id": "test", "map_index": -1}
ti = Thing(**ids, try_number=1, start_date=now, xcom_push=push)
context = {"ti": ti, "run_id": "test", "dag_run": run, "dag": dag, "params": dag.params.dump()}
async def first(trigger):
    async for event in trigger.run():
        return event.payload
try:
    try:
        task.execute(context)
    except TaskDeferred as deferred:
        pushed["deferred"] = True
        getattr(task, deferred.method_name)(context, asyncio.run(first(deferred.trigger)))
except Exception as error:
    pushed["error"] = str(error)
print(json.dumps(pushed))
"""
"""Execute a DAG's first task, and what it defers to, without an Airflow; say what it pushes."""

FAILURES: tuple[tuple[dict[str, Any], str], ...] = (
    (
        {"image": "nowhere:1"},
        'Container image "nowhere:1" is not present with pull policy of Never',
    ),
    ({"namespace": "nowhere"}, 'namespaces "nowhere" not found'),
    ({"config_file": "away"}, "port=9): Failed to establish a new connection"),
    ({"container_resources": {"limits": {"memory": "40Mi"}}}, "there was no memory left"),
    ({"container_resources": {"limits": {"memory": "12Mi"}}}, "OOMKilled (exit code 137)"),
    (
        {"env_from": [{"secretRef": {"name": "nowhere"}}], "startup_timeout_seconds": 5},
        'CreateContainerConfigError: secret "nowhere" not found',
    ),
)
"""What airflow.yml says of a pod that comes to nothing, and what is said of it."""


@pytest.fixture
def executed(
    project: Path, kubernetes: dict[str, Any], tmp_path: Path, store: Store, pods: Pods
) -> Callable[..., dict[str, Any]]:
    """Executes a pipeline's first task by its operator alone, and returns what it pushes."""
    (store.folder / "bucket/open").touch()
    own = tmp_path / "penguins"
    shutil.copytree(project, own, ignore=shutil.ignore_patterns(".kedro-astro"))
    kubeconfig = Path(kubernetes["config_file"]).read_text()
    (own / "away").write_text(re.sub(r"(https://[^:\"]+):\d+", r"\1:9", kubeconfig))
    own_token = re.sub(r'("token": ")[^"]+', rf"\g<1>{pods.token}", kubeconfig)
    (own / "makes_no_secrets").write_text(own_token)

    def executed(
        pipeline: str = "slow", env: str = "airflow", credentials: object = None, **said: object
    ) -> dict[str, Any]:
        of_pods = {**kubernetes, "kubernetes_conn_id": None, **said}
        says(own, env, run_in="kubernetes", kubernetes=of_pods, credentials=credentials)
        environment = {"AIRFLOW_HOME": str(tmp_path), "KEDRO_ENV": env}
        _, *connection = store.connection("store").items()
        environment["AIRFLOW_CONN_STORE"] = json.dumps(dict(connection))
        execute = python("-W", "ignore", "-c", EXECUTE, f"penguins.{pipeline}")
        done = succeed(execute, own, environment)
        pushed: dict[str, Any] = json.loads(done.splitlines()[-1])
        return pushed

    return executed


@pytest.mark.parametrize(("said", "reason"), FAILURES, ids=str)
@pytest.mark.parametrize("deferrable", [False, True])
def test_a_pod_that_comes_to_nothing(
    executed: Callable[..., dict[str, Any]],
    pods: Pods,
    said: dict[str, Any],
    reason: str,
    deferrable: bool,
) -> None:
    """One line says why, and nothing is left of it."""
    error = executed(**said, deferrable=deferrable)["error"]
    assert reason in error and "\n" not in error
    pods.wait_until_none()


def test_a_deferrable_task(executed: Callable[..., dict[str, Any]], pods: Pods) -> None:
    pushed = executed(deferrable=True)
    assert pushed["deferred"] and "waited" in pushed["return_value"]
    pods.wait_until_none()


WITH_KEYS = {"pipeline": "keep", "env": "keys", "credentials": {"keys": "store"}, "env_from": []}


@pytest.mark.parametrize("deferrable", [False, True])
def test_credentials_of_airflow_reach_a_pod(
    executed: Callable[..., dict[str, Any]], pods: Pods, store: Store, deferrable: bool
) -> None:
    """A Secret brings them, which goes with the pod."""
    kept = store.folder / "bucket/kept.json"
    kept.unlink(missing_ok=True)
    pushed = executed(**WITH_KEYS, deferrable=deferrable, on_finish_action="keep_pod")
    assert "kept" in pushed["return_value"] and json.loads(kept.read_text()) == [1]
    (pod,) = pods.names()
    assert store.secret not in pods.described(pod)
    (secret,) = pods.secrets() - {"store"}
    assert secret in pods.described(pod)
    pods.kill(pod)
    pods.wait_until_none()
    wait_for("The end of its Secret", lambda: pods.secrets() == {"store"})


def test_who_may_make_no_secret(
    executed: Callable[..., dict[str, Any]], pods: Pods, project: Path
) -> None:
    """The pod that waits for it is removed."""
    error = executed(**WITH_KEYS, config_file="makes_no_secrets")["error"]
    assert 'cannot create resource "secrets"' in error and "\n" not in error
    pods.wait_until_none()
