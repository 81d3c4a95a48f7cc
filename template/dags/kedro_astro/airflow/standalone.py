"""A real Airflow on this machine without Docker: started, and stopped without a trace.

`kedro astro up` uses it, and so do kedro-astro's own demo and tests.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

import psutil

from kedro_astro.airflow.client import Airflow
from kedro_astro.errors import StandaloneError

HOST = "127.0.0.1"
NOTE = "standalone.json"


@contextmanager
def running(
    project: Path, home: Path, port: int | None = None, timeout: float = 120
) -> Iterator[Airflow]:
    """Run an Airflow (SQLite, LocalExecutor) that looks at the project's `dags/` folder.

    It listens on this machine only and asks for no password. When the block ends, however it
    ends, none of its processes is left.

    Args:
        project: the folder that holds `dags/`.
        home: `AIRFLOW_HOME`: its database, configuration and logs; made if it is not there.
        port: of the UI; a free one if None.
        timeout: seconds that it may take to become healthy.

    Yields:
        The Airflow, healthy.

    Raises:
        StandaloneError: if the port is taken, an Airflow with that home runs already, its path is
            none for Airflow, or it does not start.
    """
    if int((installed := version("apache-airflow")).split(".")[0]) < 3:
        raise StandaloneError(
            f"This needs Airflow 3, and here is Airflow {installed}. Upgrade it, or start that one "
            "with `airflow standalone`: your DAGs run there, too."
        )
    refuse_second(home)
    if awkward := sorted(set("%?#") & set(str(home))):
        raise StandaloneError(
            f"Airflow cannot keep its database in {home}, because of the {' and '.join(awkward)} "
            "in that path. Rename the folder."
        )
    home.mkdir(parents=True, exist_ok=True)
    note = home / NOTE
    if port is not None and not _is_free(port):
        raise StandaloneError(
            f"Port {port} is taken by another program. Stop that one, or give another port."
        )
    port, worker_logs, trigger_logs = (port or _free_port(), _free_port(), _free_port())
    log = home / "standalone.log"
    with log.open("wb") as output, _termination_as_exit():
        process = psutil.Popen(
            [sys.executable, "-m", "airflow", "standalone"],
            cwd=project,
            env=_environment(project, home, port, worker_logs, trigger_logs),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        note.write_text(json.dumps({"pid": process.pid, "port": port}), encoding="utf-8")
        try:
            airflow = Airflow(f"http://{HOST}:{port}", process, log)
            airflow.wait_for("a healthy Airflow", airflow.is_healthy, timeout)
            yield airflow
        finally:
            _stop(process)
            note.unlink(missing_ok=True)


def refuse_second(home: Path) -> None:
    """Raise if an Airflow with that home runs: two would write into one database.

    Raises:
        StandaloneError: with its address.
    """
    try:
        found = json.loads((home / NOTE).read_text(encoding="utf-8"))
        command = psutil.Process(found["pid"]).cmdline()
    except (OSError, ValueError, psutil.Error):
        return
    if "standalone" in command:
        raise StandaloneError(
            f"This project's Airflow is already running at http://{HOST}:{found['port']} "
            f"(process {found['pid']}). Use it, or stop it first."
        )


def _environment(
    project: Path, home: Path, port: int, worker_logs: int, trigger_logs: int
) -> dict[str, str]:
    # Settings of another Airflow in the shell, its database above all, are not for this one.
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW__")}
    kept.pop("AIRFLOW_CONFIG", None)
    settings = {
        "CORE__DAGS_FOLDER": project / "dags",
        "CORE__PLUGINS_FOLDER": project / "plugins",
        "CORE__LOAD_EXAMPLES": False,
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": 4,
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": False,
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": True,
        "API__HOST": HOST,
        "API__PORT": port,
        "API__BASE_URL": f"http://{HOST}:{port}",
        "API__WORKERS": 1,
        "LOGGING__WORKER_LOG_SERVER_PORT": worker_logs,
        "LOGGING__TRIGGER_LOG_SERVER_PORT": trigger_logs,
        # An edit is to be seen soon; a parse of an unchanged project costs next to nothing.
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": 5,
        "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": 0,
        "CORE__MIN_SERIALIZED_DAG_FETCH_INTERVAL": 0,
        # Between two tasks that depend on each other the scheduler naps: by default a second, most
        # of a short run. This costs 4 % of a core instead of 1 %.
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.25,
        # A worker that misses the end of its task looks again when a heartbeat is due, and takes no
        # other task before: after five seconds by default.
        "WORKERS__MIN_HEARTBEAT_INTERVAL": 1,
        "USAGE_DATA_COLLECTION__ENABLED": False,
    }
    return {
        **kept,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "AIRFLOW_HOME": str(home),
        **{f"AIRFLOW__{key}": str(value) for key, value in settings.items()},
    }


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _stop(process: psutil.Popen) -> None:
    """End the process and all that descend from it: gently, then for good."""
    # A child whose parent has ended is no descendant any more, but still of the same session.
    family = _family(process)
    for member in family:
        _send(member, signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=10)
    for member in {*alive, *_family(process)}:
        _send(member, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=5)


def _family(process: psutil.Popen) -> list[psutil.Process]:
    def belongs(other: psutil.Process) -> bool:
        try:
            return os.getsid(other.pid) == process.pid
        except OSError:
            return False

    session = {other for other in psutil.process_iter() if belongs(other)}
    with suppress(psutil.NoSuchProcess):
        session |= {process, *process.children(recursive=True)}
    return list(session)


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


@contextmanager
def _termination_as_exit() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind the stack, so that Airflow is stopped with us."""

    def leave(number: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
