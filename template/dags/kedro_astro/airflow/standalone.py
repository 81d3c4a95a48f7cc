"""A real Airflow on this machine without Docker: started, and stopped without a trace.

`kedro astro up` uses it, and so do kedro-astro's own demo and tests.
"""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import psutil

from kedro_astro.airflow.manifest import read
from kedro_astro.errors import KedroAstroError, PortError, RunningError, StandaloneError, ending
from kedro_astro.project import command, start

HOST = "127.0.0.1"

AIRFLOW_2 = version("apache-airflow") < "3"
API, HEALTH = ("/api/v1", "/health") if AIRFLOW_2 else ("/api/v2", "/monitor/health")

OURS = "KEDRO_ASTRO_UP"
"""Names the home of an Airflow of ours in the environment of all processes that belong to it."""

LARGE = 5 << 20
"""Bytes of a component's log above which a new one is begun; the one before it is kept."""

SILENCE = 300.0
"""Seconds without a line in the logs of what is waited for, after which a start is given up. The
scheduler is silent during the project's first reading."""


@dataclass
class Airflow:
    """A running Airflow, and what its REST API says of it.

    Attributes:
        url: address of the UI.
        logs: the folder with what each component writes, `NAME.log`.
        processes: of the components, by name.
    """

    url: str
    logs: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def working(self, project: Path) -> set[str]:
        """Return the components that work, those that parse only once the project is read.

        What does not answer does not work yet.
        """
        working: set[str] = set()
        with suppress(KedroAstroError):
            for name, part in self._get(f"{API}{HEALTH}").items():
                if part and part["status"] == "healthy":
                    working |= {"api-server", name.replace("_", "-")}
            if not (self.dag_ids() or self.import_errors()):
                # There may be none to come.
                known = read(project, lambda: 0.0)
                if known.dag_ids or known.problems or known.still_reading:
                    working -= {"dag-processor", "scheduler"}
        return working

    def dag_ids(self) -> list[str]:
        """Return the ids of the DAGs that Airflow has, sorted.

        Raises:
            StandaloneError: if Airflow does not answer; the next question does the same.
        """
        return sorted(dag["dag_id"] for dag in self._get(f"{API}/dags?limit=1000")["dags"])

    def import_errors(self) -> list[str]:
        """Return what Airflow shows for the DAG files that it could not import."""
        return [e["stack_trace"] for e in self._get(f"{API}/importErrors")["import_errors"]]

    def moments(self) -> Iterator[None]:
        """Yield a few times in a second, for as long as Airflow runs; its logs are kept small.

        Raises:
            StandaloneError: if a component has ended, with what it wrote last.
        """
        while True:
            for name, process in self.processes.items():
                if (status := process.poll()) is not None:
                    what = f"Airflow's {name} has ended with {ending(status)}."
                    raise StandaloneError(f"{what} {self.last_lines(name)}")
                with suppress(OSError):
                    if (log := self.log(name)).stat().st_size > LARGE:
                        shutil.copyfile(log, f"{log}.1")
                        os.truncate(log, 0)
            # A line for each parse, in a folder for each day.
            for day in sorted(self.logs.glob("logs/dag_processor/*-*-*"))[:-1]:
                shutil.rmtree(day, ignore_errors=True)
            yield
            time.sleep(0.25)

    def log(self, name: str) -> Path:
        """Return the file with what a component writes."""
        return self.logs / f"{name}.log"

    def last_lines(self, name: str, most: int = 15) -> str:
        """Return a sentence with what a component wrote last."""
        lines = self.log(name).read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n    ".join([f"The log {self.log(name)} ends with:", *lines[-most:]])

    def _get(self, path: str, **headers: str) -> Any:
        try:
            # Proxies of the environment are for other hosts than this one.
            found = httpx.get(f"{self.url}{path}", headers=headers, timeout=30, trust_env=False)
            return found.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise StandaloneError(f"Airflow gives no {self.url}{path}: {error}") from None


@contextmanager
def running(
    project: Path, home: Path, port: int = 0, say: Callable[[str], object] = str
) -> Iterator[Airflow]:
    """Run an Airflow with SQLite that looks at the project's `dags/` folder.

    Version 3 runs tasks side by side, version 2 one after the other. It answers this machine only
    and asks for no password. When the block ends, however it ends, none of its processes is left;
    what is left of one that was killed is ended first.

    Args:
        project: the folder that holds `dags/`.
        home: `AIRFLOW_HOME`: its database, configuration and logs; made if it is not there.
        port: of the UI; any free one if 0.
        say: is called with a line for each step of the start.

    Yields:
        The Airflow, healthy.

    Raises:
        StandaloneError: if the port is taken, an Airflow with that home runs already, its path is
            none for Airflow, or it does not start.
    """
    home = home.resolve()
    if awkward := sorted(set("%?#") & set(str(home))):
        raise StandaloneError(f"Rename {home}: Airflow cannot have {' or '.join(awkward)} in it.")
    home.mkdir(parents=True, exist_ok=True)
    lock = home / "up.lock"
    with lock.open("a") as held:
        try:
            # Of one that was killed nobody holds it.
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunningError(where=lock.read_text()) from None
        if left := _end(home):
            say(f"Ended {left} processes of an Airflow whose `kedro astro up` was killed.")
        try:
            with socket.create_server((HOST, port)) as probe:
                port = probe.getsockname()[1]
        except OSError:
            raise PortError(port=port) from None
        airflow = Airflow(f"http://{HOST}:{port}", home)
        lock.write_text(f"{airflow.url} (process {os.getpid()})")
        # Whoever ends us otherwise than by Ctrl-C ends Airflow as well.
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)
        try:
            _start(airflow, project, port, say)
            yield airflow
        finally:
            # Whoever listened may be gone, and their terminal with them, or press at once.
            with suppress(OSError, KeyboardInterrupt):
                say("Stopping Airflow. Ctrl-C again ends what is still at work.")
            _end(home, KeyboardInterrupt)


