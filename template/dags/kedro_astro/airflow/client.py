"""A running Airflow, asked and driven through its REST API."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote

import httpx
import psutil

from kedro_astro.errors import StandaloneError

FINISHED = frozenset({"success", "failed"})
T = TypeVar("T")


class Airflow:
    """A running Airflow and its REST API.

    Attributes:
        url: address of the UI.
        log: file with the output of all its components.
    """

    def __init__(self, url: str, process: psutil.Popen, log: Path) -> None:
        self.url = url
        self.log = log
        self._process = process
        # Proxies of the environment are for other hosts than this one.
        self._http = httpx.Client(base_url=self.url, timeout=30, trust_env=False)

    def get(self, path: str) -> Any:
        """Return the JSON at `path`, below `/api/v2/`."""
        return self._request("GET", path)

    def patch(self, path: str, body: object) -> Any:
        """Patch what is at `path`, below `/api/v2/`; return the JSON it answers."""
        return self._request("PATCH", path, json=body)

    def post(self, path: str, body: object) -> Any:
        """Post `body` as JSON to `path`, below `/api/v2/`; return the JSON it answers."""
        return self._request("POST", path, json=body)

    def is_healthy(self) -> bool:
        """Whether database, scheduler and DAG processor all say that they work.

        And the API that tasks use, which Airflow builds when it is first asked: two seconds that
        would be the first task's.
        """
        try:
            if not self._http.get("/execution/health").is_success:
                return False
            health = self._http.get("/api/v2/monitor/health").json()
        except (httpx.HTTPError, ValueError):
            return False
        parts = ("metadatabase", "scheduler", "dag_processor")
        return all((health.get(part) or {}).get("status") == "healthy" for part in parts)

    def dag_ids(self) -> list[str]:
        """Return the ids of the DAGs that Airflow has, sorted."""
        return sorted(dag["dag_id"] for dag in self.get("dags?limit=1000")["dags"])

    def first_look(self) -> bool:
        """Whether Airflow has found a DAG, or a file that it could not import."""
        return bool(self.dag_ids() or self.import_errors())

    def import_errors(self) -> list[str]:
        """Return what Airflow shows for the DAG files that it could not import."""
        return [error["stack_trace"] for error in self.get("importErrors")["import_errors"]]

    def trigger(self, dag_id: str, params: Mapping[str, Any] | None = None) -> str:
        """Start a run of the DAG now and return its run id.

        Args:
            dag_id: of the DAG.
            params: the values of its trigger form that differ from what the form shows.
        """
        body = {"logical_date": None, "conf": dict(params or {})}
        run = self.post(f"dags/{quote(dag_id)}/dagRuns", body)
        return str(run["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a DAG run."""
        return str(self.get(_run(dag_id, run_id))["state"])

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the run's task instances as the API gives them, in the order they started."""
        found = self.get(f"{_run(dag_id, run_id)}/taskInstances?limit=1000")["task_instances"]
        return sorted(found, key=lambda ti: (ti["start_date"] or "9", ti["task_id"]))

    def saved(self, dag_id: str, run_id: str, task_id: str) -> dict[str, dict[str, str | None]]:
        """Return what a task of kedro-astro says it saved: location and version, by dataset."""
        task = f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id)}"
        entry = self.get(f"{task}/xcomEntries/return_value?deserialize=true")
        value = entry["value"]
        return dict(json.loads(value) if isinstance(value, str) else value)

    def task_log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1) -> list[Any]:
        """Return a task's log lines: dicts with `event`, `level` and `logger`, or plain text."""
        task = f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id)}"
        return list(self.get(f"{task}/logs/{try_number}?full_content=true")["content"])

    def wait_for(self, what: str, look: Callable[[], T], seconds: float = 120) -> T:
        """Call `look` until it returns something true, and return that.

        Args:
            what: what is waited for, for the error.
            look: asks Airflow; its errors of transport count as "not yet".
            seconds: how long to go on.

        Raises:
            StandaloneError: if Airflow ends or the time is up.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not self._process.is_running() or self._process.poll() is not None:
                self._fail(f"Airflow ended while waiting for {what}.")
            try:
                if found := look():
                    return found
            except httpx.TransportError:
                pass
            time.sleep(0.25)
        self._fail(f"{what} did not come within {seconds:.0f} seconds.")

    def wait_for_run(self, dag_id: str, run_id: str, seconds: float = 300) -> str:
        """Wait until a DAG run has ended and return its state, `success` or `failed`."""
        return self.wait_for(
            f"the end of {dag_id} {run_id}",
            lambda: {self.run_state(dag_id, run_id)} & FINISHED,
            seconds,
        ).pop()

    def wait_until_interrupted(self) -> NoReturn:
        """Block until the user interrupts.

        Raises:
            KeyboardInterrupt: when the user does.
            StandaloneError: if Airflow ends before.
        """
        self._process.wait()
        self._fail("Airflow ended by itself.")

    def _fail(self, what: str) -> NoReturn:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
        raise StandaloneError("\n  ".join([what, f"Its log, {self.log}, ends with:", *lines]))

    def _request(self, method: str, path: str, **kwargs: Any) -> Any:
        if "Authorization" not in self._http.headers:
            token = self._http.get("/auth/token").raise_for_status().json()["access_token"]
            self._http.headers["Authorization"] = f"Bearer {token}"
        answer = self._http.request(method, f"/api/v2/{path}", **kwargs)
        if answer.is_error:
            raise StandaloneError(
                f"Airflow answers {answer.status_code} to {method} {path}: {answer.text}"
            )
        return answer.json()


def _run(dag_id: str, run_id: str) -> str:
    return f"dags/{quote(dag_id)}/dagRuns/{quote(run_id)}"
