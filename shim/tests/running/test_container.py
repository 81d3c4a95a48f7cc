"""A container's process, as the operators start it: with a session in its environment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from kedro_astro.errors import SessionError
from kedro_astro.project import SHIM, code_of
from kedro_astro.running.container import MOST, PART, variables
from kedro_astro.running.protocol import SEPARATOR, Session
from projects import CATALOG, SALES, MakeProject

SECRET = 'hunter2-"planted"'
SAYS = """
    import logging, os, subprocess, sys
    secret = {!r}
    logging.getLogger("mine").warning("password: %s", secret)
    print("printed", secret)
    print("to stderr", secret, file=sys.stderr, flush=True)
    print(*[name for name in os.environ if "SESSION" in name], "are left")
    raise ValueError(f"not {{secret}}")
"""


@pytest.fixture
def project(make_project: MakeProject) -> Path:
    """A node knows a secret of the catalog's, and tells it in every way."""
    body = SAYS.format(SECRET).strip()
    entry = "raw: {type: json.JSONDataset, filepath: data/raw.json, credentials: mine}\n"
    return make_project(
        {
            "src/shop/pipelines/sales/__init__.py": SALES.replace("return x * 2", body),
            "conf/base/catalog.yml": entry + CATALOG.replace("raw:", "other:"),
            "conf/local/credentials.yml": json.dumps({"mine": {"password": SECRET, "port": "2"}}),
            "data/raw.json": "2",
        }
    )


def session(project: Path, **more: object) -> Session:
    return Session(str(project), "sales", ["first", "second"], "v", **more)  # type: ignore[arg-type]


def started(project: Path, env: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(SHIM), "contain", "20"],
        cwd=project,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def records(output: str) -> Iterator[dict[str, object]]:
    for line in output.split("\n"):
        if line:
            assert line[0] == SEPARATOR, line
            yield json.loads(line[1:])


@pytest.mark.parametrize("size", [0, 10, PART, 5 * PART])
def test_variables_are_small_and_hold_no_dollar(size: int) -> None:
    """Kubernetes would put another variable in the place of $(NAME)."""
    wanted = Session("/here", "p", ["n"], "v", runtime_params={"x": "$(AWS_KEY) é" + "y" * size})
    found = variables(wanted)
    assert max(map(len, found.values())) <= PART and "$" not in "".join(found.values())
    text = "".join(found[name] for name in sorted(found))
    assert Session.from_json(text).runtime_params == wanted.runtime_params


def test_what_is_too_large_says_so() -> None:
    with pytest.raises(SessionError, match=r"take 1,\d+,\d+ bytes.*load it as a dataset"):
        variables(Session("/here", "p", ["n"], "v", runtime_params={"x": "y" * MOST}))


def test_no_secret_goes_out(make_project: MakeProject, project: Path) -> None:
    """Neither logged nor printed, nor in the error. All that is written is a record."""
    wanted = replace(session(project), nodes=["first"])
    with started(project, variables(wanted)) as process:
        output, errors = process.communicate()
    said = [*records(output)]
    assert errors == "" and "hunter2" not in output
    texts = {(record.get("name"), record.get("msg")) for record in said}
    assert {("mine", "password: ***"), ("task.stdout", "printed ***")} < texts
    assert {("task.stderr", "to stderr ***"), ("task.stdout", "are left")} < texts
    assert said[-1]["ended"] == "ValueError: not ***" and process.returncode == 1


def test_a_session_in_a_container_is_one_elsewhere(make_project: MakeProject) -> None:
    project = make_project({"data/raw.json": "2"})
    with started(project, variables(session(project))) as process:
        output, _ = process.communicate()
    *_, last = records(output)
    saved = {"doubled": None, "total": "data/total.json"}
    assert last == {"ended": "", "run_id": "v", "saved": saved}
    assert process.returncode == 0
    assert (project / "data/total.json/v/total.json").read_text() == "8"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_first_process_ends_the_other(make_project: MakeProject, number: int) -> None:
    body = "print('begun', flush=True); import time; time.sleep(600)"
    sales = SALES.replace("return x * 2", body)
    project = make_project({"src/shop/pipelines/sales/__init__.py": sales, "data/raw.json": "2"})
    with started(project, variables(session(project))) as process:
        assert process.stdout
        for line in process.stdout:
            if "begun" in line:
                break
        (other,) = psutil.Process(process.pid).children()
        process.send_signal(number)
        rest = process.stdout.read()
    psutil.wait_procs([other], timeout=30)
    assert not other.is_running()
    if number == signal.SIGTERM:
        assert "ended with signal SIGTERM" in str([*records(rest)][-1]["ended"])


def test_an_image_of_other_code_says_so(make_project: MakeProject) -> None:
    project = make_project({"data/raw.json": "2"})
    made_of = code_of(project, ("src", "conf", "pyproject.toml"))
    for edited in ("conf/local/credentials.yml", "conf/airflow/airflow.yml", "src/shop/.x.py"):
        (project / edited).parent.mkdir(exist_ok=True)
        (project / edited).write_text("a: {b: c}")
    assert code_of(project, made_of[1:]) == made_of
    (project / "src/shop/more.py").touch()
    assert code_of(project, made_of[1:]) != made_of
    with started(project, variables(session(project, code=made_of))) as process:
        output, _ = process.communicate()
    said = [str(record.get("msg")) for record in records(output)]
    assert [line for line in said if line.startswith("This image holds other code")]
    assert process.returncode == 0
