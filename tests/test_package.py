"""The shim as a package: a project whose requirements name it, in place of its files.

tests/test_package_image.py has it in an image.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from scaffold import (
    GIT,
    ROOT,
    Releases,
    add_numbers,
    commit,
    python,
    run,
    run_dag,
    succeed,
    tree,
)
from test_own_python import venv

pytestmark = pytest.mark.slow

COPIER = Path(sys.executable).with_name("copier")
ADDRESS = "https://git.example.org/team/template.git"
LINE = f"kedro-astro @ git+{ADDRESS}@{{}}#subdirectory=shim\n"
PACKAGE = {"shim": "package", "project_name": "Penguins", "package_name": "penguins"}
SHIM = "template/dags/kedro_astro"


class Template(Releases):
    """Releases that git finds at an address, without a network."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "template.git")
        link = self.path / "shim/src/kedro_astro"
        link.parent.mkdir(exist_ok=True)
        link.symlink_to("../../template/dags/kedro_astro")
        hosts = (
            *("https://git.example.org/", "https://reader:hunter2@git.example.org/"),
            *("ssh://git@git.example.org/", "git@git.example.org:", "https://github.com/"),
        )
        settings = [(f"{host}team/", f"url.{folder}/.insteadOf") for host in hosts]
        self.env = {
            "GIT_CONFIG_COUNT": str(len(settings)),
            "COPIER_CACHE_DIR": str(folder / "cache"),
        }
        for number, (value, key) in enumerate(settings):
            self.env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}

    @classmethod
    def released(cls, folder: Path) -> Template:
        """Return one with a release, 0.1.0."""
        template = cls(folder)
        template.release("0.1.0")
        return template

    def copied(self, project: Path, address: str = ADDRESS, **answers: str) -> Path:
        data = [part for item in answers.items() for part in ("--data", "=".join(item))]
        command = [COPIER, "copy", "--quiet", "--defaults", *data, address, project]
        succeed(command, project.parent, self.env)
        succeed([*GIT, "init", "--quiet"], project)
        commit(project, "made")
        return project

    def updated(self, project: Path, *options: str) -> None:
        commit(project, "before")
        succeed([COPIER, "update", "--quiet", "--defaults", *options], project, self.env)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return Template.released(tmp_path_factory.mktemp("team"))


