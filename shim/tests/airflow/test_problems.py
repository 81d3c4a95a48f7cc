"""`dags/kedro_problems.py`: it raises what is wrong, and builds nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from kedro_astro.airflow.manifest import COMPILED
from kedro_astro.airflow.refresh import compile
from parsing import parse
from projects import SALES, MakeProject

LOOK = """
import os
from kedro_astro.airflow.manifest import raise_problems
os.environ.update(ENV)
try:
    raise_problems(Path(sys.argv[1]))
    said = ""
except Exception as error:
    said = str(error)
print(json.dumps(said))
"""


def look(project: Path, **env: str) -> str:
    """Return what is wrong with a project."""
    return str(parse(project, LOOK.replace("ENV", repr(env))))


@pytest.mark.slow
def test_what_is_wrong_is_said_until_it_is_mended(make_project: MakeProject) -> None:
    project = make_project()
    assert look(project) == ""
    pipeline = project / "src/shop/pipelines/sales/__init__.py"
    pipeline.write_text(SALES + "raise ValueError('not today')\n")
    for _ in range(2):
        assert "not today" in look(project) and "Its 2 DAGs" in look(project)
    pipeline.write_text(SALES)
    assert look(project) == ""


def test_another_environment_is_looked_at(make_project: MakeProject) -> None:
    project = make_project({"conf/prod/airflow.yml": "sales: {retires: 1}"})
    assert look(project) == ""
    assert "retries" in look(project, KEDRO_ENV="prod")


def test_a_compiled_manifest_is_trusted(make_project: MakeProject, tmp_path: Path) -> None:
    project = make_project()
    compiled = tmp_path / "compiled.jsonl"
    compile(project, compiled)
    (project / "src/shop/pipelines/sales/__init__.py").write_text("x = (")
    assert look(project, **{COMPILED: str(compiled)}) == ""
    assert "never closed" in look(project)


@pytest.mark.parametrize("ending", ["raise SystemExit(0)", "import os; os._exit(0)"])
def test_an_import_that_ends_the_process_is_no_success(
    make_project: MakeProject, ending: str, tmp_path: Path
) -> None:
    project = make_project({"src/shop/pipelines/sales/__init__.py": ending})
    assert look(project)
    made = compile(project, tmp_path / "compiled.jsonl")
    assert made.problems and not os.path.exists(tmp_path / "compiled.jsonl")
