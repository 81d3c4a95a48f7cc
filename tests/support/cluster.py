"""An Airflow as it is on many machines, on this one: CeleryExecutor, Redis, PostgreSQL, S3.

Each worker is in namespaces of its own: it has another hostname, and where the project has `data/`
and its cache, a small disk of its own. So no two see what the other has saved there.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from client import Client
from s3 import Store
from scaffold import free_port, succeed

AIRFLOW = Path(sys.executable).with_name("airflow")
DISK = 64
"""Megabytes of a worker's disk."""

WITH_US = ("setpriv", "--pdeathsig", "KILL")
"""Begins a command that ends when the tests do, whatever ends them."""

OWN_DISK = """
set -eu
for folder in data .kedro-astro; do
  mkdir -p $folder
  mount -t tmpfs -o size=$DISK tmpfs $folder
done
hostname "$NAME"
exec "$@"
"""

SETTINGS = {
    "CORE__LOAD_EXAMPLES": False,
    "CORE__EXECUTOR": "CeleryExecutor",
    "CORE__DAGS_ARE_PAUSED_AT_CREATION": False,
    "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": True,
    # Each worker has a name of its own in its namespace, and no name server knows it.
    "CORE__HOSTNAME_CALLABLE": "socket.gethostname",
    "API__HOST": "127.0.0.1",
    "API__WORKERS": 1,
    "API_AUTH__JWT_SECRET": secrets.token_hex(32),
    "CELERY__WORKER_CONCURRENCY": 1,
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.25,
    "WORKERS__MIN_HEARTBEAT_INTERVAL": 1,
    # A manifest that is mended is to be seen soon.
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": 10,
    "USAGE_DATA_COLLECTION__ENABLED": False,
    **(
        RECOVERY := {
            # A task that says nothing for so long is lost, and looked for so often.
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": 2,
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": 15,
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": 3,
            # A task that finds no DAG in its file tries again so much later.
            "WORKERS__MISSING_DAG_RETRY_DELAY": 20,
            # A scheduler that says nothing for so long is dead, and its tasks are adopted.
            "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": 10,
            "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": 5,
        }
    ),
}


def missing() -> str:
    """Return in a sentence what this machine lacks; nothing if all is there."""
    needs = ("redis-server", "unshare", "setpriv", "faketime")
    if lacking := [name for name in needs if not shutil.which(name)]:
        packages = " ".join(
            {"unshare": "util-linux", "setpriv": "util-linux"}.get(n, n) for n in lacking
        )
        return f"Install what two workers need: apt-get install {packages} postgresql"
    if not postgres("initdb").is_file():
        return "Install what two workers need: apt-get install postgresql"
    return "Only root may give each worker a disk of its own." if os.geteuid() else ""


def postgres(program: str) -> Path:
    """Return where a program of PostgreSQL's server is: Debian has it on no PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    return found[-1] if found else Path(shutil.which(program) or program)


@dataclass
class Cluster:
    """Airflow's components, each of which can be killed and started again.

    Attributes:
        project: what all workers have a copy of.
        folder: for logs; not in the project.
        env: of all components.
        client: of the REST API; knows the components that are to run.
    """

    project: Path
    folder: Path
    env: dict[str, str]
    client: Client

    @property
    def processes(self) -> dict[str, subprocess.Popen[bytes]]:
        return self.client.processes

    def start(self, name: str, *command: str | Path, **more: str) -> None:
        """Start a component; `more` is added to its environment."""
        with self.client.log(name).open("ab") as log:
            self.processes[name] = psutil.Popen(
                [*WITH_US, *map(str, command)],
                cwd=self.project,
                env={**self.env, **more},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start_airflow(self, *command: str) -> None:
        """Start a component that is called like its command."""
        self.start(command[0], AIRFLOW, *command)

    def start_worker(self, number: int, *before: str, **more: str) -> None:
        """Start a worker with a disk and a name of its own.

        Args:
            number: it is called `worker-NUMBER`, and so is a queue of its own.
            before: a command that runs its command, such as faketime.
            more: is added to its environment.
        """
        name = f"worker-{number}"
        self.client.log(name).unlink(missing_ok=True)
        celery = [AIRFLOW, "celery", "worker", "-s", "--celery-hostname", name]
        celery += ["--queues", f"default,{name}"]
        own = ["unshare", "--mount", "--uts", "sh", "-c", OWN_DISK, "sh"]
        self.start(name, *own, *before, *celery, NAME=name, DISK=f"{DISK}m", **more)

    def ready(self, number: int) -> None:
        """Wait until a worker takes tasks."""
        name = f"worker-{number}"
        self.client.wait_for(name, lambda: " ready." in self.said(name))

    def said(self, name: str) -> str:
        """Return what a component has written."""
        log = self.client.log(name)
        return log.read_text(errors="replace") if log.exists() else ""

    def kill(self, name: str) -> None:
        """Kill a component and all that it has started, as if its machine had lost power."""
        process = self.processes.pop(name)
        end(family(process))
        process.wait()

    def stop(self, name: str) -> None:
        """Stop a component as an administrator does, and kill what is left of it."""
        process = self.processes.pop(name)
        members = family(process)
        process.terminate()
        psutil.wait_procs(members[:1], timeout=20)
        end(members)
        process.wait()

    def memory(self) -> dict[str, float]:
        """Return the megabytes that each component holds, with all that it has started: what
        processes share is divided among them."""
        found = {}
        for name, process in self.processes.items():
            total = 0
            for member in family(process):
                with suppress(psutil.NoSuchProcess):
                    total += member.memory_full_info().pss
            found[name] = round(total / 1e6, 1)
        return found


def family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return a process and all that it has started and that is there."""
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(process.pid)
        return [parent, *parent.children(recursive=True)]
    return []


