"""The project's README is right for what was asked for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from scaffold import python, scaffold, succeed
from team import (
    TEST,
    add,
    commands,
    step,
)


@pytest.fixture(params=["example", "empty"])
def start(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("targets", [[], ["astro"], ["mwaa"], ["astro", "mwaa", "kubernetes"]])
def test_it_speaks_of_what_is_there(tmp_path: Path, start: str, targets: list[str]) -> None:
    project = scaffold(tmp_path / "p", package_name="p", start=start, targets=targets)
    text = (project / "README.md").read_text()
    assert ("penguin" in text) is ("data_science" in text) is (start == "example")
    assert ("## Deploy it" in text) is bool(targets)
    for target in ("astro", "mwaa", "kubernetes"):
        assert (f"check --target {target}" in text) is (target in targets)
    made_later = {
        *("data/08_reporting/penguin_plot.png", "src/p/pipelines/forecasting"),
        *(
            "conf/local/credentials.yml",
            "conf/airflow/credentials.yml",
            "conf/airflow/globals.yml",
        ),
    }
    paths = set(re.findall(r"`((?:\.?\w+/)+[\w./]*|\.\w[\w.-]+|\w+\.(?:txt|json))`", text))
    assert len(paths) > 9
    assert [path for path in paths - made_later if not (project / path).exists()] == []
    assert "\n\n\n" not in text


def test_its_commands_exist(tmp_path: Path, start: str) -> None:
    project = scaffold(tmp_path / "p", start=start, targets=["astro", "mwaa", "kubernetes"])
    named = set(re.findall(r"kedro astro +(\w+)", (project / "README.md").read_text()))
    assert {"up", "check", "list"} <= named
    for name in named:
        succeed(python("dags/kedro_astro", name, "--help"), project)


@pytest.mark.projects
def test_a_pipeline_added_and_scheduled_as_it_says(project: Path) -> None:
    text = (project / "README.md").read_text()
    (create,) = re.findall(r"^\$ (uv run kedro pipeline create \w+)$", text, re.MULTILINE)
    (schedule,) = re.findall(r"```yaml\n(.+?)```", text, re.DOTALL)
    assert step(project, create)[0] == 0
    add(project / "conf/airflow/airflow.yml", schedule)
    for command in commands(TEST["jobs"]["test"]):
        status, output = step(project, command)
        assert status == 0, output
