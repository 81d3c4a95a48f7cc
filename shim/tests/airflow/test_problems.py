"""`dags/kedro_problems.py`: it raises what is wrong, and looks at nothing twice that was well."""

from __future__ import annotations

import os
from pathlib import Path

from kedro_astro.airflow import manifest
from parsing import parse
from projects import SALES, MakeProject

LOOK = """
import os
from kedro_astro.airflow import dags
from kedro_astro.airflow import problems
looked = []
whole = dags.raise_problems
dags.raise_problems = lambda project: looked.append(1) or whole(project)
os.environ.update(ENV)
try:
    problems.raise_problems(Path(sys.argv[1]))
    said = ""
except Exception as error:
    said = str(error)
print(json.dumps([bool(looked), said]))
"""


def look(project: Path, **env: str) -> tuple[bool, str]:
    """Return whether the DAGs were built to see what is wrong, and what is."""
    looked, said = parse(project, LOOK.replace("ENV", repr(env)))
    return looked, said


def test_what_was_well_is_looked_at_again_only_after_an_edit(make_project: MakeProject) -> None:
    project = make_project()
    assert [look(project), look(project)] == [(True, ""), (False, "")]
    pipeline = project / "src/shop/pipelines/sales/__init__.py"
    pipeline.write_text(SALES + "raise ValueError('not today')\n")
    for _ in range(2):
        looked, said = look(project)
        assert looked and "not today" in said
    pipeline.write_text(SALES)
    assert [look(project), look(project)] == [(True, ""), (False, "")]


def test_another_environment_is_looked_at(make_project: MakeProject) -> None:
    project = make_project({"conf/prod/.gitkeep": ""})
    assert look(project) == (True, "")
    assert look(project, KEDRO_ENV="prod") == (True, "")


def test_a_compiled_manifest_is_looked_at_once(make_project: MakeProject, tmp_path: Path) -> None:
    project = make_project()
    compiled = tmp_path / "compiled.json"
    manifest.load(project)
    content = (manifest.cache_folder(project) / "manifest.jsonl").read_text()
    compiled.write_text(content)
    env = {manifest.COMPILED: str(compiled)}
    assert [look(project, **env), look(project, **env)] == [(True, ""), (False, "")]
    os.utime(compiled, ns=(1, 1))
    assert look(project, **env) == (True, "")


def test_a_note_that_cannot_be_read_is_none(make_project: MakeProject) -> None:
    project = make_project()
    assert look(project) == (True, "")
    (manifest.cache_folder(project) / "well.json").write_text("[1")
    assert look(project) == (True, "")
