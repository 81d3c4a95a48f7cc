"""Airflow's Kubernetes operator with a Kedro session in its pod."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from functools import cache, cached_property
from typing import Any
from uuid import uuid4

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.secret import Secret
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodManager
from kubernetes.client import ApiClient, V1EnvFromSource, V1EnvVar, V1SecretEnvSource
from kubernetes.utils.quantity import parse_quantity

from kedro_astro.airflow.containers import COMMAND, InContainer
from kedro_astro.airflow.sdk import Context

IMAGES = ("image", "pod_template_file", "pod_template_dict", "full_pod_spec")
"""The arguments that may name the image."""

KEY = r'"([^"]+)": '
"""A key in JSON."""

# A node may have to be started first, and an image of a gigabyte to be pulled. Then, many a node of
# a pipeline takes less than the five seconds that are usual between two looks.
DEFAULTS = {"cmds": COMMAND, "log_pod_spec_on_failure": False}
DEFAULTS |= {"startup_timeout_seconds": 600, "startup_check_interval_seconds": 1}


class KedroPodOperator(InContainer, KubernetesPodOperator):
    """Run the nodes of one task in a pod.

    Attributes:
        secret: name of the Secret that holds the session, and what is in it. There is one if the
            session has credentials: whoever may look at pods is not to read them.
    """

    secret: tuple[str, Mapping[str, str]] | None = None

    def execute(self, context: Context) -> Any:
        """Run it, or if it is deferrable start it."""
        return self._pushed(context, super().execute)

    def trigger_reentry(self, context: Context, event: dict[str, Any]) -> Any:
        """Go on when the pod of a deferrable task has ended."""
        # Where there is a traceback as well, that would be all that is said.
        said = {name: value for name, value in event.items() if name != "stack_trace"}
        return self._pushed(context, super().trigger_reentry, said)

    def _pushed(self, context: Context, *do: Any) -> Any:
        # Were this asked of Airflow, the pod would get a container that does it.
        context["ti"].xcom_push(key="return_value", value=self.contained(context, *do))

    def add(self, variables: Mapping[str, str]) -> None:
        """Give the pod's container environment variables more."""
        if self.made_of[1]["credentials"]:
            name = f"kedro-astro-{uuid4()}"
            self.secret = name, variables
            self.env_from = [*self.env_from, V1EnvFromSource(None, None, V1SecretEnvSource(name))]
            return
        given = self.env_vars
        if isinstance(given, dict):
            given = [V1EnvVar(name, value) for name, value in given.items()]
        self.env_vars = [*given, *(V1EnvVar(*variable) for variable in variables.items())]

    def get_or_create_pod(self, pod_request_obj: Any, context: Context) -> Any:
        """Make the pod, and then the Secret that its start waits for, which goes when it goes."""
        pod = super().get_or_create_pod(pod_request_obj, context)
        try:
            if self.secret:
                about = self.pod_manager.read_pod(pod).metadata
                owner = {"apiVersion": "v1", "kind": "Pod", "name": about.name, "uid": about.uid}
                name, data = self.secret
                metadata = {"name": name, "ownerReferences": [owner]}
                secret = {"metadata": metadata, "stringData": data}
                self.client.create_namespaced_secret(about.namespace, secret)
        except Exception:
            self.process_pod_deletion(pod, reraise=False)
            raise
        return pod

    def await_pod_start(self, pod: Any) -> None:
        """Wait for it; of one that does not start it is known what it waits for."""
        try:
            super().await_pod_start(pod)
        except Exception:
            self.remote_pod = self.pod_manager.read_pod(pod)
            raise

    @cached_property
    def pod_manager(self) -> PodManager:
        """What reads the pod's log."""
        return _Pods(self)

    # What waits for the end of a deferrable task reads the log by this.
    def _write_logs(self, pod: Any, **since: Any) -> None:  # type: ignore[override]
        self.pod_manager.fetch_container_logs(pod, self.base_container_name, **since)

    def failed(self, error: object) -> str:
        """Return what to say of a pod that did not say itself how it ended."""
        # What went wrong is behind what is raised while the pod is removed, or tried again.
        error = getattr(error, "__context__", None) or error
        pod = self.remote_pod or self.pod
        for status in getattr(getattr(pod, "status", None), "container_statuses", None) or ():
            if status.name != self.base_container_name:
                continue
            if end := status.state.terminated:
                error = f"{end.reason} (exit code {end.exit_code}) {end.message or ''}"
            # One that is only being made says so, without a message.
            elif (wait := status.state.waiting) and (wait.message or "") not in str(error):
                error = f"{error} {wait.reason}: {wait.message}"
        return super().failed(error)


