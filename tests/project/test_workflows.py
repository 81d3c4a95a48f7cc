"""What GitHub does for the project."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml
from scaffold import scaffold, succeed
from team import (
    TEST,
    add,
    commands,
    only_example,
    step,
)

pytestmark = pytest.mark.projects


@pytest.mark.parametrize("command", commands(TEST["jobs"]["test"]))
def test_each_step_passes(fresh: Path, command: str) -> None:
    status, output = step(fresh, command)
    assert status == 0, output
    assert "failed" not in output and "skipped" not in output


@only_example
@pytest.mark.parametrize(
    ("command", "file", "text", "says"),
    [
        ("uv run ruff check", "src/penguins/new.py", "import os\n", "F401"),
        ("uv run ruff format --check", "src/penguins/new.py", "a  = 1\n", "new.py"),
        ("uv run mypy", "src/penguins/new.py", "def f():\n    return 1 + ''\n", "[operator]"),
        ("uv run mypy", "tests/test_new.py", "def test():\n    ''.nothing\n", "[attr-defined]"),
        ("uv run pytest", "tests/test_new.py", "def test():\n    assert 0\n", "1 failed"),
        ("uv run kedro astro check", "conf/airflow/airflow.yml", "defalut: {}\n", "default"),
    ],
)
def test_each_step_fails_when_it_should(
    project: Path, command: str, file: str, text: str, says: str
) -> None:
    assert command in commands(TEST["jobs"]["test"])
    add(project / file, text)
    status, output = step(project, command)
    assert status != 0 and says in output


def test_the_python_is_that_of_the_image(project: Path) -> None:
    (command,) = (line for line in commands(TEST["jobs"]["test"]) if "UV_PYTHON" in line)
    image = "astrocrpublic.azurecr.io/runtime:3.3-8"
    lines = {
        "-python-3.13": "UV_PYTHON=3.13\n",
        "-python-3.12-base": "UV_PYTHON=3.12\n",
        "": "",
    }
    for tag, said in lines.items():
        (project / "Dockerfile").write_text(f"FROM {image}{tag}\nRUN echo -python-3.10\n")
        step(project, command, GITHUB_ENV=str(project / "said"))
        assert (project / "said").read_text() == said
        (project / "said").unlink()


def test_a_lock_is_kept_to_where_there_is_one(project: Path) -> None:
    (command,) = (line for line in commands(TEST["jobs"]["test"]) if "sync" in line)
    assert step(project, command) == (0, "uv sync\n")
    (project / "uv.lock").touch()
    assert step(project, command) == (0, "uv sync --locked\n")


@pytest.mark.parametrize(
    ("targets", "names"), [([], ["test.yml"]), (["mwaa", "astro"], ["deploy.yml", "test.yml"])]
)
def test_they_may_read_and_pin_what_they_use(
    tmp_path: Path, targets: list[str], names: list[str]
) -> None:
    folder = scaffold(tmp_path / "p", targets=targets) / ".github/workflows"
    assert sorted(os.listdir(folder)) == names
    for name in names:
        workflow = yaml.safe_load((folder / name).read_text())
        assert workflow["permissions"] == {"contents": "read"}
        for job in workflow["jobs"].values():
            for action in (part["uses"] for part in job["steps"] if "uses" in part):
                assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+(\.\d+\.\d+)?", action)
    assert set(TEST[True]) == {"push", "pull_request"}  # YAML takes `on` for a truth.
    assert "secrets" not in (folder / "test.yml").read_text()


@only_example
def test_deploying(project: Path) -> None:
    text = (project / ".github/workflows/deploy.yml").read_text()
    workflow = yaml.safe_load(text)
    assert set(workflow[True]) == {"workflow_dispatch"}
    with_push = yaml.safe_load(re.sub(r"# (push:|  branches:)", r"\1", text))
    assert with_push[True]["push"] == {"branches": ["main"]}
    check, deploy = workflow["jobs"]["check"], workflow["jobs"]["deploy"]
    assert deploy["needs"] == "check" and "ASTRO" not in str(check)

    *_, checks, compiles = commands(check)
    status, output = step(project, checks)
    assert status != 0 and "do not share" in output
    add(project / "conf/airflow/globals.yml", "data_root: s3://penguins/data\n")
    status, output = step(project, checks)
    assert status != 0 and "Add the line:\ns3fs\n" in output
    add(project / "requirements.txt", "s3fs\n")
    status, output = step(project, checks)
    assert status == 0, output

    # Whether the image gets dags/ or not, it finds a manifest.
    status, output = step(project, compiles)
    assert status == 0, output
    (brought,) = (each["with"] for each in deploy["steps"] if "download" in each.get("uses", ""))
    assert (project / brought["path"] / "manifest.jsonl").is_file()
    succeed(["git", "check-ignore", "dags/manifest.jsonl"], project)

    (looks,) = commands(deploy)
    known = {"ASTRO_API_TOKEN": "t", "ASTRO_DEPLOYMENT": "d"}
    assert deploy["env"] == {
        "ASTRO_API_TOKEN": "${{ secrets.ASTRO_API_TOKEN }}",
        "ASTRO_DEPLOYMENT": "${{ vars.ASTRO_DEPLOYMENT }}",
    }
    assert step(project, looks, **known) == (0, "")
    for name in known:
        status, output = step(project, looks, **{**known, name: ""})
        assert status == 1 and f"{name} is not set" in output
