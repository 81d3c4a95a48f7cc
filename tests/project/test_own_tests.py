"""The project's tests that the template brings find what they are there for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from kedro_astro.__main__ import REPAIR
from scaffold import python, run, scaffold, succeed
from team import (
    CONFLICT,
    PIPELINES,
    add,
    environment,
    only_example,
)

pytestmark = pytest.mark.projects


def failing(project: Path, *arguments: str) -> str:
    command: list[str | Path] = ["python", "-m", "pytest", "-p", "no:cacheprovider"]
    env = {**environment(project), "AIRFLOW_HOME": str(project / ".kedro-astro/home")}
    done = run([*command, *arguments], project, env)
    assert done.returncode == 1, done.stdout
    return done.stdout


@only_example
def test_a_changed_shim(project: Path) -> None:
    add(project / "dags/kedro_astro/planning/plan.py", "# mine\n")
    output = failing(project, "tests/test_template.py")
    assert "1 failed, 1 passed" in output and "wrote it (planning/plan.py)" in output
    assert REPAIR in output


@only_example
def test_a_conflict(project: Path) -> None:
    add(project / "packages.txt", CONFLICT)
    output = failing(project, "tests/test_template.py")
    assert "1 failed, 1 passed" in output
    assert "\nE         packages.txt:4\nE         packages.txt:8\n" in output


@only_example
@pytest.mark.parametrize("file", ["tests/dags", ".astro/test_dag_integrity_default.py"])
def test_a_broken_pipeline(project: Path, file: str) -> None:
    add(project / PIPELINES / "reporting/nodes.py", "def (\n")
    output = failing(project, file)
    assert f"{PIPELINES}/reporting/nodes.py" in output and "SyntaxError" in output
    assert re.search(r"FAILED \S+::test_every(_dag)?_file_imports", output)


@only_example
def test_a_dag_that_is_missing(project: Path) -> None:
    (project / "dags/kedro_dags.py").write_text("# airflow, dag\n")
    assert "'reporting'" in failing(project, "tests/dags")


def test_they_need_nothing_of_a_project_that_was_there_before(tmp_path: Path) -> None:
    """No setting of pytest, no package, no installed project."""
    project = tmp_path / "old"
    names = 'package_name = "old"\nproject_name = "Old"\n'
    add(project / "pyproject.toml", f"[tool.kedro]\n{names}")
    scaffold(project, start="existing")
    command = python("-m", "pytest", "-p", "no:cacheprovider", "tests/test_template.py")
    assert "2 passed" in succeed(command, project)