class _Pods(PodManager):
    def __init__(self, operator: KedroPodOperator) -> None:
        super().__init__(kube_client=operator.client, callbacks=operator.callbacks)
        self._operator = operator

    def _log_message(self, message: str, container_name: str, *rest: Any) -> None:
        if container_name != self._operator.base_container_name:
            super()._log_message(message, container_name, *rest)
            return
        for line in message.rstrip("\n").split("\n"):
            self._operator.listener.take(line)


def operator(
    names: Mapping[str, str], said: Mapping[str, Any], given: Mapping[str, Any]
) -> KedroPodOperator:
    """Return a task's operator.

    Args:
        names: what the task is of, as annotations.
        said: what `airflow.yml` says of the pod; Kubernetes' objects as they stand in YAML.
        given: the arguments of all operators.

    Raises:
        ValueError: if there is what Kubernetes refuses, or passes over.
    """
    kinds = KubernetesPodOperator.__init__.__annotations__
    if not any(name in said for name in IMAGES):
        raise ValueError(f"kubernetes has none of {', '.join(IMAGES)}: say which image to run")
    made = {k: as_object(v, kinds.get(k, ""), f"kubernetes.{k}") for k, v in said.items()}
    if isinstance(env := said.get("env_vars"), Mapping):
        made["env_vars"] = {k: v if isinstance(v, str) else json.dumps(v) for k, v in env.items()}
    made["annotations"] = {**names, **(said.get("annotations") or {})}
    return KedroPodOperator(**{**DEFAULTS, **made}, **given)


def as_object(value: Any, annotation: str, name: str) -> Any:
    """Return a value of `airflow.yml` as what the operator takes.

    Args:
        value: JSON; an object of Kubernetes as it stands in YAML.
        annotation: of the operator's argument, or a class of Kubernetes' client.
        name: of the argument.

    Raises:
        ValueError: if it is no such object.
    """
    kind, listed = re.search(r"\bV1\w+|\bSecret\b", annotation), annotation.startswith("list[")
    if not kind or value is None or ("dict[" in annotation and isinstance(value, Mapping)):
        return value
    if listed and not isinstance(value, list):
        raise ValueError(f"{name}: it must be a list")
    try:
        if listed:
            return [_made(json.dumps(each), kind[0]) for each in value]
        return _made(json.dumps(value), kind[0])
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from error


@cache
def _made(text: str, kind: str) -> Any:
    """Return an object of Kubernetes that JSON describes, one for all tasks that say the same."""
    if not isinstance(value := json.loads(text), Mapping):
        raise TypeError(f"{text} is no {kind}")
    if kind == "Secret":
        return Secret(**value)  # type: ignore[no-untyped-call]
    client = ApiClient()
    made = client._ApiClient__deserialize(value, kind)
    kept = json.dumps(client.sanitize_for_serialization(made))
    if lost := Counter(re.findall(KEY, text)) - Counter(re.findall(KEY, kept)):
        what = f"Kubernetes' {kind} has no {' and no '.join(sorted(lost))}"
        raise ValueError(f"{what}; its keys are written as in YAML, such as mountPath")
    if kind == "V1ResourceRequirements" and "{{" not in text:
        for name, limit in (made.limits or {}).items():
            if parse_quantity(limit) < parse_quantity((made.requests or {}).get(name, limit)):
                raise ValueError(f"the limit of {name} is less than what is requested")
    return made