def _start(airflow: Airflow, project: Path, port: int, say: Callable[[str], object]) -> None:
    """Start the components, and wait until they work.

    Raises:
        StandaloneError: if one of them ends, or those that are waited for write nothing any more.
    """
    began = time.monotonic()
    # What `airflow standalone` starts, but for servers that show logs to all the world.
    served_by_2 = f"airflow webserver --hostname {HOST} --port {port} --workers 1".split()
    commands = {
        "db-migrate": ["airflow", "db", "migrate"],
        "api-server": served_by_2 if AIRFLOW_2 else command(sys.executable, "serve", str(port)),
        "scheduler": ["airflow", "scheduler", "--skip-serve-logs"],
        # With SQLite it is a part of Airflow 2's scheduler.
        **({} if AIRFLOW_2 else {"dag-processor": ["airflow", "dag-processor"]}),
        "triggerer": ["airflow", "triggerer", "--skip-serve-logs"],
    }
    for name, arguments in commands.items():
        airflow.log(name).unlink(missing_ok=True)
        # Many processes append to it, so that what is cut leaves no hole.
        with airflow.log(name).open("ab") as output:
            env = _environment(project, airflow.logs, port)
            airflow.processes[name] = start(arguments, project, output, env=env)
        if name == "db-migrate" and airflow.processes[name].wait() == 0:
            del airflow.processes[name]
    waiting = {*airflow.processes}
    for _ in airflow.moments():
        for name in sorted(waiting & airflow.working(project)):
            waiting.remove(name)
            say(f"  {name} works after {time.monotonic() - began:.0f} s")
        if not waiting:
            break
        if time.time() - max(airflow.log(name).stat().st_mtime for name in waiting) > SILENCE:
            lines = [f"  {n}: not yet. {airflow.last_lines(n, 1)}" for n in sorted(waiting)]
            raise StandaloneError("\n".join(["Airflow does not start, and is silent.", *lines]))
    # Built when it is first asked for, which takes two seconds that would be the first task's. To a
    # request without such a header Airflow adds a token that this API logs a traceback of.
    with suppress(StandaloneError):
        airflow._get("/execution/health", authorization="none")


def _environment(project: Path, home: Path, port: int) -> dict[str, str]:
    # Settings of another Airflow in the shell, its database above all, are not for this one.
    others = ("AIRFLOW__", "AIRFLOW_CONFIG")
    said = Path(__file__).with_suffix(".env").read_text(encoding="utf-8").splitlines()
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(others)},
        **dict(line.split("=") for line in said if "=" in line),
        "AIRFLOW__CORE__DAGS_FOLDER": str(project / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(project / "plugins"),
        "AIRFLOW__WEBSERVER__CONFIG_FILE": str(Path(__file__).with_name("webserver_config.py")),
        "AIRFLOW__API__BASE_URL": f"http://{HOST}:{port}",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "AIRFLOW_HOME": str(home),
        OURS: str(home),
    }


def refused(headers: Mapping[str, str]) -> str:
    """Return why a request is not answered: it is under a foreign name, or by a page of another
    site. Empty if it is answered.

    Their name may lead here (DNS rebinding). Without that a page of theirs could not read what it
    gets, but start runs. `Origin` says whose page it is, wherever a request changes something.
    """
    host = headers.get("host", "")
    origin = headers.get("origin", f"http://{host}")
    ours = host.partition(":")[0] in (HOST, "localhost") and origin == f"http://{host}"
    return "" if ours else f"Airflow answers {HOST} and localhost, and no page of another site."


def _end(home: Path, *hurries: type[BaseException]) -> int:
    """End all processes of an Airflow with this home, gently, then for good; return how many there
    were. Call it while the lock is held: then they are ours, or nobody's any more.

    Args:
        home: as `running` takes it.
        hurries: exceptions after which it is gentle no longer.
    """
    members: set[psutil.Process] = set()
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(*hurries):
            for process in psutil.process_iter(["environ"]):  # None of other users' processes.
                if (process.info["environ"] or {}).get(OURS) == str(home):
                    # And what they started, such as a node's process that has another environment.
                    # It stays known when they are gone.
                    with suppress(psutil.NoSuchProcess):
                        members |= {process, *process.children(recursive=True)}
            for process in members:
                with suppress(psutil.NoSuchProcess):
                    # A triggerer ends when its one process does. If it is told as well, it may miss
                    # that, and waits ten seconds for it.
                    waits = "triggerer" in process.cmdline() and process.children()
                    process.send_signal(0 if waits and number == signal.SIGTERM else number)
            psutil.wait_procs(members, timeout=10)
    return len(members)
