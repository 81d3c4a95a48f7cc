"""`copier update`: the next version comes, and no line of yours goes."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import copier
import pytest
from kedro_astro.__main__ import CHECKSUMS, REPAIR, checksums
from scaffold import GIT, ROOT, Releases, commit, python, run, succeed, tree

pytestmark = pytest.mark.slow

NODES = "src/penguins/pipelines/reporting/nodes.py"
SHIM = "template/dags/kedro_astro"
PENGUINS = {"project_name": "Penguins", "package_name": "penguins"}


@pytest.fixture
def template(tmp_path: Path) -> Releases:
    """The template with one release, 0.1.0."""
    template = Releases(tmp_path / "template")
    template.release("0.1.0")
    return template


def next_release(template: Releases, tag: str = "0.2.0") -> None:
    """Release a version that changes, adds and removes files of every kind."""
    template.edit("template/Dockerfile.jinja", "# Kedro's pipelines", "# All of Kedro's pipelines")
    template.edit(f"{SHIM}/planning/plan.py", "", "\n# next version\n")
    template.edit("template/.dockerignore", "logs\n", "logs\ntmp\n")
    template.edit("template/{{ seeds }}/src/{{ package_name }}/settings.py", "", "# a newer seed\n")
    (template.path / "template/new_file.txt.jinja").write_text("new in {{ project_name }}\n")
    (template.path / "template/renovate.json").unlink()
    template.release(tag)


@pytest.mark.parametrize("start", ["example", "empty", "existing"])
def test_an_untouched_project_becomes_what_a_fresh_copy_is(
    template: Releases, tmp_path: Path, start: str
) -> None:
    answers = {"start": start, "project_name": "Penguins"}
    project = template.copy(tmp_path / "p", **answers)
    next_release(template)
    template.update(project)
    fresh = tree(template.copy(tmp_path / "fresh", **answers))
    updated = tree(project)
    # What is written once stays as it was written.
    seed = "src/penguins/settings.py"
    if start != "existing":
        assert updated.pop(seed) != fresh.pop(seed)
    assert updated == fresh


def test_every_release_of_this_repository_can_be_updated_from(tmp_path: Path) -> None:
    for tag in succeed(["git", "tag", "--list", "[0-9]*.*"], ROOT).split():
        old = tmp_path / tag
        succeed(["git", "clone", "--quiet", "--branch", tag, ROOT, old], tmp_path)
        project = tmp_path / f"project-{tag}"
        copier.run_copy(str(old), project, data=PENGUINS, defaults=True, quiet=True, vcs_ref=tag)
        succeed([*GIT, "init", "--quiet"], project)
        commit(project, "made")
        for name in tree(old):
            (old / name).unlink()
        template = Releases(old)
        template.release("999.0.0")
        template.update(project)
        fresh = tree(template.copy(tmp_path / f"fresh-{tag}", **PENGUINS))
        updated = tree(project)
        for name in {*fresh, *updated} - {".copier-answers.yml"}:
            if not name.startswith(SEEDS):
                assert updated.get(name) == fresh.get(name), name


SEEDS = (
    *("README.md", "src/", "conf/", "data/", "tests/test_pipelines.py", "include/"),
    "plugins/.gitkeep",
    *(".env", "airflow_settings.yaml"),
)
"""What a copy writes once; every update leaves it alone."""

COPIER = Path(sys.executable).with_name("copier")
EDITS = {
    NODES: "\n# mine\n",
    "conf/base/catalog.yml": "\nmine: {type: MemoryDataset}\n",
    "conf/base/parameters.yml": "\nmine: 1\n",
    "conf/airflow/airflow.yml": "\n# mine\n",
    "README.md": "\nmine\n",
    "requirements.txt": "mine==1.0\n",
    "Dockerfile": "RUN echo mine\n",
    "pyproject.toml": "\n[tool.mine]\n",
    ".dockerignore": "mine\n",
    "tests/test_pipelines.py": "\n# mine\n",
}


def test_every_edit_of_yours_stays(template: Releases, tmp_path: Path) -> None:
    project = template.copy(tmp_path / "p", **PENGUINS)
    for name, line in EDITS.items():
        file = project / name
        file.write_text(file.read_text() + line)
    commit(project, "mine")
    next_release(template)
    template.update(project)
    for name, line in EDITS.items():
        assert (project / name).read_text().endswith(line), name
    assert "# All of Kedro's pipelines" in (project / "Dockerfile").read_text()
    assert "\ntmp\n" in (project / ".dockerignore").read_text()
    assert (project / "dags/kedro_astro/planning/plan.py").read_text().endswith("# next version\n")


def test_what_you_deleted_stays_deleted(template: Releases, tmp_path: Path) -> None:
    project = template.copy(tmp_path / "p", **PENGUINS)
    deleted = [
        *("README.md", "data/01_raw/penguins_raw.csv", "conf/base/parameters.yml", ".env"),
        *("tests/test_pipelines.py", "airflow_settings.yaml", "plugins/.gitkeep", NODES),
        "plugins/kedro_astro_warm.py",
    ]
    for name in deleted:
        (project / name).unlink()
    shutil.rmtree(project / "src/penguins/pipelines/data_science")
    commit(project, "less")
    next_release(template)
    template.update(project)
    assert not [name for name in deleted if (project / name).exists()]
    assert not (project / "src/penguins/pipelines/data_science").exists()


def test_a_new_plugin_of_the_template_comes_beside_your_own(tmp_path: Path) -> None:
    """`plugins/` is yours, but for what is called kedro_astro there."""
    template = Releases(tmp_path / "template")
    plugin = template.path / "template/plugins/kedro_astro_warm.py"
    text = plugin.read_text()
    plugin.unlink()
    template.release("0.1.0")
    project = template.copy(tmp_path / "p", **PENGUINS)
    (project / "plugins/.gitkeep").unlink()
    mine = project / "plugins/mine.py"
    mine.write_text("# mine\n")
    commit(project, "mine")
    plugin.write_text(text)
    template.release("0.2.0")
    template.update(project)
    assert sorted(path.name for path in (project / "plugins").iterdir()) == [plugin.name, mine.name]
    assert (project / "plugins" / plugin.name).read_text() == text
    assert mine.read_text() == "# mine\n"


def test_files_that_git_ignores_are_not_touched(template: Releases, tmp_path: Path) -> None:
    project = template.copy(tmp_path / "p", **PENGUINS)
    ignored = ["ls-files", "--others", "--ignored", "--exclude-standard"]
    for name in succeed([*GIT, *ignored], project).split():
        assert name in (".env", "airflow_settings.yaml")
    mine = {
        name: f"{name} of mine\n"
        for name in (".env", "airflow_settings.yaml", "conf/local/credentials.yml", "data/x.csv")
    }
    for name, text in mine.items():
        (project / name).write_text(text)
    for name in (".env", "airflow_settings.yaml"):
        template.edit(f"template/{name}", "", "# changed by the template\n")
    next_release(template)
    template.update(project)
    assert {name: (project / name).read_text() for name in mine} == mine


def test_a_project_in_a_subfolder_of_a_repository(template: Releases, tmp_path: Path) -> None:
    mono = tmp_path / "mono"
    mono.mkdir()
    succeed([*GIT, "init", "--quiet"], mono)
    (mono / "other.txt").write_text("another team's\n")
    for name in ("one", "two"):
        copier.run_copy(str(template.path), mono / name, data=PENGUINS, defaults=True, quiet=True)
    commit(mono, "both")
    next_release(template)
    template.update(mono / "one")
    changed = succeed([*GIT, "status", "--porcelain"], mono).splitlines()
    assert changed and all(line[3:].startswith("one/") for line in changed)
    assert (mono / "one/new_file.txt").read_text() == "new in Penguins\n"


def test_an_answer_under_a_new_name(template: Releases, tmp_path: Path) -> None:
    """A question may be renamed: its default is the answer under the old name."""
    answers = {**PENGUINS, "runtime": "3.2-1-python-3.11"}
    project = template.copy(tmp_path / "p", **answers)
    template.edit("copier.yml", "\nruntime:\n", "\nastro_runtime:\n")
    template.edit(
        "copier.yml",
        "default: 3.3-8-python-3.12",
        "default: \"{{ runtime | default('3.3-8-python-3.12') }}\"",
    )
    for what in ("{{ runtime.split", "(runtime.split", "runtime.startswith"):
        template.edit("copier.yml", what, what.replace("runtime", "astro_runtime"))
    questions = template.path / "questions"
    (questions / "runtime.jinja").rename(questions / "astro_runtime.jinja")
    for name in ("questions/problem.jinja", "questions/astro_runtime.jinja", "copier.yml"):
        for old in ("'runtime'", "set runtime =", "(runtime |", "questions/runtime."):
            if old in (template.path / name).read_text():
                template.edit(name, old, old.replace("runtime", "astro_runtime"))
    template.edit("template/Dockerfile.jinja", "{{ runtime }}", "{{ astro_runtime }}")
    template.edit("template/.python-version.jinja", "runtime", "astro_runtime")
    template.release("0.2.0")
    template.update(project)
    answers_now = (project / ".copier-answers.yml").read_text()
    assert "astro_runtime: 3.2-1-python-3.11" in answers_now
    assert ":3.2-1-python-3.11\n" in (project / "Dockerfile").read_text()


def check(project: Path) -> str:
    """What `kedro astro check` says, whatever it finds."""
    return run(python("dags/kedro_astro", "check"), project).stdout


def test_a_conflict_is_visible(template: Releases, tmp_path: Path) -> None:
    """Copier itself leaves both versions in the file and says that all is well."""
    project = template.copy(tmp_path / "p", **PENGUINS)
    assert "0 findings" in check(project)
    dockerfile = project / "Dockerfile"
    mine = dockerfile.read_text().replace("# Kedro's pipelines", "# My pipelines")
    dockerfile.write_text(mine)
    commit(project, "mine")
    next_release(template)
    template.update(project)
    said = check(project)
    lines = dockerfile.read_text().splitlines()
    assert any(line.startswith("# My pipelines") for line in lines)
    first = next(number for number, line in enumerate(lines, 1) if line.startswith("<<<<<<<"))
    assert f"copier update left two versions at Dockerfile:{first}, Dockerfile:" in said


def test_an_interpreter_of_its_own_after_all(template: Releases, tmp_path: Path) -> None:
    """One answer moves the template's libraries, and `check` says what to do with yours."""
    project = template.copy(tmp_path / "p", **PENGUINS)
    requirements = project / "requirements.txt"
    requirements.write_text("mine==1.0\n" + requirements.read_text())
    commit(project, "mine")
    next_release(template)
    answer = {"place": "venv"}
    copier.run_update(project, data=answer, defaults=True, quiet=True, overwrite=True, unsafe=False)
    assert "mine==1.0\n" in requirements.read_text()
    assert "kedro~=1.7\n" in (project / "requirements-kedro.txt").read_text()
    assert "KEDRO_ASTRO_PYTHON" in (project / "Dockerfile").read_text()
    requirements.write_text("mine==1.0\nkedro~=1.7\n")
    assert "to requirements-kedro.txt" in check(project)
    commit(project, "apart")
    template.update(project)
    assert "KEDRO_ASTRO_PYTHON" in (project / "Dockerfile").read_text()


