"""Every pair of answers: rendered, linted, type-checked, parsed by Airflow, and run."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

import pytest
from scaffold import add_numbers, kedro_new, python, run_dag, scaffold, succeed

STARTS = ("example", "empty", "existing")
RUNTIMES = ("3.3-8-python-3.12", "3.1-1-python-3.13")
PLACES = ("worker", "venv")
ROOTS = ("data", "file://")
TARGETS = ((), ("astro",), ("mwaa", "kubernetes"))
ROWS = [
    ("example", RUNTIMES[0], "worker", "data", ()),
    ("example", RUNTIMES[1], "venv", "file://", ("astro",)),
    ("example", RUNTIMES[0], "worker", "file://", ("mwaa", "kubernetes")),
    ("empty", RUNTIMES[1], "venv", "file://", ()),
    ("empty", RUNTIMES[0], "worker", "data", ("astro",)),
    ("empty", RUNTIMES[1], "venv", "data", ("mwaa", "kubernetes")),
    ("existing", RUNTIMES[1], "worker", "data", ()),
    ("existing", RUNTIMES[0], "venv", "file://", ("astro",)),
    ("existing", RUNTIMES[0], "worker", "data", ("mwaa", "kubernetes")),
]


def rooted(start: str, root: str) -> dict[str, str]:
    """Return the answer for the place of the data; an existing project has its own."""
    return {} if start == "existing" else {"data_root": root}


def test_the_rows_hold_every_pair() -> None:
    factors = (STARTS, RUNTIMES, PLACES, ROOTS, TARGETS)
    for (i, one), (j, two) in itertools.combinations(enumerate(factors), 2):
        assert set(itertools.product(one, two)) == {(row[i], row[j]) for row in ROWS}


@pytest.mark.projects
@pytest.mark.parametrize(
    ("start", "place", "root"), itertools.product(STARTS, PLACES, ("data", "s3://b/c"))
)
def test_every_combination_renders(tmp_path: Path, start: str, place: str, root: str) -> None:
    for targets in ([], ["astro"], ["astro", "mwaa", "kubernetes"]):
        project = tmp_path / "-".join(["p", *targets])
        scaffold(project, start=start, place=place, targets=targets, **rooted(start, root))
        for file in project.rglob("*"):
            assert "{%" not in file.name and not file.name.endswith(".jinja")
        assert (project / "dags/kedro_astro/CHECKSUMS").is_file()


@pytest.mark.projects
@pytest.mark.parametrize(("start", "runtime", "place", "root", "targets"), ROWS)
def test_a_project_of_any_answers_works(
    tmp_path: Path, start: str, runtime: str, place: str, root: str, targets: tuple[str, ...]
) -> None:
    project = tmp_path / "some-project"
    store = project / "data" if root == "data" else tmp_path / "store"
    if start == "existing":
        kedro_new(project)
    scaffold(
        project,
        start=start,
        runtime=runtime,
        place=place,
        targets=list(targets),
        **rooted(start, "data" if root == "data" else f"file://{store}"),
    )
    home = {"AIRFLOW_HOME": str(tmp_path / "airflow"), "KEDRO_ASTRO_PYTHON": sys.executable}
    if start == "empty":
        add_numbers(project)
    if start == "example" and root != "data":
        (project / "data").rename(store)
    if start != "existing":
        succeed(python("-m", "ruff", "check", "--no-cache"), project)
        succeed(python("-m", "ruff", "format", "--check", "--no-cache"), project)
        succeed(python("-m", "mypy"), project)
    tests = (".astro/test_dag_integrity_default.py", "tests")
    succeed(python("-m", "pytest", "-p", "no:cacheprovider", *tests), project, home)
    first = (project / "Dockerfile").read_text().splitlines()[0]
    base = "-base" if place == "venv" else ""
    assert first == f"FROM astrocrpublic.azurecr.io/runtime:{runtime}{base}"
    assert (project / ".github/workflows/deploy.yml").exists() == (
        "astro" in targets and start != "existing"
    )

    run_dag(project, "some_project", tmp_path / "airflow")
    if start == "example":
        assert json.loads((store / "08_reporting/metrics.json").read_text())["accuracy"] > 0.9
    else:
        assert json.loads((project / "data/total.json").read_text()) == 84
