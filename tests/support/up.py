"""An Airflow of any version, as `kedro astro up` starts it, and driven by its REST API."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from scaffold import free_port


@dataclass(frozen=True)
class Up:
    """An Airflow that runs.

    Attributes:
        url: of its UI.
        api: where its REST API begins.
        home: its `AIRFLOW_HOME`.
    """

    url: str
    api: str
    home: Path

    def get(self, path: str) -> Any:
        return httpx.get(f"{self.api}{path}", trust_env=False).raise_for_status().json()

    def trigger(self, dag_id: str, **conf: object) -> str:
        """Start a run and return its id."""
        body: dict[str, Any] = {"conf": conf}
        if self.api.endswith("v2"):
            body["logical_date"] = None
        address = f"{self.api}/dags/{dag_id}/dagRuns"
        made = httpx.post(address, json=body, trust_env=False).raise_for_status().json()
        return str(made["dag_run_id"])

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Wait for a run's end and return what is known of it."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}"
        ended: dict[str, Any] = self.wait_for(
            f"the end of {dag_id}",
            lambda: (found := self.get(path))["state"] in ("success", "failed") and found,
        )
        return ended

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(f"/dags/{dag_id}/dagRuns")["dag_runs"]
        return found

    def log(self, dag_id: str, run_id: str) -> str:
        """Return the logs of all tasks of a run."""
        folder = self.home / f"logs/dag_id={dag_id}/run_id={run_id}"
        return "\n".join(file.read_text() for file in sorted(folder.rglob("*.log")))

    def wait_for(self, what: str, look: Callable[[], Any], seconds: float = 240) -> Any:
        """Call `look` until it returns something true, and return that."""
        end = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < end, f"{what} did not come"
            time.sleep(0.2)
        return found


@contextmanager
def up(project: Path, airflows: Path, **env: str) -> Iterator[Up]:
    """Run `kedro astro up` until the block ends.

    Args:
        project: the folder that holds `dags/`.
        airflows: Airflow's interpreter. If it is not this one, tasks run in this one.
        env: more of the environment.
    """
    port = free_port()
    own = {} if str(airflows) == sys.executable else {"KEDRO_ASTRO_PYTHON": sys.executable}
    process = subprocess.Popen(
        [airflows, "-W", "ignore", "dags/kedro_astro", "up", "--port", str(port)],
        cwd=project,
        env={**os.environ, "KEDRO_DISABLE_TELEMETRY": "1", **own, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            if line.startswith("Airflow is at "):
                break
        else:
            raise AssertionError("".join(said))
        url = f"http://127.0.0.1:{port}"
        version = 2 if httpx.get(f"{url}/api/v2/version", trust_env=False).is_success else 1
        yield Up(url, f"{url}/api/v{version}", project / ".kedro-astro/airflow")
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