def test_a_changed_shim_is_noticed_and_one_command_repairs_it(
    template: Releases, tmp_path: Path
) -> None:
    project = template.copy(tmp_path / "p", **PENGUINS)
    plan, ui = (project / "dags/kedro_astro/planning" / name for name in ("plan.py", "ui.py"))
    loader = project / "dags/kedro_dags.py"
    loader.write_text(loader.read_text() + "# mine\n")
    before = tree(project)
    plan.write_text(plan.read_text() + "# mine\n")
    ui.write_text(ui.read_text().replace("\n", "\r\n"))  # As git may on Windows: no change.
    own = {"README.md": b"mine\n", "dags/mine.py": b"# mine\n"}
    for name, content in own.items():
        (project / name).write_bytes(content)
    (project / "data/01_raw/penguins_raw.csv").unlink()
    commit(project, "mine")
    next_release(template)  # It is not to be brought in by a repair.

    said = check(project)
    assert "is not as the template wrote it (planning/plan.py)" in said
    (command,) = (line.strip() for line in said.splitlines() if "copier recopy" in line)
    assert command.endswith(REPAIR)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    succeed(["sh", "-c", command.replace("uvx ", "")], project, {"PATH": path})

    del before["data/01_raw/penguins_raw.csv"]
    assert tree(project) == {**before, **own}
    assert "is not as the template wrote it" not in check(project)


