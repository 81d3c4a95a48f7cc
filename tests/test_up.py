"""The ways to a running Airflow without Docker: `kedro astro up`, the Astro CLI's, `make demo`."""

from __future__ import annotations

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
from scaffold import DAGS, ROOT, free_port, python, run, scaffold, succeed

pytestmark = pytest.mark.e2e


class TestUp:
    """`kedro astro up`: the same Airflow, started from the project."""

    @pytest.fixture
    def command(self, tmp_path: Path) -> tuple[list[str | Path], Path, dict[str, str]]:
        project = scaffold(tmp_path / "penguins", project_name="Penguins")
        env = {**os.environ, "PYTHONPATH": str(project / "dags")}
        return python("-m", "kedro_astro", "up"), project, env

    def test_it_says_where_the_dags_are_and_leaves_nothing_behind(self, command) -> None:
        arguments, project, env = command
        port = free_port()
        process = subprocess.Popen(
            [str(part) for part in [*arguments, "--port", str(port)]],
            cwd=project,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Whoever runs the tests in the background has them ignore what Ctrl-C sends.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )
        try:
            lines: list[str] = []
            for line in process.stdout:
                lines.append(line)
                if "Ctrl-C" in line:
                    break
            second = run([*arguments, "--port", str(free_port())], project, env)
            process.send_signal(signal.SIGINT)
            rest = process.communicate(timeout=60)[0]
        finally:
            process.terminate()  # stops its Airflow, too

        output = "".join(lines) + rest
        assert f"http://127.0.0.1:{port}/dags/penguins.reporting\n" in output
        assert "Traceback" not in output and process.returncode == 0
        assert second.returncode != 0 and "already running at http://127.0.0.1" in second.stdout
        assert processes_of(project) == []

    def test_a_taken_port_is_said_before_anything_starts(self, command) -> None:
        arguments, project, env = command
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            done = run([*arguments, "--port", str(taken.getsockname()[1])], project, env)
        assert done.returncode != 0
        assert "is taken by another program" in done.stdout and "Traceback" not in done.stdout
        assert processes_of(project) == []


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
        airflow = Client(f"http://127.0.0.1:{port}", process, log)
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


def test_make_demo() -> None:
    """The README's first command, but for what it installs."""
    output = succeed(python("tools/demo.py"), ROOT)
    assert re.search(r"plot_penguins +success +\d+\.\d +penguin_plot +data/08_reporting/", output)
    assert processes_of(ROOT / "build" / "demo") == []
    plot = ROOT / "build/demo/data/08_reporting/penguin_plot.png"
    assert plot.read_bytes().startswith(b"\x89PNG")


def processes_of(project: Path) -> list[str]:
    """The command lines of processes that run in an Airflow of the project."""
    found = []
    for process in psutil.process_iter():
        try:
            home = process.environ().get("AIRFLOW_HOME", "")
            if home.startswith(str(project)) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found
