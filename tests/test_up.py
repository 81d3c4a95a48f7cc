"""The ways to a running Airflow without Docker: `kedro astro up`, the Astro CLI's, `make demo`."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from astro_cli import standalone_environment
from client import Client
from kedro_astro.airflow import standalone
from kedro_astro.errors import StandaloneError
from scaffold import DAGS, ROOT, free_port, python, run, scaffold, succeed

pytestmark = pytest.mark.e2e


class Up(subprocess.Popen):
    """`kedro astro up` in a project; what it has said so far is in `said`."""

    def __init__(self, project: Path, port: int) -> None:
        super().__init__(
            [str(part) for part in up(port)],
            cwd=project,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said = ""

    def until(self, text: str) -> str:
        """Return what it says, up to the line with this text."""
        for line in self.stdout:
            self.said += line
            if text in line:
                return self.said
        raise AssertionError(f"It has ended with {self.wait()} and said: {self.said}")

    def rest(self) -> str:
        """Wait until it ends, and return all that it has said."""
        self.said += self.communicate(timeout=60)[0]
        return self.said

    def __exit__(self, *error: object) -> None:
        self.terminate()  # stops its Airflow, too
        super().__exit__(*error)


STARTS = """
import subprocess, sys
if sys.argv[1:2] == ["dag-processor"]:
    subprocess.Popen(["sh", "-c", "%s sleep 54321"], env={}, start_new_session=True)
