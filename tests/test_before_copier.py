"""What stands in the way of a copy or an update is said before anything is written."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import copier
import pytest
import yaml
from scaffold import GIT, ROOT, Releases, commit, kedro_new, python, run, scaffold, succeed, tree

pytestmark = pytest.mark.projects

COPIER = Path(sys.executable).with_name("copier")
OLDEST = ROOT / ".venv-oldest/bin/copier"
UPGRADE = (ROOT / "docs/how-to/upgrade.md").read_text()
PENGUINS = {"project_name": "Penguins", "package_name": "penguins"}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    return Releases(tmp_path_factory.mktemp("releases") / "template")


@pytest.fixture(scope="module")
def made(template: Releases, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of 0.1.0, while there is a 0.2.0. Copy it; do not change it."""
    template.release("0.1.0")
    # A folder may be called like a pattern.
    project = template.copy(tmp_path_factory.mktemp("made") / "[p]*", **PENGUINS)
    template.edit("template/.dockerignore", "logs\n", "logs\ntmp\n")
    template.edit("template/Dockerfile.jinja", "# Kedro's pipelines", "# All of Kedro's pipelines")
    (template.path / "template/new_file.txt").write_text("new\n")
    template.release("0.2.0")
    return project


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / made.name, symlinks=True)
    return tmp_path / made.name


def out_of_it(project: Path, name: str) -> None:
    """Have a link in place of a folder of the project, which is elsewhere now."""
    elsewhere = project.parent / "elsewhere" / name
    elsewhere.parent.mkdir(parents=True, exist_ok=True)
    (project / name).rename(elsewhere)
    (project / name).symlink_to(elsewhere)


def folder_for_a_file(project: Path, name: str) -> None:
    (project / name).unlink()
    (project / name).mkdir()
    (project / name / "README").touch()


def file_for_a_folder(project: Path, name: str) -> None:
    shutil.rmtree(project / name)
    (project / name).touch()


def ignored(project: Path, name: str) -> None:
    (project / ".gitignore").open("a").write("*.rej\n")
    (project / name).touch()


def link_to_nothing(project: Path, name: str) -> None:
    if (project / name).is_dir():
        shutil.rmtree(project / name)
    else:
        (project / name).unlink()
    (project / name).symlink_to("gone")


@pytest.mark.parametrize(
    ("change", "name", "says"),
    [
        (link_to_nothing, "dags", "dags is a link to gone, which is not there"),
        (link_to_nothing, "tests/dags", "tests/dags is a link to tests/gone, which is not there"),
        (link_to_nothing, "packages.txt", "packages.txt is a link to gone, which is not there"),
        (out_of_it, "dags", "dags is a link out of the project"),
        (out_of_it, "tests/dags", "tests/dags is a link out of the project"),
        (folder_for_a_file, "Dockerfile", "Dockerfile is a folder where the template has a file"),
        (folder_for_a_file, "dags/kedro_astro/errors.py", "kedro_astro/errors.py is a folder"),
        (file_for_a_folder, "plugins", "plugins is a file where the template has a folder"),
        (ignored, "notes.rej", "notes.rej is no file to Copier"),
        (ignored, "data/01_raw/x.rej", "data/01_raw/x.rej is no file to Copier"),
    ],
)
def test_an_update_that_would_stop_half_way_does_not_begin(
    project: Path, change: object, name: str, says: str
) -> None:
    assert callable(change)
    change(project, name)
    commit(project, "mine")
    refused(project, says, "update", "--defaults")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("start=empty", "start: the project has begun as example, which stays so"),
        ("package_name=birds", "package_name: an update does not rename src/penguins"),
        ("data_root=s3://b/c", "data_root: conf/airflow/globals.yml is yours: change it there"),
        ("ingestion=table", "ingestion: an update brings no DAG, for it would be yours"),
        ("pakage_name=birds", "there is no question pakage_name"),
        ("targets=astro", "targets: write a list"),
    ],
)
def test_an_answer_that_an_update_cannot_follow(project: Path, answer: str, says: str) -> None:
    refused(project, says, "update", "--defaults", "--data", answer)
    refused(project, says, "recopy", "--defaults", "--overwrite", "--data", answer)


