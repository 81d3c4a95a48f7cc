"""The scaffolded project as its team has it: its tests, tools, hooks, workflows and README."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import site
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro_astro.project import REPAIR
from scaffold import GIT, ROOT, commit, python, run, scaffold, succeed

TEST = yaml.safe_load((ROOT / "template/.github/workflows/test.yml").read_text())
HOOKS = {
    hook["id"]: hook
    for repo in yaml.safe_load((ROOT / "template/.pre-commit-config.yaml").read_text())["repos"]
    for hook in repo["hooks"]
}
UV = '#!/bin/sh\n[ "$1" = run ] || exec echo uv "$@"\nshift\nexec python -m "$@"\n'
PIPELINES = "src/penguins/pipelines"
CONFLICT = "<<<<<<< before updating\nmine\n=======\ntheirs\n>>>>>>> after updating\n"


def commands(job: dict[str, Any]) -> list[str]:
    """What a workflow's job runs itself, without the actions that it uses."""
    return [step["run"] for step in job["steps"] if "run" in step]


@pytest.fixture(scope="module", params=["example", "empty"])
def fresh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after `uv sync` and the first commit. Leave it as it is.

    Its .venv sees what is installed here, and its `uv run X` is `python -m X`.
    """
    project = tmp_path_factory.mktemp(request.param) / "penguins"
    scaffold(project, project_name="Penguins", start=request.param, targets=["astro"])
    venv = project / ".venv"
    succeed(python("-m", "venv", "--without-pip", venv), project)
    packages = next(venv.glob("lib/*/site-packages"))
    (packages / "what-is-installed-here.pth").write_text(site.getsitepackages()[0])
    (venv / "bin/uv").write_text(UV)
    (venv / "bin/uv").chmod(0o755)
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--editable"]
    succeed(python("-m", "pip", "--python", venv, "install", *options, project), project)
    succeed([*GIT, "init", "--quiet"], project)
    commit(project, "made")
    return project


@pytest.fixture
def project(fresh: Path, tmp_path: Path) -> Path:
    """A copy of it to work in, with the same .venv."""
    copy = tmp_path / "penguins"
    shutil.copytree(fresh, copy, ignore=shutil.ignore_patterns(".venv", "*.egg-info"))
    (copy / ".venv").symlink_to(fresh / ".venv")
    return copy


only_example = pytest.mark.parametrize("fresh", ["example"], indirect=True)


def environment(project: Path) -> dict[str, str]:
    path = os.pathsep.join([str(project / ".venv/bin"), os.environ["PATH"]])
    # The copy's own package comes before the one that the .venv knows.
    own = os.pathsep.join(str(project / name) for name in ("src", "dags"))
    return {"PATH": path, "PYTHONPATH": own}


def step(project: Path, command: str, **env: str) -> tuple[int, str]:
    """Run a step as GitHub does; return its status and its output."""
    env = {**environment(project), "GITHUB_ENV": str(project / ".venv/github_env"), **env}
    done = run(["bash", "-e", "-c", command], project, env)
    return done.returncode, done.stdout


def hook(project: Path, name: str) -> tuple[int, str]:
    """Run a hook as pre-commit does for all files; return its status and its output.

    Kedro may send telemetry, as it may on a computer of the team.
    """
    command = shlex.split(HOOKS[name]["entry"])
    if HOOKS[name].get("pass_filenames", True):
        command += succeed(["git", "ls-files", "*.py"], project).split()
    done = run(command, project, {**environment(project), "KEDRO_DISABLE_TELEMETRY": ""})
    return done.returncode, done.stdout


def add(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as opened:
        opened.write(text)


class TestWorkflows:
    """What GitHub does for the project."""

    @pytest.mark.slow
    @pytest.mark.parametrize("command", commands(TEST["jobs"]["test"]))
    def test_each_step_passes(self, fresh: Path, command: str) -> None:
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
    @pytest.mark.slow
    def test_each_step_fails_when_it_should(
        self, project: Path, command: str, file: str, text: str, says: str
    ) -> None:
        assert command in commands(TEST["jobs"]["test"])
        add(project / file, text)
        status, output = step(project, command)
        assert status != 0 and says in output

    def test_the_python_is_that_of_the_image(self, project: Path) -> None:
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

    def test_a_lock_is_kept_to_where_there_is_one(self, project: Path) -> None:
        (command,) = (line for line in commands(TEST["jobs"]["test"]) if "sync" in line)
        assert step(project, command) == (0, "uv sync\n")
        (project / "uv.lock").touch()
        assert step(project, command) == (0, "uv sync --locked\n")

    @pytest.mark.parametrize(
        ("targets", "names"), [([], ["test.yml"]), (["mwaa", "astro"], ["deploy.yml", "test.yml"])]
    )
    def test_they_may_read_and_pin_what_they_use(
        self, tmp_path: Path, targets: list[str], names: list[str]
    ) -> None:
        folder = scaffold(tmp_path / "p", targets=targets) / ".github/workflows"
        assert sorted(os.listdir(folder)) == names
        for name in names:
            workflow = yaml.safe_load((folder / name).read_text())
            assert workflow["permissions"] == {"contents": "read"}
            for job in workflow["jobs"].values():
                for action in (step["uses"] for step in job["steps"] if "uses" in step):
                    assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+(\.\d+\.\d+)?", action)
        assert set(TEST[True]) == {"push", "pull_request"}  # YAML takes `on` for a truth.
        assert "secrets" not in (folder / "test.yml").read_text()

    @only_example
    def test_deploying(self, project: Path) -> None:
        text = (project / ".github/workflows/deploy.yml").read_text()
        workflow = yaml.safe_load(text)
        assert set(workflow[True]) == {"workflow_dispatch"}
        with_push = yaml.safe_load(re.sub(r"# (push:|  branches:)", r"\1", text))
        assert with_push[True]["push"] == {"branches": ["main"]}
        check, deploy = workflow["jobs"]["check"], workflow["jobs"]["deploy"]
        assert deploy["needs"] == "check" and "ASTRO" not in str(check)

        *_, checks = commands(check)
        status, output = step(project, checks)
        assert status != 0 and "do not share" in output
        add(project / "conf/airflow/globals.yml", "data_root: s3://penguins/data\n")
        status, output = step(project, checks)
        assert status != 0 and "Add the line:\ns3fs\n" in output
        add(project / "requirements.txt", "s3fs\n")
        status, output = step(project, checks)
        assert status == 0, output

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


class TestHooks:
    """What pre-commit does at each commit."""

    def test_they_are_the_projects_own_tools(self) -> None:
        content = yaml.safe_load((ROOT / "template/.pre-commit-config.yaml").read_text())
        assert [repo["repo"] for repo in content["repos"]] == ["local"]
        assert {hook["language"] for hook in HOOKS.values()} == {"system"}

    @pytest.mark.slow
    @pytest.mark.parametrize("name", HOOKS)
    def test_they_pass_and_change_nothing(self, project: Path, name: str) -> None:
        add(project / "dags/kedro_astro/planning/plan.py", "import  os\n" if "ruff" in name else "")
        commit(project, "a shim that is not to be formatted")
        status, output = hook(project, name)
        assert status == 0, output
        assert succeed(["git", "status", "--porcelain"], project) == ""

    @only_example
    @pytest.mark.parametrize(
        "name", [".dockerignore", "pyproject.toml", "README.md", f"{PIPELINES}/__init__.py"]
    )
    @pytest.mark.parametrize("marks", [CONFLICT, CONFLICT.replace("before updating", "HEAD")])
    def test_a_conflict_is_refused(self, project: Path, name: str, marks: str) -> None:
        line = len((project / name).read_text().splitlines()) + 1
        add(project / name, marks)
        succeed(["git", "add", name], project)
        status, output = hook(project, "conflicts")
        assert status == 1 and f"{name}:{line}:<<<<<<< " in output and "keep one" in output

    @only_example
    @pytest.mark.slow
    def test_code_is_mended_or_refused(self, project: Path) -> None:
        new = project / "src/penguins/new.py"
        add(new, "import sys,os\nprint( os.curdir )\n")
        succeed(["git", "add", "--all"], project)
        status, output = hook(project, "ruff-check")
        assert status == 1 and "T201" in output
        assert hook(project, "ruff-format")[0] == 0
        assert new.read_text() == "import os\n\nprint(os.curdir)\n"
        add(project / "dags/kedro_astro/planning/plan.py", "# mine\n")
        status, output = hook(project, "kedro-astro")
        assert status == 1 and "is not as the template wrote it (planning/plan.py)" in output


@pytest.mark.slow
class TestOwnTests:
    """The project's tests that the template brings find what they are there for."""

    @staticmethod
    def failing(project: Path, *arguments: str) -> str:
        command: list[str | Path] = ["python", "-m", "pytest", "-p", "no:cacheprovider"]
        env = {**environment(project), "AIRFLOW_HOME": str(project / ".kedro-astro/home")}
        done = run([*command, *arguments], project, env)
        assert done.returncode == 1, done.stdout
        return done.stdout

    @only_example
    def test_a_changed_shim(self, project: Path) -> None:
        add(project / "dags/kedro_astro/planning/plan.py", "# mine\n")
        output = self.failing(project, "tests/test_template.py")
        assert "1 failed, 1 passed" in output and "\nE         planning/plan.py\n" in output
        assert REPAIR in output

    @only_example
    def test_a_conflict(self, project: Path) -> None:
        add(project / "packages.txt", CONFLICT)
        output = self.failing(project, "tests/test_template.py")
        assert "1 failed, 1 passed" in output
        assert "\nE         packages.txt:4\nE         packages.txt:8\n" in output

    @only_example
    @pytest.mark.parametrize("file", ["tests/dags", ".astro/test_dag_integrity_default.py"])
    def test_a_broken_pipeline(self, project: Path, file: str) -> None:
        add(project / PIPELINES / "reporting/nodes.py", "def (\n")
        output = self.failing(project, file)
        assert f"{PIPELINES}/reporting/nodes.py" in output and "SyntaxError" in output
        assert re.search(r"FAILED \S+::test_every(_dag)?_file_imports", output)

    @only_example
    def test_a_dag_that_is_missing(self, project: Path) -> None:
        (project / "dags/kedro_dags.py").write_text("# airflow, dag\n")
        assert "'reporting'" in self.failing(project, "tests/dags")

    def test_they_need_nothing_of_a_project_that_was_there_before(self, tmp_path: Path) -> None:
        """No setting of pytest, no package, no installed project."""
        project = tmp_path / "old"
        names = 'package_name = "old"\nproject_name = "Old"\n'
        add(project / "pyproject.toml", f"[tool.kedro]\n{names}")
        scaffold(project, start="existing")
        command = python("-m", "pytest", "-p", "no:cacheprovider", "tests/test_template.py")
        assert "2 passed" in succeed(command, project)