def test_the_shims_checksums_are_those_of_its_files() -> None:
    written = (ROOT / SHIM / CHECKSUMS.name).read_text()
    assert written == checksums(), "The shim has changed: run `make lint`."


class TestMigrations:
    """The day a release cannot be merged by Copier alone."""

    @pytest.fixture
    def migrating(self, template: Releases) -> Releases:
        """0.2.0 has a migration, a script of `hooks/` that renames a setting of the user's."""
        hook = template.path / "hooks/0.2.0_rename_setting.py"
        hook.write_text(
            "from pathlib import Path\n"
            "file = Path('conf/airflow/airflow.yml')\n"
            "file.write_text(file.read_text().replace('retries:', 'attempts:'))\n"
        )
        template.edit(
            "copier.yml",
            "_subdirectory: template\n",
            "_subdirectory: template\n"
            "_migrations:\n"
            "  - version: 0.2.0\n"
            "    command: ['{{ _copier_python }}', "
            "'{{ _copier_conf.src_path }}/hooks/0.2.0_rename_setting.py']\n"
            "    when: \"{{ _stage == 'after' }}\"\n",
        )
        return template

    def test_it_needs_trust_and_runs_with_it(self, migrating: Releases, tmp_path: Path) -> None:
        project = migrating.copy(tmp_path / "p", **PENGUINS)  # 0.1.0, which is tagged already
        migrating.release("0.2.0")
        before = tree(project)
        with pytest.raises(copier.errors.UnsafeTemplateError, match="migrations"):
            migrating.update(project)
        assert tree(project) == before
        migrating.update(project, unsafe=True)
        settings = (project / "conf/airflow/airflow.yml").read_text()
        assert "attempts:" in settings and "retries:" not in settings

    def test_an_update_that_does_not_cross_it_needs_none(
        self, migrating: Releases, tmp_path: Path
    ) -> None:
        migrating.release("0.2.0")
        project = migrating.copy(tmp_path / "p", **PENGUINS)
        next_release(migrating, "0.3.0")
        migrating.update(project)
        assert (project / "new_file.txt").is_file()
        assert "retries:" in (project / "conf/airflow/airflow.yml").read_text()


