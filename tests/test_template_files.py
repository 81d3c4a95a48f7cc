"""What `kedro astro check` says of a scaffolded project's own files, the shim's included."""

from __future__ import annotations

import re
import shutil
import site
import sys
from pathlib import Path

import pytest
from kedro_astro.__main__ import REPAIR
from kedro_astro.cli.integrity import MANAGED
from scaffold import GIT, Releases, append, commit, python, run, succeed, tree
from team import CONFLICT

pytestmark = pytest.mark.slow

SEEDS = ("README", "src/", "conf/", "data/", "include/", "airflow_settings", ".env", "plugins/.git")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adopted project as a git repository. Copy it; do not change it."""
    template = Releases(tmp_path_factory.mktemp("template"))
    template.release("0.1.0")
    return template.copy(tmp_path_factory.mktemp("made") / "p", start="empty", project_name="P")


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "p", symlinks=True))


def check(project: Path, *interpreter: str) -> str:
    return run([*(interpreter or (sys.executable,)), "dags/kedro_astro", "check"], project).stdout


def test_what_would_hurt_an_update(project: Path) -> None:
    assert "update" not in check(project)
    append(project / ".gitignore", "Dockerfile\nplanning\n.astro/c*\n")
    succeed([*GIT, "rm", "-rq", "--cached", "Dockerfile", "dags/kedro_astro/planning"], project)
    (project / "packages.txt").write_bytes(b"# caf\xe9\nacl\n")
    commit(project, "mine")
    said = check(project)
    assert "warning: git ignores Dockerfile, dags/kedro_astro/planning/__init__.py, " in said
    assert "Do `git add --force` with each" in said
    assert ".astro/" not in said  # What git knows already it does not ignore.
    assert "packages.txt has bytes that are no UTF-8" in said
    assert said.count("warning") == 3  # the pipeline without nodes is one
    shutil.rmtree(project / ".git")
    assert "git ignores" not in check(project)
    (project / ".copier-answers.yml").unlink()
    assert "update" not in check(project)


def test_what_is_managed(made: Path) -> None:
    """All that a scaffolded project has, but what is written once and the shim's other files."""
    managed = {path for pattern in MANAGED for path in made.glob(pattern)}
    known = {path.relative_to(made).as_posix() for path in managed}
    theirs = {name for name in tree(made) if not name.startswith((*SEEDS, "dags/kedro_astro/"))}
    # Only a new project has these of the template.
    theirs -= {".gitignore", "pyproject.toml", ".pre-commit-config.yaml", "renovate.json"}
    theirs -= {".gitattributes", ".python-version"}
    assert {name for name in theirs if not name.startswith(".github")} <= known


def test_a_damaged_file_of_the_shim_is_named(project: Path) -> None:
    shim = project / "dags/kedro_astro"
    files = [path for path in sorted(shim.rglob("*.py")) if path.name != "__main__.py"]
    damages = [
        CONFLICT.encode(),
        b"\0\xff",
        b"",
        b"import nothing_of_the_kind\n",
        b"1 / 0\n",
        b"(" * 500,
    ]
    # One of each room at least; all of them take two minutes.
    for number, file in enumerate(files[::6]):
        before = file.read_bytes()
        file.write_bytes(damages[number % len(damages)])
        done = run(python("dags/kedro_astro", "check"), project)
        assert f"kedro_astro is not as the template wrote it ({file.relative_to(shim)})" in (
            done.stdout
        ), done.stdout
        assert REPAIR in done.stdout and "Traceback" not in done.stdout and done.returncode == 1
        file.write_bytes(before)


def test_conflicts_in_the_files_that_it_reads(project: Path) -> None:
    names = ["dags/kedro_astro/errors.py", "pyproject.toml", "requirements.txt", "Dockerfile"]
    before = (project / names[0]).read_bytes()
    for name in names:
        (project / name).write_bytes(CONFLICT.encode() + (project / name).read_bytes())
    assert "is not as the template wrote it (errors.py)" in check(project)
    (project / names[0]).write_bytes(before)
    said = check(project)
    for name in names[1:]:
        assert re.search(rf"left two versions at .*\b{name}:1, ", said)


def test_an_interpreter_that_has_neither_kedro_nor_airflow(project: Path, tmp_path: Path) -> None:
    succeed(python("-m", "venv", "--without-pip", tmp_path / "bare"), tmp_path)
    said = check(project, str(tmp_path / "bare/bin/python"))
    assert "Traceback" not in said and "No module named 'click'. Take the interpreter" in said


@pytest.mark.parametrize("lost", ["src", "conf", "pyproject.toml"])
def test_a_build_that_lacks_something(project: Path, lost: str) -> None:
    (project / lost).rename(project / "elsewhere")
    env = {"KEDRO_ASTRO_MANIFEST": "built/manifest.jsonl", "PYTHONPATH": "dags"}
    done = run(python("-m", "kedro_astro", "compile"), project, env)
    assert done.returncode == 1
    assert lost in done.stdout and ".dockerignore" in done.stdout


def test_where_airflow_is_to_be_installed(project: Path, tmp_path: Path) -> None:
    """By the group that the template writes, if the project has it."""
    succeed(python("-m", "venv", "--without-pip", tmp_path / "no"), tmp_path)
    (packages,) = tmp_path.glob("no/lib/*/site-packages")
    here = "\n".join(site.getsitepackages())
    (packages / "all.pth").write_text(f"{here}\nimport sys; sys.modules['airflow'] = None\n")
    up = [tmp_path / "no/bin/python", "dags/kedro_astro", "up"]
    assert "uv sync --group airflow" in run(up, project).stdout
    (project / "pyproject.toml").write_text("[tool.kedro]\n")
    said = run(up, project).stdout
    assert "`uv pip install 'apache-airflow~=3.3.0'`" in said and "--group" not in said
