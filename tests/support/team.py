"""What a team does with its project: steps of its workflows, hooks, edits."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Template
from scaffold import ROOT, run, succeed

WORKFLOW = (ROOT / "template/.github/workflows/test.yml.jinja").read_text()
TEST = yaml.safe_load(Template(WORKFLOW).render(place="worker"))
HOOKS = {
    hook["id"]: hook
    for repo in yaml.safe_load((ROOT / "template/.pre-commit-config.yaml").read_text())["repos"]
    for hook in repo["hooks"]
}
PIPELINES = "src/penguins/pipelines"
CONFLICT = "<<<<<<< before updating\nmine\n=======\ntheirs\n>>>>>>> after updating\n"


def commands(job: dict[str, Any]) -> list[str]:
    """What a workflow's job runs itself, without the actions that it uses."""
    return [step["run"] for step in job["steps"] if "run" in step]


def environment(project: Path) -> dict[str, str]:
    path = os.pathsep.join([str(project / ".venv/bin"), os.environ["PATH"]])
    # The copy's own package comes before the one that the .venv knows.
    own = os.pathsep.join(str(project / name) for name in ("src", "dags"))
    return {"PATH": path, "PYTHONPATH": own}


def step(project: Path, command: str, **env: str) -> tuple[int, str]:
    """Run a step as GitHub does; return its status and its output."""
    env = {**environment(project), "GITHUB_ENV": str(project / ".venv/github_env"), **env}
    done = run(["bash", "-e", "-c", command], project, env)
    return done.returncode, done.stdout


def hook(project: Path, name: str) -> tuple[int, str]:
    """Run a hook as pre-commit does for all files; return its status and its output.

    Kedro may send telemetry, as it may on a computer of the team.
    """
    command = shlex.split(HOOKS[name]["entry"])
    if HOOKS[name].get("pass_filenames", True):
        command += succeed(["git", "ls-files", "*.py"], project).split()
    done = run(command, project, {**environment(project), "KEDRO_DISABLE_TELEMETRY": ""})
    return done.returncode, done.stdout


def add(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as opened:
        opened.write(text)


only_example = pytest.mark.parametrize("fresh", ["example"], indirect=True)
