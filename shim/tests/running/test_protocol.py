"""What a process that runs a session says on standard output, and what is heard of it."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from kedro_astro.project import SHIM, command
from kedro_astro.running.places import venv
from kedro_astro.running.protocol import SEPARATOR, Listener, Session
from projects import MakeProject

NODE = """
import logging, multiprocessing, os, sys
from kedro.pipeline import node, pipeline
log = logging.getLogger("shop.nodes")
def work(x):
    {}
    return x * 2
def create_pipeline(**kwargs):
    return pipeline([node(work, "raw", "total", name="first")])
"""
SECRET = "hunter2-of-the-store"
OTHER = "out-of-the-vault"
CREDENTIALS = {"conf/local/credentials.yml": f"store: {{keys: [{SECRET}]}}\n"}
HOOKS = f"""
from kedro.framework.hooks import hook_impl
class Vault:
    @hook_impl
    def after_context_created(self, context):
        context.config_loader["credentials"] = {{"store": {{"key": "{OTHER}"}}}}
HOOKS = (Vault(),)
"""


@pytest.fixture(autouse=True)
def nothing_is_rich(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kedro gives this process a handler that takes minutes for a long line."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [caplog.handler])


def session(make_project: MakeProject, body: str = "pass", **files: str) -> Session:
    pipeline = {"src/shop/pipelines/sales/__init__.py": NODE.format(body.strip())}
    project = make_project({**pipeline, "data/raw.json": "21", **files})
    return Session(str(project), "sales", ["first"], "2026-01-01T00.00.00.000Z")


def heard(wanted: Session, python: str, caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Run a session; return the loggers and texts of all that is logged of what its node says."""
    caplog.set_level(logging.INFO)
    venv(wanted, lambda secret: None, python, lambda end: None)
    said = [(r.name, r.getMessage()) for r in caplog.records]
    return [(name, text) for name, text in said if name.startswith(("task.", "shop."))]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "print('half', end='', flush=True); log.info('said'); os.write(1, b' past')",
            [("task.stdout", "half"), ("shop.nodes", "said"), ("task.stdout", " past")],
        ),
        # A file of records is printed, which is none of ours.
        (
            "print(chr(30) + '{}', chr(30) + '{\"n\": 1}')",
            [("task.stdout", "{} "), ("task.stdout", '{"n": 1}')],
        ),
        ("log.info('%d', 'x')", []),
        ("log.info('x' * 200_000)", [("shop.nodes", "x" * 200_000)]),
        ("print(repr(sys.stdin.read()), os.read(0, 1))", [("task.stdout", "'' b''")]),
        # It does not matter where standard output leads by then.
        ("os.dup2(os.open(os.devnull, 1), 1); log.info('said')", [("shop.nodes", "said")]),
    ],
)
def test_records_are_told_from_what_is_printed(
    make_project: MakeProject,
    no_airflow: str,
    caplog: pytest.LogCaptureFixture,
    body: str,
    expected: list[tuple[str, str]],
) -> None:
    said = heard(session(make_project, body), no_airflow, caplog)
    assert [line for line in said if line[0] != "task.stderr"] == expected
    errors = "\n".join(text for name, text in said if name == "task.stderr")
    assert ("--- Logging error ---" in errors) == (expected == [])


def test_processes_that_a_node_forks_are_heard_as_well(
    make_project: MakeProject, no_airflow: str, caplog: pytest.LogCaptureFixture
) -> None:
    """All at once, and what is printed at the same time keeps out of what is logged."""
    body = """
    fork = multiprocessing.get_context("fork")
    def talk(number):
        for line in range(300):
            log.warning("%s of %s", line, number)
            os.write(1, b"printed\\n")
    all_ = [fork.Process(target=talk, args=[number]) for number in range(3)]
    [one.start() for one in all_], [one.join() for one in all_]
    """
    said = heard(session(make_project, body), no_airflow, caplog)
    assert said.count(("task.stdout", "printed")) == 900
    logged = [text for name, text in said if name == "shop.nodes"]
    assert sorted(logged) == sorted(
        f"{line} of {number}" for line in range(300) for number in range(3)
    )
    assert len(said) == 1800