@pytest.fixture(scope="module")
def made(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has the package. Read it; do not change it."""
    return template.copied(tmp_path_factory.mktemp("made") / "penguins", **PACKAGE)


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "penguins")


@pytest.fixture(scope="module")
def site(template: Template, made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pip makes of the line in the project's requirements, and nothing else."""
    folder = tmp_path_factory.mktemp("site")
    (line,) = (text for text in requirements(made).splitlines() if text.startswith("kedro-astro"))
    # Setuptools is here, so it need not be fetched.
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--target", folder]
    succeed(python("-m", "pip", "install", *options, line), made, template.env)
    return folder


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This interpreter with the package."""
    monkeypatch.setenv("PYTHONPATH", str(site))
    return site


def requirements(project: Path, name: str = "requirements.txt") -> str:
    return (project / name).read_text()


def check(project: Path) -> str:
    return run(python("-m", "kedro", "astro", "check"), project).stdout


@pytest.mark.parametrize("place", ["worker", "venv"])
def test_a_project_has_the_thin_files_and_a_line(
    template: Template, tmp_path: Path, place: str
) -> None:
    project = template.copied(tmp_path / "p", **PACKAGE, place=place)
    assert sorted(os.listdir(project / "dags")) == [
        ".airflowignore",
        "airflow.schema.json",
        "kedro_dags.py",
        "kedro_problems.py",
    ]
    assert os.listdir(project / "plugins") == [".gitkeep"]
    assert LINE.format("0.1.0") in requirements(project)
    if place == "venv":
        assert LINE.format("0.1.0") in requirements(project, "requirements-kedro.txt")
    assert {"acl", "git"} <= {*requirements(project, "packages.txt").splitlines()}
    # The package brings the command.
    pyproject = requirements(project, "pyproject.toml")
    assert "entry-points" not in pyproject and "dags/kedro_astro" not in pyproject
    succeed(python("-m", "ruff", "check", "--no-cache"), project)
    succeed(python("-m", "ruff", "format", "--check", "--no-cache"), project)


def test_the_package_is_the_shim_and_nothing_else(site: Path) -> None:
    def files(folder: Path) -> dict[str, bytes]:
        return {name: text for name, text in tree(folder).items() if "__pycache__" not in name}

    assert files(site / "kedro_astro") == files(ROOT / SHIM)
    names = {name.partition("-")[0] for name in os.listdir(site)}
    assert names == {"kedro_astro"}
    (metadata,) = site.glob("*.dist-info")
    # With place=venv one interpreter has no Kedro, the other no Airflow.
    assert "Requires-Dist" not in (metadata / "METADATA").read_text()
    points = (metadata / "entry_points.txt").read_text()
    assert "[kedro.project_commands]\nastro = kedro_astro.cli:commands\n" in points
    assert "kedro_astro_warm = kedro_astro.airflow.plugin:KedroAstroWarm\n" in points


def test_all_of_it_works(installed: Path, project: Path, tmp_path: Path) -> None:
    assert "0 findings" in check(project)
    add_numbers(project)
    assert "penguins.sums" in succeed(python("-m", "kedro", "astro", "list"), project)
    # Kedro's commands work below the project, too.
    assert "penguins.sums" in succeed(python("-m", "kedro_astro", "list"), project / "conf/base")
    home = tmp_path / "airflow"
    run_dag(project, "penguins.sums", home)
    assert json.loads((project / "data/total.json").read_text()) == 84
    options = ["-p", "no:cacheprovider", ".astro/test_dag_integrity_default.py", "tests/dags"]
    said = succeed(
        python("-m", "pytest", *options, "tests/test_template.py"),
        project,
        {"AIRFLOW_HOME": str(home)},
    )
    assert "5 passed" in said


def test_the_image_compiles_its_manifest(installed: Path, project: Path, tmp_path: Path) -> None:
    text = (project / "Dockerfile").read_text()
    (line,) = (run for run in re.findall(r"(?m)^RUN ((?:.*\\\n)*.*)$", text) if "compile" in run)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    line = line.replace("PYTHONPATH=dags", f"PYTHONPATH=dags:{installed}")
    env = {"PATH": path, "KEDRO_ASTRO_MANIFEST": str(tmp_path / "manifest.jsonl")}
    assert "4 pipelines of Penguins" in succeed(["sh", "-c", line], project, env)


def test_libraries_of_airflow_are_not_for_the_projects_own_interpreter(
    template: Template, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are in the folder of the package, which the other interpreter is told to load."""
    project = template.copied(tmp_path / "p", **PACKAGE, start="empty", place="venv")
    add_numbers(project)
    nodes = project / "src/penguins/pipelines/sums/__init__.py"
    asks = "    from importlib.util import find_spec\n    assert not find_spec('of_airflow')\n"
    nodes.write_text(
        nodes.read_text().replace("    return 2 * number", f"{asks}    return 2 * number")
    )
    libraries = shutil.copytree(site, tmp_path / "libraries")
    (libraries / "of_airflow.py").touch()
    own = venv(tmp_path / "own", "import sys; sys.modules['airflow'] = None")
    airflow = venv(tmp_path / "airflow", f"{libraries}\nimport sys; sys.modules['kedro'] = None")
    monkeypatch.setenv("KEDRO_ASTRO_PYTHON", str(own))
    monkeypatch.setattr(sys, "executable", str(airflow))
    run_dag(project, "penguins.sums", tmp_path / "home")
    assert json.loads((project / "data/total.json").read_text()) == 84


class TestCheck:
    def test_requirements_that_do_not_name_it(self, installed: Path, project: Path) -> None:
        text = requirements(project).replace(LINE.format("0.1.0"), "")
        (project / "requirements.txt").write_text(text)
        said = check(project)
        assert "error: requirements.txt does not name kedro-astro" in said
        (project / "requirements.txt").write_text(f"kedro_astro==0.1.0\n{text}".replace("_", "-"))
        assert "0 findings" in check(project)

    def test_two_of_it(self, installed: Path, project: Path) -> None:
        shutil.copytree(ROOT / SHIM, project / "dags/kedro_astro")
        assert "error: kedro_astro is installed, and Airflow takes it rather than dags/" in check(
            project
        )

    def test_a_changed_one(self, site: Path, project: Path, monkeypatch, tmp_path: Path) -> None:
        changed = shutil.copytree(site, tmp_path / "changed")
        with (changed / "kedro_astro/planning/plan.py").open("a") as file:
            file.write("# mine\n")
        monkeypatch.setenv("PYTHONPATH", str(changed))
        said = check(project)
        assert "kedro_astro is not as the template wrote it (planning/plan.py)" in said
        assert "uv sync --reinstall-package kedro-astro" in said

    def test_outside_of_a_project(self, installed: Path, tmp_path: Path) -> None:
        done = run(python("-m", "kedro_astro", "check"), tmp_path)
        assert done.returncode == 1 and "Traceback" not in done.stdout
        assert "is in no project" in done.stdout and "Change into your project" in done.stdout


OWN = {
    "requirements.txt": "mine==1.0\n",
    "packages.txt": "libmine\n",
    "pyproject.toml": "\n[tool.mine]\n",
    "Dockerfile": "RUN echo mine\n",
}
"""Lines that an owner adds at the end of files of the template."""


class TestUpdate:
    @pytest.fixture
    def template(self, tmp_path: Path) -> Template:
        return Template.released(tmp_path)

    def test_there_and_back(self, template: Template, tmp_path: Path) -> None:
        answers = {name: text for name, text in PACKAGE.items() if name != "shim"}
        project = template.copied(tmp_path / "p", **answers)
        for name, line in OWN.items():
            with (project / name).open("a") as file:
                file.write(line)
        (project / "plugins/mine.py").touch()
        before = tree(project)
        template.updated(project, "--data", "shim=package")
        assert not (project / "dags/kedro_astro/project.py").exists()
        assert not (project / "plugins/kedro_astro_warm.py").exists()
        assert (project / "plugins/mine.py").exists()
        assert LINE.format("0.1.0") in requirements(project)
        for name, line in OWN.items():
            assert requirements(project, name).endswith(line), name
        template.updated(project, "--data", "shim=dags")
        assert tree(project) == {
            **before,
            ".copier-answers.yml": tree(project)[".copier-answers.yml"],
        }

    def test_the_next_version(self, template: Template, tmp_path: Path) -> None:
        project = template.copied(tmp_path / "p", **PACKAGE)
        (project / "requirements.txt").write_text(requirements(project) + "mine==1.0\n")
        template.edit("template/.dockerignore", "logs\n", "logs\ntmp\n")
        template.release("0.2.0")
        template.updated(project)
        fresh = tree(template.copied(tmp_path / "fresh", **PACKAGE))
        fresh["requirements.txt"] += b"mine==1.0\n"
        assert LINE.format("0.2.0").encode() in fresh["requirements.txt"]
        assert tree(project) == fresh

    def test_between_two_releases(self, template: Template, tmp_path: Path) -> None:
        """`git describe` makes a name that not every git takes for a commit."""
        template.edit("template/.dockerignore", "logs\n", "logs\ntmp\n")
        commit(template.path, "next")
        project = tmp_path / "p"
        command = [COPIER, "copy", "--quiet", "--defaults", "--vcs-ref", "HEAD"]
        succeed([*command, "--data", "shim=package", ADDRESS, project], tmp_path, template.env)
        commit_id = succeed(["git", "rev-parse", "HEAD"], template.path).strip()
        assert LINE.format(commit_id) in requirements(project)


class TestAddress:
    @pytest.mark.parametrize(
        ("given", "named"),
        [
            ("gh:team/template", "https://github.com/team/template"),
            ("git+https://git.example.org/team/template.git", ADDRESS),
            (
                "git@git.example.org:team/template.git",
                "ssh://git@git.example.org/team/template.git",
            ),
            (
                "ssh://git@git.example.org/team/template.git",
                "ssh://git@git.example.org/team/template.git",
            ),
        ],
    )
    def test_as_pip_takes_it(
        self, template: Template, tmp_path: Path, given: str, named: str
    ) -> None:
        project = template.copied(tmp_path / "p", address=given, **PACKAGE)
        assert f"kedro-astro @ git+{named}@0.1.0#" in requirements(project)

    def test_a_folder_of_this_machine_is_none(self, template: Template, tmp_path: Path) -> None:
        self.refused(template, tmp_path, str(template.path))

    def test_a_password_is_for_no_file(self, template: Template, tmp_path: Path) -> None:
        address = ADDRESS.replace("//", "//reader:hunter2@")
        self.refused(template, tmp_path, address)

    @staticmethod
    def refused(template: Template, tmp_path: Path, address: str) -> None:
        command = [COPIER, "copy", "--defaults", "--data", "shim=package", address]
        done = run([*command, tmp_path / "p"], tmp_path, template.env)
        assert done.returncode != 0 and "Traceback" not in done.stdout
        said = " ".join(done.stdout.split())
        assert "shim: package takes a template from https:// or ssh://, without a password" in said
        assert not (tmp_path / "p").exists()
