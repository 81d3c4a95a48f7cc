"""A real Airflow on this machine without Docker: started, and stopped without a trace.

`kedro astro up` uses it, and so do kedro-astro's own demo and tests.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import psutil

from kedro_astro.errors import StandaloneError

HOST = "127.0.0.1"


@dataclass
class Airflow:
    """A running Airflow, and what its REST API says of it.

    Attributes:
        url: address of the UI.
        process: that ends when Airflow does.
        log: file with the output of all its components.
    """

    url: str
    process: psutil.Popen
    log: Path

    def is_healthy(self) -> bool:
        """Whether scheduler and DAG processor say that they work, and `dags/` is looked at.

        And the API that tasks use, which Airflow builds when it is first asked: two seconds that
        would be the first task's.

        Raises:
            StandaloneError: if Airflow does not answer; the other questions do the same.
        """
        self._get("/execution/health")
        health = self._get("/api/v2/monitor/health")
        healthy = {name for name, part in health.items() if part and part["status"] == "healthy"}
        looked = self.dag_ids() or self.import_errors()
        return bool(looked) and {"scheduler", "dag_processor"} <= healthy

    def dag_ids(self) -> list[str]:
        """Return the ids of the DAGs that Airflow has, sorted."""
        return sorted(dag["dag_id"] for dag in self._get("/api/v2/dags?limit=1000")["dags"])

    def import_errors(self) -> list[str]:
        """Return what Airflow shows for the DAG files that it could not import."""
        return [e["stack_trace"] for e in self._get("/api/v2/importErrors")["import_errors"]]

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
        while (running := self.process.poll() is None) and time.monotonic() < end:
            with suppress(StandaloneError):
                if found := look():
                    return found
            time.sleep(0.25)
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
        why = f" within {seconds:.0f} seconds" if running else ", and Airflow has ended"
        problem = f"{what} did not come{why}. The log {self.log} ends with:"
        raise StandaloneError("\n  ".join([problem, *lines]))

    def _get(self, path: str) -> Any:
        # Proxies of the environment are for other hosts than this one.
        with httpx.Client(base_url=self.url, timeout=30, trust_env=False) as http:
            try:
                token = http.get("/auth/token").raise_for_status().json()["access_token"]
                found = http.get(path, headers={"Authorization": f"Bearer {token}"})
                return found.raise_for_status().json()
            except (httpx.HTTPError, ValueError) as error:
                raise StandaloneError(f"Airflow gives no {self.url}{path}: {error}") from None


@contextmanager
def running(project: Path, home: Path, port: int = 0) -> Iterator[Airflow]:
    """Run an Airflow (SQLite, LocalExecutor) that looks at the project's `dags/` folder.

    It listens on this machine only and asks for no password. When the block ends, however it
    ends, none of its processes is left.

    Args:
        project: the folder that holds `dags/`.
        home: `AIRFLOW_HOME`: its database, configuration and logs; made if it is not there.
        port: of the UI; any free one if 0.

    Yields:
        The Airflow, healthy.

    Raises:
        StandaloneError: if the port is taken, an Airflow with that home runs already, its path is
            none for Airflow, or it does not start.
    """
    if (installed := version("apache-airflow")) < "3":
        raise StandaloneError(f"Start Airflow {installed} with `airflow standalone`.")
    refuse_second(home)
    if awkward := sorted(set("%?#") & set(str(home))):
        raise StandaloneError(f"Rename {home}: Airflow cannot have {' or '.join(awkward)} in it.")
    try:
        port = _free_port(port)
    except OSError:
        raise StandaloneError(f"Port {port} is taken by another program. Name another.") from None
    home.mkdir(parents=True, exist_ok=True)
    log = home / "standalone.log"
    # Whoever ends us otherwise than by Ctrl-C ends Airflow as well.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with log.open("wb") as output:
        process = psutil.Popen(
            [sys.executable, "-m", "airflow", "standalone"],
            cwd=project,
            env=_environment(project, home, port),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            airflow = Airflow(f"http://{HOST}:{port}", process, log)
            airflow.wait_for("a healthy Airflow", airflow.is_healthy)
            yield airflow
        finally:
            _stop(process)


def refuse_second(home: Path) -> None:
    """Raise if an Airflow with that home runs: two would write into one database.

    Raises:
        StandaloneError: with its address.
    """
    for process in psutil.process_iter(["cmdline", "environ"]):
        env = process.info["environ"] or {}  # None if it is of another user
        same = env.get("AIRFLOW_HOME") == str(home.resolve())
        if same and "standalone" in process.info["cmdline"]:
            url = env.get("AIRFLOW__API__BASE_URL")
            raise StandaloneError(f"It is already running at {url} (process {process.pid}).")


def _environment(project: Path, home: Path, port: int) -> dict[str, str]:
    # Settings of another Airflow in the shell, its database above all, are not for this one.
    others = ("AIRFLOW__", "AIRFLOW_CONFIG")
    settings = {
        "CORE__DAGS_FOLDER": project / "dags",
        "CORE__PLUGINS_FOLDER": project / "plugins",
        "CORE__LOAD_EXAMPLES": False,
        "CORE__PARALLELISM": 4,
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": False,
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": True,
        "API__HOST": HOST,
        "API__PORT": port,
        "API__BASE_URL": f"http://{HOST}:{port}",
        "LOGGING__WORKER_LOG_SERVER_PORT": _free_port(),
        "LOGGING__TRIGGER_LOG_SERVER_PORT": _free_port(),
        # An edit is to be seen soon; a parse of an unchanged project costs next to nothing.
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": 5,
        "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": 0,
        # Between two tasks that depend on each other the scheduler naps: by default a second, most
        # of a short run. This costs 4 % of a core instead of 1 %.
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.25,
        # A worker that misses the end of its task looks again when a heartbeat is due, and takes no
        # other task before: after five seconds by default.
        "WORKERS__MIN_HEARTBEAT_INTERVAL": 1,
        "USAGE_DATA_COLLECTION__ENABLED": False,
    }
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(others)},
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "AIRFLOW_HOME": str(home.resolve()),
        **{f"AIRFLOW__{key}": str(value) for key, value in settings.items()},
    }


def _free_port(port: int = 0) -> int:
    """Return the port, or any if it is 0; an OSError says that it is taken."""
    with socket.create_server((HOST, port)) as probe:
        return int(probe.getsockname()[1])


def _stop(process: psutil.Popen) -> None:
    """End the process and all that descend from it: gently, then for good."""
    alive: set[psutil.Process] = set()
    for number in (signal.SIGTERM, signal.SIGKILL):
        for other in psutil.process_iter():
            # A child whose parent has ended is no descendant any more, but still of the session.
            with suppress(OSError, psutil.Error):
                if os.getsid(other.pid) == process.pid or process in other.parents():
                    alive.add(other)
        for member in alive:
            with suppress(psutil.NoSuchProcess):
                member.send_signal(number)
        alive = set(psutil.wait_procs(alive, timeout=10)[1])