"""
"""A process by which nobody sees where it belongs."""


def up(port: int) -> list[str | Path]:
    return python("dags/kedro_astro", "up", "--port", str(port))


class TestUp:
    """`kedro astro up`: the same Airflow, started from the project."""

    @pytest.fixture(scope="class")
    def project(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return scaffold(tmp_path_factory.mktemp("up") / "penguins", project_name="Penguins")

    @pytest.fixture(scope="class")
    def empty(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return scaffold(tmp_path_factory.mktemp("up") / "empty", start="empty")

    def test_it_says_where_the_dags_are_and_leaves_nothing_behind(self, project: Path) -> None:
        port = free_port()
        with Up(project, port) as process:
            said = process.until("Ctrl-C")
            assert f"http://127.0.0.1:{port}/dags/penguins.reporting\n" in said
            for component in ("api-server", "scheduler", "dag-processor", "triggerer"):
                assert f"\n  {component} works after " in said
            # Nothing listens to other machines, and nobody else is answered.
            assert listening(project) == [("127.0.0.1", port)]
            here, runs = f"127.0.0.1:{port}", "/api/v2/dags/penguins/dagRuns"
            for path in ("/", runs, "/auth/token", "/execution/health", "/docs"):
                assert status(port, path, host=f"page.example:{port}") == 403
            assert status(port, runs, host=f"localhost:{port}") == 200
            for origin in ("http://page.example", "null", "http://127.0.0.1:1", f"https://{here}"):
                assert status(port, runs, "POST", host=here, origin=origin) == 403
            assert status(port, runs, "POST", host=here, origin=f"http://{here}") == 200
            log = (project / ".kedro-astro/airflow/api-server.log").read_text()
            assert "Traceback" not in log
            second = run(up(free_port()), project)
            process.send_signal(signal.SIGINT)
            said = process.rest()
        assert "Traceback" not in said and process.returncode == 0
        # It ended because its process did. Told to end, it may wait ten seconds for that.
        log = (project / ".kedro-astro/airflow/triggerer.log").read_text()
        assert "Exited trigger loop" in log and "upon receiving signal" not in log
        assert second.returncode == 1
        assert f"It is already running at http://{here} (process {process.pid})" in second.stdout
        assert processes_of(project) == []

    @pytest.mark.starts
    def test_what_a_killed_one_left_is_ended_and_what_ends_is_said(self, empty: Path) -> None:
        """In a project without a DAG that it could wait for, on the same port."""
        port = free_port()
        (empty / "plugins/starts.py").write_text(STARTS % "")
        with Up(empty, port) as killed:
            killed.until("api-server works")
            killed.kill()
        left = processes_of(empty)
        with Up(empty, port) as process:
            assert len(left) > 3 and "whose `kedro astro up` was killed" in process.until("Ended ")
            process.until("Ctrl-C")
            (scheduler,) = (
                child
                for child in psutil.Process(process.pid).children()
                if "scheduler" in " ".join(child.cmdline())
            )
            scheduler.kill()
            said = process.rest()
        assert process.returncode == 1 and "Traceback" not in said
        assert "Error: Airflow's scheduler has ended with signal SIGKILL." in said
        log = empty / ".kedro-astro/airflow/scheduler.log"
        assert f"The log {log} ends with:\n    " in said
        assert log.read_text().splitlines()[-1] in said
        assert [*processes_of(empty), *sleeping()] == []

    @pytest.mark.starts
    def test_it_ends_where_its_terminal_is_closed(self, empty: Path) -> None:
        """Whatever it says then is an error to write."""
        with Up(empty, free_port()) as process:
            process.until("Ctrl-C stops it")
            process.stdout.close()
            process.send_signal(signal.SIGHUP)
            process.wait(60)
        assert processes_of(empty) == []

    @pytest.mark.starts
    def test_who_presses_ctrl_c_twice_waits_no_longer(self, empty: Path) -> None:
        (empty / "plugins/starts.py").write_text(STARTS % "trap '' TERM;")
        with Up(empty, free_port()) as process:
            process.until("Ctrl-C stops it")
            process.send_signal(signal.SIGINT)
            process.until("Ctrl-C again")
            process.send_signal(signal.SIGINT)
            said = process.rest()
        assert process.returncode == 0 and said.endswith("\nAirflow is stopped.\n")
        assert [*processes_of(empty), *sleeping()] == []

    @pytest.mark.parametrize(
        ("does", "says"),
        [
            (
                "print('no driver', flush=True); os._exit(3)",
                ("Airflow's triggerer has ended with status 3. The log ", "\n    no driver"),
            ),
            (
                "print('no answer', flush=True); time.sleep(999)",
                ("Airflow does not start, ", "triggerer: not yet. The log ", "\n    no answer"),
            ),
        ],
    )
    def test_what_does_not_start_is_named(
        self, empty: Path, monkeypatch: pytest.MonkeyPatch, does: str, says: tuple[str, ...]
    ) -> None:
        plugin = f"import os, sys, time\nif sys.argv[1:2] == ['triggerer']:\n    {does}\n"
        (empty / "plugins/broken.py").write_text(plugin)
        monkeypatch.setattr(standalone, "SILENCE", 10.0)
        with (
            pytest.raises(StandaloneError) as error,
            standalone.running(empty, empty / ".kedro-astro/airflow"),
        ):
            pass
        for part in says:
            assert part in str(error.value)
        assert processes_of(empty) == []

    def test_a_taken_port_is_said_before_anything_starts(self, project: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            done = run(up(taken.getsockname()[1]), project)
        assert done.returncode != 0
        assert "is taken by another program" in done.stdout and "Traceback" not in done.stdout
        assert processes_of(project) == []


def status(port: int, path: str, method: str = "GET", **headers: str) -> int:
    """Return the status of the answer; what is posted starts a run."""
    body = '{"logical_date": null}' if method == "POST" else None
    headers["content-type"] = "application/json"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, body, headers)
    return connection.getresponse().status


@pytest.mark.starts
def test_the_standalone_mode_of_the_astro_cli(tmp_path: Path) -> None:
    """Another `AIRFLOW_HOME`, the project as PYTHONPATH and working folder, no plugins."""
    project, port = scaffold(tmp_path / "penguins", project_name="Penguins"), free_port()
    env = os.environ | standalone_environment(project, port)
    log = tmp_path / "standalone.log"
    with log.open("wb") as output:
        process = psutil.Popen(
            [Path(sys.executable).with_name("airflow"), "standalone"],
            cwd=project,
            env=env | {"PATH": f"{Path(sys.executable).parent}:{env['PATH']}"},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        airflow = Client(f"http://127.0.0.1:{port}", tmp_path, {"standalone": process})
        airflow.wait_for("the DAGs", lambda: airflow.is_healthy() and airflow.dag_ids() == DAGS)
        airflow.unpause(*DAGS)
        run_id = airflow.trigger("penguins")
        assert airflow.wait_for_run("penguins", run_id) == "success"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        psutil.wait_procs([process, *process.children(recursive=True)], timeout=10)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert (project / "data/08_reporting/penguin_plot.png").is_file()
    made = {path.name for path in project.iterdir()} - set(os.listdir(ROOT / "template"))
    assert not made & {"airflow.cfg", "airflow.db", "logs"}


@pytest.mark.starts
def test_make_demo() -> None:
    """The README's first command, but for what it installs."""
    output = succeed(python("tools/demo.py"), ROOT)
    assert re.search(r"plot_penguins +success +\d+\.\d +penguin_plot +data/08_reporting/", output)
    assert processes_of(ROOT / "build" / "demo") == []
    plot = ROOT / "build/demo/data/08_reporting/penguin_plot.png"
    assert plot.read_bytes().startswith(b"\x89PNG")


def processes_of(project: Path) -> list[psutil.Process]:
    """The processes that run in an Airflow of the project."""
    found = []
    for process in psutil.process_iter():
        try:
            home = process.environ().get("AIRFLOW_HOME", "")
            if home.startswith(str(project)) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def sleeping() -> list[psutil.Process]:
    """What `STARTS` has started."""
    found = psutil.process_iter(["cmdline"])
    return [process for process in found if "54321" in (process.info["cmdline"] or [])]


def listening(project: Path) -> list[tuple[str, int]]:
    """The addresses at which an Airflow of the project listens."""
    found = []
    for process in processes_of(project):
        with suppress(psutil.NoSuchProcess):  # A parse ends while we look.
            found += process.net_connections("inet")
    return [(c.laddr.ip, c.laddr.port) for c in found if c.status == psutil.CONN_LISTEN]
