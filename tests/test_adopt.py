"""`copier copy` into a folder where somebody has worked already: nothing of theirs changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scaffold import (
    GIT,
    ROOT,
    Releases,
    add_numbers,
    commit,
    kedro_new,
    python,
    run,
    run_dag,
    scaffold,
    succeed,
    tree,
)

pytestmark = pytest.mark.slow

GENERATED = """
from airflow.sdk import dag, task
from kedro.framework.session import KedroSession
"""
OWN_SETTINGS = "default: {schedule: '@weekly', retries: 2}\nsums: {owner: ada}\n"
COMPILE = "RUN PYTHONPATH=dags python -m kedro_astro compile"


@pytest.fixture
def existing(tmp_path: Path) -> Path:
    """What `kedro new` makes, with a pipeline in it, as a git repository."""
    return under_git(kedro_new(tmp_path / "old-one"))


def under_git(project: Path) -> Path:
    succeed([*GIT, "init", "--quiet"], project)
    commit(project, "before")
    return project


def adopt(project: Path, **answers: object) -> Path:
    """Copy the template onto the project; no file that git knew may change."""
    before = tree(project)
    scaffold(project, **{"start": "existing", **answers})
    assert tree(project).items() >= before.items()
    return project


def check(project: Path) -> str:
    return run(python("dags/kedro_astro", "check"), project).stdout


def runs(project: Path, dag_id: str, tmp_path: Path) -> bool:
    """Whether Airflow imports all DAG files, and the DAG's tasks give what the nodes should."""
    home = tmp_path / "airflow"
    tests = [".astro/test_dag_integrity_default.py", "tests/dags"]
    options = ["-p", "no:cacheprovider", "-o", "addopts="]
    succeed(python("-m", "pytest", *options, *tests), project, {"AIRFLOW_HOME": str(home)})
    run_dag(project, dag_id, home)
    return json.loads((project / "data/total.json").read_text()) == 84


def test_what_kedro_new_makes(existing: Path, tmp_path: Path) -> None:
    adopt(existing)
    assert "0 findings" in check(existing)
    assert runs(existing, "old_one.sums", tmp_path)


@pytest.mark.oldest
def test_what_the_oldest_kedro_makes(tmp_path: Path) -> None:
    project = kedro_new(tmp_path / "old-one", ROOT / ".venv-oldest/bin/python")
    under_git(project)
    adopt(project)
    assert "0 findings" in check(project)
    assert runs(project, "old_one.sums", tmp_path)


def test_another_source_dir(existing: Path, tmp_path: Path) -> None:
    (existing / "src").rename(existing / "code")
    pyproject = existing / "pyproject.toml"
    text = pyproject.read_text()
    pyproject.write_text(text.replace('source_dir = "src"', 'source_dir = "code"'))
    commit(existing, "moved")
    assert runs(adopt(existing), "old_one.sums", tmp_path)


def test_a_project_of_requirements_txt_only(existing: Path, tmp_path: Path) -> None:
    names = ("package_name", "project_name", "kedro_init_version", "source_dir")
    lines = (existing / "pyproject.toml").read_text().splitlines()
    kept = [line for line in lines if line.startswith(names)]
    (existing / "pyproject.toml").write_text("\n".join(["[tool.kedro]", *kept, ""]))
    commit(existing, "no package")
    assert runs(adopt(existing), "old_one.sums", tmp_path)


def test_a_user_of_kedro_airflow(existing: Path, tmp_path: Path) -> None:
    """Their airflow.yml counts as it is, and they hear which files are in the way now."""
    mine = {"conf/airflow/airflow.yml": OWN_SETTINGS, "dags/old_one_sums_dag.py": GENERATED}
    for name, text in mine.items():
        (existing / name).parent.mkdir()
        (existing / name).write_text(text)
    commit(existing, "kedro-airflow")
    adopt(existing)
    assert "dags/old_one_sums_dag.py runs Kedro by itself" in check(existing)
    assert not (existing / "conf/airflow/catalog.yml").exists()
    assert runs(existing, "old_one.sums", tmp_path)
    show = (
        "import sys; sys.path.insert(0, 'dags'); import kedro_dags\n"
        "dag = vars(kedro_dags)['old_one.sums']; print(dag.schedule, dag.tasks[0].owner)"
    )
    assert "@weekly ada" in succeed(python("-c", show), existing)