def end(members: list[psutil.Process]) -> None:
    """Kill processes, and wait until they are gone."""
    for member in members:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(members, timeout=10)


@contextmanager
def backends() -> Iterator[dict[str, str]]:
    """Run Redis and PostgreSQL until the block ends; yield the settings that lead to them."""
    password = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="backends-") as place:
        folder = Path(place)
        database = _database(folder, password)
        port, redis_port = free_port(), free_port()
        unsaved = ("--save", "", "--requirepass", password)
        started = [
            subprocess.Popen(
                [*_as_nobody(), *map(str, command)],
                cwd=folder,
                stdout=(folder / f"{command[0].name}.log").open("w"),
                stderr=subprocess.STDOUT,
            )
            for command in (
                [postgres("postgres"), "-D", database, "-h", "127.0.0.1", "-p", port, "-k", place],
                [Path("redis-server"), "--bind", "127.0.0.1", "--port", redis_port, *unsaved],
            )
        ]
        address = f"airflow:{password}@127.0.0.1:{port}/airflow"
        try:
            _create(port, password)
            yield {
                "DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{address}",
                "CELERY__RESULT_BACKEND": f"db+postgresql+psycopg2://{address}",
                "CELERY__BROKER_URL": f"redis://:{password}@127.0.0.1:{redis_port}/0",
            }
        finally:
            for process in started:
                # "Fast": it disconnects whoever is still there.
                process.send_signal(signal.SIGINT)
            for process in started:
                process.wait(20)


def _as_nobody() -> list[str]:
    # PostgreSQL refuses to run as root.
    return [*WITH_US, "--reuid=65534", "--regid=65534", "--clear-groups"]


def _database(folder: Path, password: str) -> Path:
    folder.chmod(0o777)
    (folder / "password").write_text(password)
    (folder / "password").chmod(0o644)
    made = [*_as_nobody(), postgres("initdb"), "--encoding", "UTF8", "--auth", "scram-sha-256"]
    made += ["--username", "airflow", "--pwfile", folder / "password", folder / "database"]
    succeed(made, folder)
    return folder / "database"


def _create(port: int, password: str) -> None:
    """Make the database `airflow`, once the server lets anybody in."""
    import time

    import psycopg2

    for left in range(100, -1, -1):
        try:
            made = psycopg2.connect(
                host="127.0.0.1", port=port, user="airflow", password=password, dbname="postgres"
            )
            break
        except psycopg2.OperationalError:
            if not left:
                raise
            time.sleep(0.1)
    made.autocommit = True
    made.cursor().execute("CREATE DATABASE airflow")
    made.close()


@contextmanager
def cluster(
    project: Path, folder: Path, store: Store, more: Mapping[str, str]
) -> Iterator[Cluster]:
    """Run all of Airflow but its workers until the block ends, however it ends.

    Args:
        project: has a compiled manifest, as it has in an image.
        folder: for what Airflow writes.
        store: where the data are.
        more: is added to the environment of all components.
    """
    url = f"http://127.0.0.1:{free_port()}"
    with backends() as addresses:
        settings = (
            addresses
            | SETTINGS
            | {
                "CORE__DAGS_FOLDER": project / "dags",
                "CORE__PLUGINS_FOLDER": project / "plugins",
                "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
                "API__BASE_URL": url,
                "API__PORT": url.rpartition(":")[2],
                # As in the image.
                "CORE__LAZY_LOAD_PLUGINS": False,
            }
        )
        env = {
            **os.environ,
            **store.env,
            **{f"AIRFLOW__{name}": str(value) for name, value in settings.items()},
            "AIRFLOW_HOME": str(folder),
            **more,
        }
        found = Cluster(project, folder, env, Client(url, folder, {}))
        try:
            succeed([AIRFLOW, "db", "migrate"], project, env)
            for command in (["api-server"], ["scheduler", "-s"], ["dag-processor"]):
                found.start_airflow(*command)
            found.client.wait_for("Airflow", found.client.is_healthy)
            yield found
        finally:
            for name in [*found.processes]:
                found.kill(name)