def test_what_the_projects_hooks_bring_is_masked_too(
    make_project: MakeProject, no_airflow: str
) -> None:
    masked: list[str] = []
    files = {**CREDENTIALS, "src/shop/settings.py": HOOKS}
    venv(session(make_project, **files), masked.append, no_airflow, lambda end: None)
    assert masked == [SECRET, OTHER]


def test_numbers_are_secrets_as_well(make_project: MakeProject, no_airflow: str) -> None:
    masked: list[str] = []
    text = "store: {key: hunter2, pins: [1234567, 8.5], on: true, none: null}\n"
    files = {"conf/local/credentials.yml": text}
    venv(session(make_project, **files), masked.append, no_airflow, lambda end: None)
    assert masked == ["hunter2", "1234567", "8.5"]


def written(command: list[str], wanted: Session) -> str:
    """Return what a session's process writes to standard output."""
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout
        process.stdin.write(wanted.to_json() + "\n")
        process.stdin.flush()
        # The process ends while its standard input is still open.
        return process.stdout.read()


@pytest.mark.parametrize("private", [True, False])
def test_a_secret_is_said_to_nobody_but_the_worker(
    make_project: MakeProject, no_airflow: str, private: bool
) -> None:
    """A container's log keeps what is written."""
    run = command(no_airflow, "run", "20", *(["private"] if private else []))
    said = written(run, session(make_project, **CREDENTIALS))
    assert (SECRET in said) == private
    record = {"ended": "", "saved": {"total": "data/total.json"}}
    assert json.loads(said.split(SEPARATOR)[-1]) == record


def test_what_is_installed_beside_airflow_stays_there(
    make_project: MakeProject, no_airflow: str, tmp_path: Path
) -> None:
    """The package comes from Airflow's interpreter, all else from the project's own."""
    packages = tmp_path / "lib/site-packages"
    installed = shutil.copytree(SHIM, packages / "kedro_astro")
    (packages / "kedro.py").write_text("raise SystemExit('not this one')")
    said = written([no_airflow, str(installed), "run", "20"], session(make_project))
    assert json.loads(said.split(SEPARATOR)[-1])["ended"] == ""


def test_what_was_cut_off_is_shown_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    listener = Listener(lambda secret: None)
    listener.take(f'{SEPARATOR}{{"ended": "Val{SEPARATOR}{{"ended": "", "saved": {{}}}}')
    assert caplog.messages == ['{"ended": "Val'] and listener.ended == ""


def test_lines_below_a_loggers_level_stay_away(caplog: pytest.LogCaptureFixture) -> None:
    """The worker's own levels count, which the process need not know."""
    caplog.set_level(logging.ERROR, "shop.nodes")
    caplog.handler.setLevel(logging.NOTSET)
    record = {"name": "shop.nodes", "levelno": logging.WARNING, "msg": "said"}
    Listener(lambda secret: None).take(SEPARATOR + json.dumps(record))
    assert caplog.messages == []


def test_a_session_is_the_same_after_its_journey() -> None:
    wanted = Session("/shop", "sales", ["first"], "v", [], {"total": "w"}, {"size": {"by": 3}})
    assert Session.from_json(wanted.to_json()) == replace(
        wanted, removes=[], code=[]
    )  # JSON has no tuples.
    assert "\n" not in wanted.to_json()


def test_a_run_imports_nothing_of_the_command_line(make_project: MakeProject) -> None:
    """Nor of Airflow's side, nor of what reads a project but for what knows entries of a catalog: a
    task waits for all of it."""
    code = "import sys; from kedro_astro.running import run; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": str(SHIM.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    ours = [name for name in done.stdout.split() if name.startswith("kedro_astro.")]
    rooms = ("running", "structure", "errors", "project")
    others = {name for name in ours if name.split(".")[1] not in rooms}
    ids = {"kedro_astro.planning", "kedro_astro.planning.ids"}
    assert others == ids | {"kedro_astro.reading", "kedro_astro.reading.entry"}