class TestWhatGoesWrong:
    """What Copier says, as the docs have it."""

    def test_an_update_of_a_folder_with_uncommitted_changes(
        self, template: Releases, tmp_path: Path
    ) -> None:
        project = template.copy(tmp_path / "p", **PENGUINS)
        (project / "README.md").write_text("mine\n")
        next_release(template)
        before = tree(project)
        done = run([COPIER, "update", "--defaults"], project)
        assert done.returncode != 0 and "Traceback" not in done.stdout
        assert "Destination repository is dirty" in done.stdout
        assert tree(project) == before

    def test_answers_that_were_edited_by_hand(self, template: Releases, tmp_path: Path) -> None:
        project = template.copy(tmp_path / "p", **PENGUINS)
        answers = project / ".copier-answers.yml"
        answers.write_text(answers.read_text().replace("start: example", "start: exemple"))
        commit(project, "edited")
        next_release(template)
        before = tree(project)
        done = run([COPIER, "update", "--defaults"], project)
        assert done.returncode != 0 and "Traceback" not in done.stdout
        assert "start: take example, empty or existing" in " ".join(done.stdout.split())
        assert tree(project) == before

    def test_a_folder_that_may_not_be_written_to(self, template: Releases, tmp_path: Path) -> None:
        """Copier ends in a traceback; docs/how-to/upgrade.md says what its last line means."""
        nobodys = "/sys/kedro-astro"  # Linux lets not even root make a folder there.
        done = run([COPIER, "copy", "--defaults", template.path, nobodys], tmp_path)
        assert done.returncode != 0
        last = done.stdout.strip().splitlines()[-1]
        # The latter where all of /sys is mounted so.
        assert last.startswith(("PermissionError", "OSError: [Errno 30]")) and nobodys in last
        assert "| a traceback that ends with `PermissionError` |" in (
            (ROOT / "docs/how-to/upgrade.md").read_text()
        )

    def test_a_template_that_moved(self, template: Releases, tmp_path: Path) -> None:
        """Copier ends in a traceback; docs/how-to/upgrade.md says which line to correct."""
        project = template.copy(tmp_path / "p", **PENGUINS)
        moved = template.path.rename(tmp_path / "moved")
        before = tree(project)
        done = run([COPIER, "update", "--defaults"], project)
        assert done.returncode != 0 and "Local template must be a directory" in done.stdout
        assert tree(project) == before
        answers = project / ".copier-answers.yml"
        answers.write_text(answers.read_text().replace(str(template.path), str(moved)))
        commit(project, "moved")
        template.path = moved
        next_release(template)
        said = succeed([COPIER, "update", "--defaults"], project)
        assert "uv run kedro astro check" in said
        assert (project / "new_file.txt").is_file()
