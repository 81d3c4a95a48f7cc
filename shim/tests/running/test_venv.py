"""The place venv: a task's nodes in an interpreter of the project's own, which has no Airflow."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from kedro_astro.airflow.manifest import read
from kedro_astro.errors import InterpreterError, SessionError
from kedro_astro.project import PYTHON
from kedro_astro.running.places import venv
from kedro_astro.running.protocol import Session
from parsing import IN_ORDER, SHIM
from projects import MakeProject

NODE = """
import logging, os, pathlib, subprocess, sys, time, warnings
from kedro.pipeline import node, pipeline
def work(x):
    {}
    return x * 2
def create_pipeline(**kwargs):
    return pipeline([node(work, "raw", "total", name="first")])
"""
TALKS = """
    logging.getLogger("shop.nodes").warning("six of %s", "one")
    print("printed", x)
    logging.getLogger("shop.nodes").debug("unheard")
    os.write(2, b"half a dozen")
    warnings.warn("beware", UserWarning)
"""
SECRET = "hunter2-of-the-store"


def session(make_project: MakeProject, body: str, **files: str) -> Session:
    """Make a project whose one node does what `body` says, and the session that runs it."""
    pipeline = {"src/shop/pipelines/sales/__init__.py": NODE.format(body.strip())}
    project = make_project({**pipeline, "data/raw.json": "21", **files})
    return Session(str(project), "sales", ("first",), "2026-01-01T00.00.00.000Z")


def total(wanted: Session) -> object:
    version = Path(wanted.project, "data/total.json", wanted.run_id)
    return json.loads((version / "total.json").read_text())


def unmasked(secret: str) -> None:
    raise AssertionError("there is none")


def let_be(end: Callable[[], None]) -> None:
    """Let the process run as long as it does."""


def test_what_it_logs_and_prints_arrives_with_level_and_logger(
    make_project: MakeProject, no_airflow: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    # Another test may have had Kedro configure this process.
    caplog.set_level(logging.INFO, "kedro")
    wanted = session(make_project, TALKS)
    venv(wanted, unmasked, no_airflow, let_be)
    assert total(wanted) == 42
    said = [(r.name, r.levelname, r.getMessage()) for r in caplog.records]
    for line in (
        ("shop.nodes", "WARNING", "six of one"),
        ("task.stdout", "INFO", "printed 21"),
        ("task.stderr", "ERROR", "half a dozen"),
    ):
        assert said.count(line) == 1
    assert any(name == "py.warnings" and "beware" in text for name, _, text in said)
    assert any(name.startswith("kedro.") and level == "INFO" for name, level, _ in said)
    assert "unheard" not in caplog.text
    (warning,) = (record for record in caplog.records if record.name == "shop.nodes")
    assert warning.pathname.endswith("sales/__init__.py") and warning.funcName == "work"


def test_secrets_are_masked_before_anything_is_said(
    make_project: MakeProject, no_airflow: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    masked = []
    files = {"conf/local/credentials.yml": f"store: {{key: {SECRET}}}\n"}
    wanted = session(make_project, "print('x')", **files)

    def mask(secret: str) -> None:
        masked.append(secret)
        caplog.clear()

    venv(wanted, mask, no_airflow, let_be)
    assert masked == [SECRET]
    assert ("task.stdout", logging.INFO, "x") in caplog.record_tuples


def test_an_error_is_named_and_its_traceback_logged(
    make_project: MakeProject, no_airflow: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SessionError, match=r"^ValueError: not that$"):
        venv(session(make_project, "raise ValueError('not that')"), unmasked, no_airflow, let_be)
    (record,) = (r for r in caplog.records if "Traceback" in r.getMessage())
    assert record.levelname == "ERROR"
    assert "in work" in record.getMessage() and record.getMessage().endswith("not that")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("os._exit(3)", "status 3"),
        ("os.kill(os.getpid(), 11)", "SIGSEGV"),
        ("os.kill(os.getpid(), 9)", "no memory left"),
        ("sys.exit(0)", "SystemExit: 0"),
        ("os._exit(0)", "did not run to its end: it ended with status 0"),
    ],
)
def test_a_process_that_ends_by_itself(
    make_project: MakeProject, no_airflow: str, body: str, says: str
) -> None:
    with pytest.raises(SessionError, match=says):
        venv(session(make_project, body), unmasked, no_airflow, let_be)


def test_what_a_node_leaves_running_is_not_waited_for(
    make_project: MakeProject, no_airflow: str
) -> None:
    body = "pathlib.Path('pid').write_text(str(subprocess.Popen(['sleep', '600']).pid))"
    wanted = session(make_project, body.replace("'pid'", "__file__ + '.pid'"))
    venv(wanted, unmasked, no_airflow, let_be)
    assert total(wanted) == 42
    (pid,) = Path(wanted.project).rglob("*.pid")
    os.kill(int(pid.read_text()), signal.SIGKILL)


WAITS = "pathlib.Path(__file__ + '.pid').write_text(str(os.getpid())); time.sleep(600)"


def started(wanted: Session) -> psutil.Process:
    """Return the process of a node that waits."""
    while not (found := [p for p in Path(wanted.project).rglob("*.pid") if p.read_text()]):
        threading.Event().wait(0.05)
    return psutil.Process(int(found[0].read_text()))


def test_it_ends_when_airflow_kills_the_task(make_project: MakeProject, no_airflow: str) -> None:
    wanted = session(make_project, WAITS)

    def kill(end: Callable[[], None]) -> None:
        started(wanted)
        end()

    def on_start(end: Callable[[], None]) -> None:
        threading.Thread(target=kill, args=[end]).start()

    with pytest.raises(SessionError, match="SIGTERM"):
        venv(wanted, unmasked, no_airflow, on_start)


def test_it_ends_when_the_tasks_time_is_over(make_project: MakeProject, no_airflow: str) -> None:
    class TimeIsOver(BaseException):
        pass

    def over(number: int, frame: object) -> None:
        raise TimeIsOver

    wanted = session(make_project, WAITS)
    before = signal.signal(signal.SIGUSR1, over)
    found = []

    def interrupt() -> None:
        found.append(started(wanted))
        os.kill(os.getpid(), signal.SIGUSR1)

    threading.Thread(target=interrupt).start()
    try:
        with pytest.raises(TimeIsOver):
            venv(wanted, unmasked, no_airflow, let_be)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert not found[0].is_running()


@pytest.mark.slow
def test_it_ends_with_its_parent(make_project: MakeProject, no_airflow: str) -> None:
    """However that ends: nobody is left to end it."""
    wanted = session(make_project, WAITS)
    code = (
        "import sys; from kedro_astro.running.places import venv; "
        "from kedro_astro.running.protocol import Session; "
        "venv(Session.from_json(sys.argv[2]), print, sys.argv[1], print)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, no_airflow, wanted.to_json()],
        env={**os.environ, "PYTHONPATH": str(SHIM)},
    )
    child = started(wanted)
    parent.kill()
    parent.wait()
    gone, _ = psutil.wait_procs([child], timeout=30)
    assert gone


@pytest.mark.slow
def test_airflow_needs_no_kedro(
    make_project: MakeProject, no_airflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither to read the project nor to run it; what the catalog says of versions holds."""
    project = Path(session(make_project, "assert not sys.modules['airflow']").project)
    monkeypatch.setenv(PYTHON, no_airflow)
    code = (
        "import json, sys; sys.modules['kedro'] = None\nfrom pathlib import Path\n"
        "from kedro_astro.airflow.dags import build_dags\nfound = build_dags(Path(sys.argv[1]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code + IN_ORDER, project],
        env={**os.environ, "PYTHONPATH": str(SHIM)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [*(project / "data/total.json").glob("2026-01-01T00.00.00.000Z-*/total.json")]


def test_an_interpreter_that_is_not_there(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(PYTHON, str(tmp_path / "bin/python"))
    with pytest.raises(InterpreterError, match=rf"{PYTHON} says {tmp_path}.* where there is none"):
        read(make_project())


def test_an_interpreter_without_kedro_and_later_with_it(
    make_project: MakeProject,
    no_airflow: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    monkeypatch.setenv(PYTHON, str(bare / "bin/python"))
    project = make_project()
    (problem,) = read(project).problems
    assert f"Kedro is not installed for {bare}/bin/python" in problem and PYTHON in problem
    (packages,) = bare.glob("lib/*/site-packages")
    (there,) = Path(no_airflow).parents[1].glob("lib/*/site-packages/all.pth")
    (packages / "all.pth").write_text(there.read_text())
    assert read(project).problems == ()
