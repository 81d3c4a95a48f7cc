"""A running Airflow, driven through its REST API: what demo, tests and benchmarks share."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from airflow_client.client import (
    ApiClient,
    ClearTaskInstancesBody,
    ClearTaskInstancesBodyTaskIdsInner,
    Configuration,
    DAGApi,
    DAGPatchBody,
    DagRunApi,
    DAGRunResponse,
    TaskInstanceApi,
    TaskInstanceResponse,
    TriggerDAGRunPostBody,
    XComApi,
)

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "template" / "dags"))

from kedro_astro.airflow.standalone import Airflow
from kedro_astro.errors import StandaloneError

FINISHED = ("success", "failed")


class Client(Airflow):
    """An Airflow that lets everybody in, and a client of its REST API.

    What is not here is asked for with Airflow's own client library:
    `DAGApi(airflow.api).get_dag_details("penguins")`.
    """

    @classmethod
    def of(cls, airflow: Airflow) -> Client:
        """Return a client of an Airflow that runs."""
        return cls(airflow.url, airflow.logs, airflow.processes)

    @cached_property
    def api(self) -> ApiClient:
        """The library's client, with a token."""
        # The library has no request for a token: that is another one with each auth manager.
        token = self._get("/auth/token")["access_token"]
        # Proxies of the environment are for other hosts than this one.
        return ApiClient(Configuration(host=self.url, access_token=token, no_proxy="*"))

    def is_healthy(self) -> bool:
        """Whether scheduler and DAG processor say that they work, and `dags/` is looked at.

        Raises:
            StandaloneError: if Airflow does not answer.
        """
        health = self._get("/api/v2/monitor/health")
        looked = self.dag_ids() or self.import_errors()
        parts = [health[name]["status"] for name in ("scheduler", "dag_processor")]
        return bool(looked) and parts == ["healthy", "healthy"]

    def wait_for(self, what: str, look: Callable[[], Any], seconds: float = 120) -> Any:
        """Call `look` until it returns something true, and return that.

        Args:
            what: what is waited for, for the error.
            look: asks Airflow; no answer counts as "not yet".
            seconds: how long to go on.

        Raises:
            StandaloneError: if Airflow ends or the time is up.
        """
        end = time.monotonic() + seconds
        for _ in self.moments():
            with suppress(StandaloneError):
                if found := look():
                    return found
            if time.monotonic() > end:
                break
        logs = "\n".join(map(self.last_lines, self.processes))
        raise StandaloneError(f"{what} did not come within {seconds:.0f} seconds. {logs}")

    def trigger(self, dag_id: str, params: Mapping[str, Any] | None = None) -> str:
        """Start a run of the DAG now and return its run id.

        Args:
            dag_id: of the DAG.
            params: the values of its trigger form that differ from what the form shows.

        Raises:
            airflow_client.client.ApiException: if Airflow refuses.
        """
        body = TriggerDAGRunPostBody(logical_date=None, conf=dict(params or {}))
        return DagRunApi(self.api).trigger_dag_run(dag_id, body).dag_run_id

    def run(self, dag_id: str, run_id: str) -> DAGRunResponse:
        """Return a DAG run: its state, start and end, and more."""
        return DagRunApi(self.api).get_dag_run(dag_id, run_id)

    def runs(self, dag_id: str, **which: Any) -> list[DAGRunResponse]:
        """Return the DAG's runs, the oldest first; `which` is what the library can filter by."""
        return DagRunApi(self.api).get_dag_runs(dag_id, **which).dag_runs

    def unpause(self, *dag_ids: str) -> None:
        """Let the DAGs run, where new ones are paused."""
        for dag_id in dag_ids:
            DAGApi(self.api).patch_dag(dag_id, DAGPatchBody(is_paused=False))

    def clear(self, dag_id: str, run_id: str, task_id: str, downstream: bool = False) -> None:
        """Clear a task of a run, so that it runs again, and those after it if they are to."""
        body = ClearTaskInstancesBody(
            dry_run=False,
            only_failed=False,
            dag_run_id=run_id,
            task_ids=[ClearTaskInstancesBodyTaskIdsInner(task_id)],
            include_downstream=downstream,
        )
        TaskInstanceApi(self.api).post_clear_task_instances(dag_id, body)

    def wait_for_run(self, dag_id: str, run_id: str, seconds: float = 300) -> str:
        """Wait until a DAG run has ended and return its state, `success` or `failed`."""

        def state() -> str | None:
            found = self.run(dag_id, run_id).state.value
            return found if found in FINISHED else None

        return self.wait_for(f"the end of {dag_id} {run_id}", state, seconds) or ""

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstanceResponse]:
        """Return the run's task instances, in the order they started."""
        found = TaskInstanceApi(self.api).get_task_instances(dag_id, run_id, limit=1000)
        return sorted(
            found.task_instances,
            key=lambda task: (task.start_date is None, task.start_date or 0, task.task_id),
        )

    def saved(self, dag_id: str, run_id: str, task_id: str) -> dict[str, dict[str, str | None]]:
        """Return what a task of kedro-astro says it saved: location and version, by dataset."""
        entry = XComApi(self.api).get_xcom_entry(
            dag_id=dag_id, dag_run_id=run_id, task_id=task_id, xcom_key="return_value"
        )
        value: Any = entry.actual_instance and entry.actual_instance.value
        return dict(json.loads(value) if isinstance(value, str) else value)

    def task_log(
        self, dag_id: str, run_id: str, task_id: str, try_number: int = 1
    ) -> list[dict[str, Any]]:
        """Return a task's log lines, each with `event` and most with `level` and `logger`."""
        # The library's own model of a line keeps no more than event and timestamp.
        answer = TaskInstanceApi(self.api).get_log_without_preload_content(
            dag_id, run_id, task_id, try_number, full_content=True, accept="application/json"
        )
        lines = json.loads(answer.data)["content"]
        return [{"event": line} if isinstance(line, str) else line for line in lines]