def refused(project: Path, says: str, command: str, *options: str) -> None:
    """Have Copier refuse: in a sentence, and with everything as it was."""
    before = tree(project)
    done = run([COPIER, command, *options], project)
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert says in " ".join(done.stdout.split())
    assert tree(project) == before and not succeed([*GIT, "status", "--porcelain"], project)


def test_what_is_wrong_is_said_in_plain_words_first(project: Path) -> None:
    """Copier's own words for it read like a crash, and docs/how-to/upgrade.md says so."""
    done = run([COPIER, "update", "--defaults", "--data", "place=docker"], project)
    first, *_, last = done.stdout.strip().splitlines()
    assert first == "Nothing was written. place: take worker or venv"
    assert last.startswith("'dict object' has no attribute") and "`'dict object' has" in UPGRADE


def test_data_may_be_elsewhere(project: Path, template: Releases) -> None:
    out_of_it(project, "data")
    out_of_it(project, "conf/local")
    (project / ".gitignore").open("a").write("/data\n/conf/local\n")
    commit(project, "elsewhere")
    template.update(project)
    assert (project / "new_file.txt").is_file() and (project / "data").is_symlink()
    assert (project / "data/01_raw/penguins_raw.csv").is_file()


def test_an_existing_project_whose_data_are_elsewhere(tmp_path: Path) -> None:
    project = kedro_new(tmp_path / "old-one")
    (project / "data").mkdir(exist_ok=True)
    out_of_it(project, "data")
    (project / ".env/bin").mkdir(parents=True)  # As some call their virtual environment.
    scaffold(project, start="existing")
    assert (project / "dags/kedro_dags.py").is_file() and (project / "data").is_symlink()
    assert os.listdir(project / ".env") == ["bin"]


def test_an_existing_project_with_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    folder = tmp_path / "requirements.txt"
    folder.mkdir()
    with pytest.raises(copier.errors.UserMessageError, match=r"requirements\.txt is a folder"):
        scaffold(tmp_path, start="existing")


@pytest.mark.parametrize("answer", ["package_name=birds", "data_root=s3://b/c"])
def test_an_answer_that_an_existing_project_has_its_own_of(
    template: Releases, made: Path, tmp_path: Path, answer: str
) -> None:
    assert made.is_dir()  # There are releases.
    project = kedro_new(tmp_path / "old-one")
    says = f"{answer.partition('=')[0]}: an existing project has its own"
    succeed([*GIT, "init", "--quiet"], project)
    commit(project, "mine")
    copy = ["--data", "start=existing", "--vcs-ref=0.1.0", str(template.path), "."]
    refused(project, says, "copy", "--defaults", "--data", answer, *copy)
    succeed([COPIER, "copy", "--defaults", *copy], project)
    commit(project, "adopted")
    refused(project, says, "update", "--defaults", "--data", answer)
    refused(project, says, "recopy", "--defaults", "--overwrite", "--data", answer)
    succeed([COPIER, "update", "--defaults"], project)
    assert (project / "new_file.txt").is_file()


def test_a_package_that_you_have_renamed(project: Path) -> None:
    """The template's files follow, and the project works."""
    project = project.rename(project.with_name("birds"))  # Kedro reads no folder like the other.
    (project / "src/penguins").rename(project / "src/birds")
    for file in project.glob("src/birds/**/*.py"):
        file.write_text(file.read_text().replace("from penguins", "from birds"))
    for file in project.glob("tests/*.py"):
        file.write_text(file.read_text().replace("from penguins", "from birds"))
    commit(project, "birds")
    options = {"defaults": True, "quiet": True, "overwrite": True}
    copier.run_update(project, data={"package_name": "birds"}, **options)
    assert "penguins" not in (project / "pyproject.toml").read_text()
    assert "0 findings" in run(python("dags/kedro_astro", "check"), project).stdout


def test_another_runtime(project: Path) -> None:
    """The image and the Python of `uv sync` change alike."""
    assert (project / ".python-version").read_text() == "3.12\n"
    command = [COPIER, "update", "--defaults", "--data", "runtime=3.3-8-python-3.13"]
    succeed(command, project)
    assert (project / ".python-version").read_text() == "3.13\n"
    first = (project / "Dockerfile").read_text().splitlines()[0]
    assert first.endswith(":3.3-8-python-3.13")