class TestReadme:
    """It is right for what was asked for."""

    @pytest.fixture(params=["example", "empty"])
    def start(self, request: pytest.FixtureRequest) -> str:
        return request.param

    @pytest.mark.parametrize("targets", [[], ["astro"], ["mwaa"], ["astro", "mwaa", "kubernetes"]])
    def test_it_speaks_of_what_is_there(
        self, tmp_path: Path, start: str, targets: list[str]
    ) -> None:
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

    def test_its_commands_exist(self, tmp_path: Path, start: str) -> None:
        project = scaffold(tmp_path / "p", start=start, targets=["astro", "mwaa", "kubernetes"])
        named = set(re.findall(r"kedro astro +(\w+)", (project / "README.md").read_text()))
        assert {"up", "check", "list"} <= named
        for name in named:
            succeed(python("dags/kedro_astro", name, "--help"), project)

    @pytest.mark.slow
    def test_a_pipeline_added_and_scheduled_as_it_says(self, project: Path) -> None:
        text = (project / "README.md").read_text()
        (create,) = re.findall(r"^\$ (uv run kedro pipeline create \w+)$", text, re.MULTILINE)
        (schedule,) = re.findall(r"```yaml\n(.+?)```", text, re.DOTALL)
        assert step(project, create)[0] == 0
        add(project / "conf/airflow/airflow.yml", schedule)
        for command in commands(TEST["jobs"]["test"]):
            status, output = step(project, command)
            assert status == 0, output


