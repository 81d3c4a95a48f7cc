"""What pre-commit does at each commit."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from scaffold import ROOT, commit, succeed
from team import (
    CONFLICT,
    HOOKS,
    PIPELINES,
    add,
    hook,
    only_example,
)

pytestmark = pytest.mark.projects


def test_they_are_the_projects_own_tools() -> None:
    content = yaml.safe_load((ROOT / "template/.pre-commit-config.yaml").read_text())
    assert [repo["repo"] for repo in content["repos"]] == ["local"]
    assert {hook["language"] for hook in HOOKS.values()} == {"system"}


@pytest.mark.parametrize("name", HOOKS)
def test_they_pass_and_change_nothing(project: Path, name: str) -> None:
    add(project / "dags/kedro_astro/planning/plan.py", "import  os\n" if "ruff" in name else "")
    commit(project, "a shim that is not to be formatted")
    status, output = hook(project, name)
    assert status == 0, output
    assert succeed(["git", "status", "--porcelain"], project) == ""


@only_example
@pytest.mark.parametrize(
    "name", [".dockerignore", "pyproject.toml", "README.md", f"{PIPELINES}/__init__.py"]
)
@pytest.mark.parametrize("marks", [CONFLICT, CONFLICT.replace("before updating", "HEAD")])
def test_a_conflict_is_refused(project: Path, name: str, marks: str) -> None:
    line = len((project / name).read_text().splitlines()) + 1
    add(project / name, marks)
    succeed(["git", "add", name], project)
    status, output = hook(project, "conflicts")
    assert status == 1 and f"{name}:{line}:<<<<<<< " in output and "keep one" in output


@only_example
def test_code_is_mended_or_refused(project: Path) -> None:
    new = project / "src/penguins/new.py"
    add(new, "import sys,os\nprint(os.curdir )\n")
    succeed(["git", "add", "--all"], project)
    status, output = hook(project, "ruff-check")
    assert status == 1 and "T201" in output
    assert hook(project, "ruff-format")[0] == 0
    assert new.read_text() == "import os\n\nprint(os.curdir)\n"
    add(project / "dags/kedro_astro/planning/plan.py", "# mine\n")
    status, output = hook(project, "kedro-astro")
    assert status == 1 and "is not as the template wrote it (planning/plan.py)" in output