def test_seeds_are_written_once(project: Path) -> None:
    """Also where all else is written again."""
    mine = {name: b"mine\n" for name in ("README.md", ".env", "src/penguins/settings.py")}
    for name, text in mine.items():
        (project / name).write_bytes(text)
    (project / "conf/base/parameters.yml").unlink()
    commit(project, "mine")
    succeed([COPIER, "recopy", "--defaults", "--overwrite"], project)
    assert tree(project).items() >= mine.items() and (project / "new_file.txt").is_file()
    assert not (project / "conf/base/parameters.yml").exists()


def test_giving_up_an_update(project: Path, template: Releases) -> None:
    """With the commands of docs/how-to/upgrade.md, beside the uncommitted work of another team."""
    mono = project.parent
    shutil.rmtree(project / ".git")
    (mono / "other.txt").write_text("")
    succeed([*GIT, "init", "--quiet"], mono)
    dockerfile = project / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace("# Kedro's pipelines", "# Mine"))
    commit(mono, "all")
    (mono / "other.txt").write_text("another team's\n")
    before = tree(mono)
    template.update(project)
    assert "<<<<<<<" in dockerfile.read_text() and (project / "new_file.txt").is_file()
    commands = ("git restore --source=HEAD --staged --worktree .", "git clean -d --force")
    for command in commands:
        assert f"$ {command}\n" in UPGRADE
        succeed(["sh", "-c", command], project)
    assert tree(mono) == before


def test_line_ends_of_windows(
    project: Path, template: Releases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A conflict is where both have changed a line, not in every line of the file."""
    config = tmp_path / "gitconfig"
    config.write_text("[core]\nautocrlf = true\n[user]\nname = t\nemail = t@example.org\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    clone = tmp_path / "clone"
    succeed([*GIT, "clone", "--quiet", project, clone], tmp_path)
    dockerfile = clone / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace("# Kedro's pipelines", "# Mine"))
    commit(clone, "mine")
    template.update(clone)
    text = dockerfile.read_bytes().decode()
    mine, _, theirs = text.partition("=======")
    assert "# Mine" in mine and "# All of Kedro's" in theirs
    assert len(text.splitlines()) < len((project / "Dockerfile").read_text().splitlines()) + 8


@pytest.mark.oldest
def test_the_oldest_copier(template: Releases, made: Path, tmp_path: Path) -> None:
    """Exactly the one that copier.yml demands."""
    demanded = yaml.safe_load((ROOT / "copier.yml").read_text())["_min_copier_version"]
    assert succeed([OLDEST, "--version"], tmp_path).strip() == f"copier {demanded}.0"
    project = tmp_path / "p"
    answers = [part for name, answer in PENGUINS.items() for part in ("--data", f"{name}={answer}")]
    old = ["--defaults", "--vcs-ref", "0.1.0", *answers, template.path]
    succeed([OLDEST, "copy", *old, project], tmp_path)
    succeed([*GIT, "init", "--quiet"], project)
    commit(project, "made")
    assert tree(project) == tree(made)
    (project / "README.md").write_text("mine\n")
    shutil.rmtree(project / "data")
    (project / "requirements.txt").open("a").write("mine\n")
    commit(project, "mine")
    refused_by_it = run([OLDEST, "update", "--defaults", "--data", "start=empty"], project)
    assert "start: the project has begun as example" in refused_by_it.stdout
    succeed([OLDEST, "update", "--defaults", "--data", "targets=[astro]"], project)
    assert (project / ".github/workflows/deploy.yml").is_file()
    assert (project / "new_file.txt").is_file() and not (project / "data").exists()
    assert (project / "README.md").read_text() == "mine\n"
    assert (project / "requirements.txt").read_text().endswith("mine\n")
    plan = project / "dags/kedro_astro/planning/plan.py"
    text = plan.read_text()
    plan.write_text("")
    repair = ["--defaults", "--overwrite", "--vcs-ref=:current:"]
    exclude = ["--exclude", "*", "--exclude", "!dags/kedro_astro"]
    succeed([OLDEST, "recopy", *repair, *exclude], project)
    assert plan.read_text() == text