class TestFiles:
    """Files that other programs read."""

    def test_renovate_knows_where_to_look(self, penguins: Path) -> None:
        content = json.loads((penguins / "renovate.json").read_text())
        looks_at = {
            "copier": ".copier-answers.yml",
            "github-actions": ".github/workflows/test.yml",
            "pep621": "pyproject.toml",
            "pip_requirements": "requirements.txt",
        }
        assert content["extends"] == ["config:recommended"]
        assert sorted(content["enabledManagers"]) == sorted(looks_at)
        assert all((penguins / name).is_file() for name in looks_at.values())

    def test_the_environment_is_an_example_only(self, penguins: Path, tmp_path: Path) -> None:
        lines = (penguins / ".env.example").read_text().splitlines()
        assert all(line.startswith("#") or not line for line in lines)
        assert [line for line in lines if re.fullmatch(r"# [A-Z_]+=\S+", line)]
        shutil.copy(penguins / ".gitignore", tmp_path)
        succeed([*GIT, "init", "--quiet"], tmp_path)
        assert run(["git", "check-ignore", ".env"], tmp_path).returncode == 0
        assert run(["git", "check-ignore", ".env.example"], tmp_path).returncode == 1

    SECRETS = (
        r"-----BEGIN [A-Z ]*PRIVATE KEY",
        r"\b(AKIA|ASIA)[0-9A-Z]{16}\b",
        r"\b(gh[pousr]_|github_pat_|glpat-|xox[abprs]-|sk-|eyJ)\w{16}",
        r"://[^\s/:@]*:[^\s/@]+@",
        r"(?i)(passw(or)?d|pwd|secret|token|api_?key)\w*['\"]?\s*[:=]\s*['\"]?[\w+/-]{6}",
        r"(?<![\w+/])(?=[\w+/]*\d)(?=[\w+/]*[A-Z])[\w+/]{32,}={0,2}(?![\w+/])",
    )

    @classmethod
    def secrets(cls, folder: Path) -> list[str]:
        """Return the lines below a folder that look as if they gave something away."""
        return [
            f"{file.relative_to(folder)}: {line}"
            for file in folder.rglob("*")
            if file.is_file()
            for line in file.read_text(encoding="utf-8").splitlines()
            if any(re.search(pattern, line) for pattern in cls.SECRETS)
        ]

    def test_no_secret_is_in_any(self, tmp_path: Path) -> None:
        for start in ("example", "empty"):
            targets = ["astro", "mwaa", "kubernetes"]
            assert self.secrets(scaffold(tmp_path / start, start=start, targets=targets)) == []

    @pytest.mark.parametrize(
        "line",
        [
            "AIRFLOW_CONN_DB=postgres://reader:hunter2@db:5432/x",
            "aws_access_key_id: AKIA" + "ABCDEFGH12345678",
            "-----BEGIN RSA " + "PRIVATE KEY-----",
            "password = 'hunter2'",
            "ASTRO_API_TOKEN: abc123def",
            "key: wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzzzzzzzz",
        ],
    )
    def test_a_secret_would_be_seen(self, tmp_path: Path, line: str) -> None:
        (tmp_path / "file").write_text(f"fine: ${{{{ secrets.ASTRO_API_TOKEN }}}}\n{line}\n")
        assert self.secrets(tmp_path) == [f"file: {line}"]