def test_where_passwords_may_stand(existing: Path) -> None:
    """The owner's .gitignore does not know that file of the Astro CLI, so none comes."""
    adopt(existing)
    assert not (existing / "airflow_settings.yaml").exists()
    (existing / "airflow_settings.yaml").write_text("airflow: {connections: []}\n")
    assert "error: .gitignore lets airflow_settings.yaml and its passwords" in check(existing)
    (existing / ".gitignore").open("a").write("airflow_settings.yaml\n")
    assert "0 findings" in check(existing)


def test_own_files_with_the_names_of_ours(existing: Path) -> None:
    mine = {
        "Dockerfile": "FROM python:3.12\n",
        ".dockerignore": "data\n",
        "requirements.txt": "pandas\n",
    }
    for name, text in mine.items():
        (existing / name).write_text(text)
    commit(existing, "docker")
    said = check(adopt(existing))
    assert "the Dockerfile does not start from Astro's Runtime" in said
    assert ".dockerignore lets conf/local, with its credentials, into the image" in said
    assert "requirements.txt does not name kedro" in said


def test_an_astro_project_gets_a_kedro_side(tmp_path: Path) -> None:
    project = tmp_path / "weather"
    astro_dev_init = {
        "Dockerfile": "FROM astrocrpublic.azurecr.io/runtime:3.2-1\n",
        "requirements.txt": "# Providers\napache-airflow-providers-http\n",
        "packages.txt": "curl\n",
        ".dockerignore": "astro\n.git\n.env\nairflow_settings.yaml\nlogs/\n.venv\n",
        ".gitignore": ".git\n.env\nairflow_settings.yaml\n__pycache__/\n",
        ".astro/config.yaml": "project:\n  name: weather\n",
        "dags/exampledag.py": "from airflow.sdk import DAG\nDAG('example')\n",
        "README.md": "Overview\n",
    }
    for name, text in astro_dev_init.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    under_git(project)
    adopt(project, start="empty")
    said = check(project)
    assert "Add these two lines:\nENV KEDRO_ASTRO_MANIFEST=" in said and COMPILE in said
    assert "requirements.txt does not name kedro" in said
    assert ".gitignore lets conf/local and other credentials into git" in said
    # What it says, done:
    dockerfile, requirements = project / "Dockerfile", project / "requirements.txt"
    start = said.index("ENV KEDRO")
    dockerfile.write_text(dockerfile.read_text() + said[start : said.index(COMPILE)] + COMPILE)
    requirements.write_text(requirements.read_text() + "kedro\n")
    for name in (".dockerignore", ".gitignore"):
        ignore = project / name
        ignore.write_text(ignore.read_text() + "conf/local/*\n!conf/local/.gitkeep\n")
    assert "error" not in check(project)
    add_numbers(project)
    assert runs(project, "weather.sums", tmp_path)


def test_an_update_of_an_adopted_project(tmp_path: Path) -> None:
    """It brings the shim and leaves alone what was never the template's."""
    template = Releases(tmp_path / "template")
    template.release("0.1.0")
    project = under_git(kedro_new(tmp_path / "old-one"))
    own = tree(project)
    (project / "Dockerfile").write_text("FROM mine\n")
    commit(project, "docker")
    template.copy(project, start="existing")
    template.edit("template/dags/kedro_astro/planning/plan.py", "", "\n# next version\n")
    template.edit("template/{{ seeds }}/README.md.jinja", "", "\nnext version\n")
    template.release("0.2.0")
    template.update(project)
    assert tree(project).items() >= {**own, "Dockerfile": b"FROM mine\n"}.items()
    assert (project / "dags/kedro_astro/planning/plan.py").read_text().endswith("# next version\n")
