"""What forked processes inherit of the shim, with real forks of one that has imported Airflow."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from projects import MakeProject

TEMPLATE = Path(__file__).parents[3] / "template"
WITHOUT = shutil.ignore_patterns("__pycache__")
YELLOW, GREY, BLUE = '"#ffe366"', '"#aaaaaa"', '"#bbbbbb"'

FORKS = """
import json, os, runpy, sys
from pathlib import Path
project, other = map(Path, sys.argv[1:])
sys.argv = ["airflow", "dag-processor"]
runpy.run_path(str(project / "plugins/kedro_astro_warm.py"))["warm"]("dag-processor")

def parsed(project):
    reading, writing = os.pipe()
    if os.fork() == 0:
        # As Airflow does it in a fork.
        sys.path.append(str(project / "dags"))
        found = runpy.run_path(str(project / "dags/kedro_dags.py"))
        runpy.run_path(str(project / "dags/kedro_problems.py"))
        os.write(writing, found["shop"].tasks[0].ui_color.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        return json.dumps(said.read())

said = [parsed(project)]
shim = project / "dags/kedro_astro"
operators, problems = shim / "operators.py", shim / "problems.py"
before = operators.stat()
operators.write_text(operators.read_text().replace(said[0], '"#aaaaaa"'))
os.utime(operators, ns=(before.st_atime_ns, before.st_mtime_ns))
said.append(parsed(project))
os.utime(problems)
said += [parsed(project), parsed(other)]
print(json.dumps([said, sorted({"kedro", "kedro_astro", "pandas"} & {*sys.modules})]))
"""


def forks(project: Path, other: Path, home: Path, **env: str) -> tuple[str, list[str], list[str]]:
    """Return what a DAG processor logs, and the colour of a task in each of its parses: at first;
    after an edit that left size and time of its file as they were; after a touch of another file;
    and of another project. At last what it has imported of Kedro and ours."""
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "AIRFLOW_HOME": str(home), **env}
    done = subprocess.run(
        [sys.executable, "-c", FORKS, project, other],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *lines, last = done.stdout.splitlines()
    (log,) = (line for line in lines if "Parses start " in line)
    return (log, *json.loads(last))


@pytest.fixture
def project(make_project: MakeProject) -> Path:
    """The project `shop` with a shim of its own."""
    project = make_project()
    for folder in ("dags", "plugins"):
        shutil.copytree(TEMPLATE / folder, project / folder, ignore=WITHOUT)
    return project


@pytest.fixture
def other(project: Path, tmp_path: Path) -> Path:
    """The same with a shim that paints its tasks blue."""
    other = tmp_path / "other"
    shutil.copytree(project, other)
    file = other / "dags/kedro_astro/operators.py"
    file.write_text(file.read_text().replace(YELLOW, BLUE))
    return other


def test_a_parse_inherits_the_shim_as_long_as_it_is_the_same(
    project: Path, other: Path, tmp_path: Path
) -> None:
    """Nothing is read again, until one file is another: then all are."""
    log, colours, imported = forks(project, other, tmp_path / "airflow")
    assert "Parses start warm." in log
    assert colours == [YELLOW, YELLOW, GREY, BLUE]
    assert imported == []


def test_the_switch_is_for_parses_too(project: Path, other: Path, tmp_path: Path) -> None:
    off = {"KEDRO_ASTRO_WARM_START": "off"}
    log, colours, _ = forks(project, other, tmp_path / "airflow", **off)
    assert "Parses start cold: KEDRO_ASTRO_WARM_START is off." in log
    assert colours == [YELLOW, GREY, GREY, BLUE]


def test_a_shim_that_cannot_be_imported_stops_nothing(
    project: Path, other: Path, tmp_path: Path
) -> None:
    """Such as one that is just being replaced."""
    inherited = project / "dags/kedro_astro/inherited.py"
    inherited.write_text(
        inherited.read_text().replace("import kedro_astro.running.run", "import gone")
    )
    log, colours, _ = forks(project, other, tmp_path / "airflow")
    why = "raises ModuleNotFoundError: No module named 'gone'"
    assert f"Parses start cold: {why}." in log
    assert colours == [YELLOW, GREY, GREY, BLUE]
