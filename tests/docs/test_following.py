"""The documentation's commands: each page is followed.

That is done in a scaffolded project as a reader would: commands are run in the order they
stand, and a sample whose first line names a file goes into that file. An HTML comment in the line
before a block says what is different with it:

- `needs an account`, `needs Docker` or `not run here: <why>` before commands,
- `refused: <words of the error>` before settings that are shown because they are wrong."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from pages import BLOCKS, COMMANDS, FOLLOWED, PAGES, READMES, TUTORIAL, Block, blocks_of, put, read
from scaffold import ROOT, Releases, commit, run

ADOPT = "docs/how-to/adopt.md"
UPGRADE = "docs/how-to/upgrade.md"
ELSEWHERE = {
    "make demo": "tests/test_up.py runs tools/demo.py",
    "make test": "it runs this",
    "uv run kedro astro up": "tests/test_up.py",
    "uv run pytest": "tests/project/test_workflows.py",
    "astro dev start": "needs Docker",
    "uv run kedro pipeline create forecasting": "tests/project/test_readme.py",
    "uv run mypy": "tests/project/test_workflows.py",
    "uv run pre-commit install": "it would change this repository's hooks",
}
"""Commands that are not run here, and where they are."""
STAND_INS = {
    # What uv would install is in this interpreter's environment already.
    "uv": """
case "$1" in
  sync) ;;
  run) shift; PYTHONPATH="{installed}:$PWD/dags" exec "$@";;
  *) echo "the stand-in for uv does not know $1" >&2; exit 2;;
esac
""",
    # Nobody is there to answer Copier's questions.
    "uvx": 'tool=$1; what=$2; shift 2; exec "$tool" "$what" --defaults "$@"\n',
}


class Reader:
    """Somebody who does what a page says.

    Args:
        place: the folder they start in.
        tools: a folder for what stands in for programs that would use the network.
        address: of the template.
    """

    def __init__(self, place: Path, tools: Path, address: Path) -> None:
        self.place = place
        self.address = address
        # What an installed project's entry point does; tests/test_example.py installs one.
        installed = tools / "installed"
        package = installed / "project-0.dist-info"
        package.mkdir(parents=True)
        (package / "METADATA").write_text("Metadata-Version: 2.1\nName: project\nVersion: 0\n")
        (package / "entry_points.txt").write_text(
            "[kedro.project_commands]\nastro = kedro_astro.cli:commands\n"
        )
        for name, script in STAND_INS.items():
            file = tools / name
            file.write_text("#!/bin/sh\n" + script.replace("{installed}", str(installed)))
            file.chmod(0o755)
        (tools / "gitconfig").write_text("[user]\nname = t\nemail = t@example.org\n")
        self.where = tools / "where"
        self.env = {
            "PATH": os.pathsep.join(
                [str(tools), str(Path(sys.executable).parent), os.environ["PATH"]]
            ),
            "GIT_CONFIG_GLOBAL": str(tools / "gitconfig"),
            "COLUMNS": "80",
        }

    def follow(self, page: str) -> None:
        for block in BLOCKS:
            if block.page != page:
                continue
            if block.language == "console" and not block.mark:
                for command, shown in block.commands:
                    self.execute(block, command, shown)
            elif block.file:
                put(block, self.place)

    def execute(self, block: Block, command: str, shown: list[str]) -> None:
        """Run a command, which fails only if an error is shown, and look for what is shown."""
        assert command not in ELSEWHERE, f"{block} needs a mark: {ELSEWHERE[command]}"
        line = command.replace("<address of this repository>", str(self.address))
        line += f'\nstatus=$?; pwd >"{self.where}"; exit $status'
        done = run(["sh", "-c", line], self.place, self.env)
        said = f"{block}: $ {command}\n{done.stdout}"
        expected = any(line.lower().startswith("error") for line in shown)
        assert (done.returncode != 0) == expected, said
        rest = iter([words(line) for line in done.stdout.splitlines()])
        for line in shown:
            assert line == "..." or words(line) in rest, (
                f"does not print {line!r}, or not here\n{said}"
            )
        self.place = Path(self.where.read_text().strip())


def words(line: str) -> str:
    return " ".join(line.split())


@pytest.fixture
def reader(template: Releases, fresh: Path, tmp_path: Path) -> Callable[[str], Reader]:
    """Return a function that puts a reader where a page begins."""

    def where(page: str) -> Reader:
        address, place = template.path, tmp_path / "work"
        place.mkdir()
        project = place / "my-project"
        if page == UPGRADE:
            make_of_an_older_release(project, tmp_path / "template")
        elif page != TUTORIAL:
            shutil.copytree(fresh, project)
        if page == ADOPT:
            make_as_before_adoption(project, place / "my-astro-project")
        begins_outside = page in (TUTORIAL, ADOPT)
        return Reader(place if begins_outside else project, tmp_path / "tools", address)

    return where


def make_as_before_adoption(project: Path, astro: Path) -> None:
    """A Kedro project with some files of an image, and an Astro project with a DAG."""
    for name in ("dags", ".astro", "include", "plugins", "conf/airflow", "tests/dags"):
        shutil.rmtree(project / name)
    for name in (".copier-answers.yml", "packages.txt", "airflow_settings.yaml"):
        (project / name).unlink()
    (astro / "dags").mkdir(parents=True)
    (astro / "dags/mine.py").write_text("# an Airflow dag\n")
    for folder, requirement in (project, "pandas"), (astro, "apache-airflow-providers-http"):
        (folder / "Dockerfile").write_text("FROM astrocrpublic.azurecr.io/runtime:3.3-8\n")
        (folder / "requirements.txt").write_text(f"{requirement}\n")
        (folder / ".dockerignore").write_text(".git\n")
    commit(project, "before")


def make_of_an_older_release(project: Path, place: Path) -> None:
    template = Releases(place)
    template.release("0.1.0")
    template.copy(project)
    template.edit("template/.dockerignore", "logs\n", "logs\ntmp\n")
    template.release("0.2.0")


@pytest.mark.slow
@pytest.mark.parametrize("page", FOLLOWED)
def test_following_a_page(page: str, reader: Callable[[str], Reader]) -> None:
    someone = reader(page)
    someone.follow(page)
    if page == UPGRADE:
        assert (someone.place / ".dockerignore").read_text().count("\ntmp\n") == 1


WITH_ANSWERS = sorted(
    {c for b in COMMANDS for c, _ in b.commands if c.startswith("uvx copier") and " --data " in c}
    | {c for page in PAGES for c in re.findall(r"`(uvx copier[^`]* --data [^`.]*)`", read(page))}
)
"""Also those in blocks that are not run where they stand."""


@pytest.mark.projects
@pytest.mark.parametrize("command", WITH_ANSWERS)
def test_answers_are_taken_as_they_are_printed(
    command: str, template: Releases, tmp_path: Path
) -> None:
    someone = Reader(tmp_path / "work", tmp_path / "tools", template.path)
    someone.place.mkdir()
    # Copier keeps what it has fetched from an address, and another test has that one as well.
    someone.env["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    # `shim=package` has pip fetch the template, and takes no folder for that.
    address = "https://example.org/kedro-astro"
    instead = f'[url "{template.path}"]\n\tinsteadOf = {address}\n'
    (tmp_path / "tools/gitconfig").open("a").write(instead)
    command = command.replace("<address of this repository>", f"git+{address}")
    if command.startswith("uvx copier update"):
        copy = f"uvx copier copy --quiet git+{address} my-project"
        for line in (copy, "cd my-project", "git init --quiet", "git add --all"):
            someone.execute(BLOCKS[0], line, [])
        someone.execute(BLOCKS[0], "git commit --quiet --message made", [])
    someone.execute(BLOCKS[0], command, [])
    answer = re.findall(r"--data '?(\w+)=\[?([^\s\]']+)", command)
    (answers,) = someone.place.glob("**/.copier-answers.yml")
    found = yaml.safe_load(answers.read_text())
    for name, value in answer:
        assert value in found[name], f"{name} is {found[name]}"


def test_every_command_of_a_readme_is_run_somewhere(penguins: Path) -> None:
    """They are those of the pages that are followed, in fewer words."""
    followed = [block for block in COMMANDS if block.page in FOLLOWED and not block.mark]
    ran = {command for block in followed for command, _ in block.commands}
    theirs = blocks_of(READMES[1], (penguins / "README.md").read_text(encoding="utf-8"))
    for block in [*COMMANDS, *theirs]:
        if block.page in READMES and block.language == "console" and not block.mark:
            for command, _ in block.commands:
                assert command in ran | ELSEWHERE.keys(), (
                    f"{block}: nothing runs `{command}`. Use it in a page of docs/, add it to "
                    "ELSEWHERE with the test that does, or mark the block."
                )


def test_a_mark_names_a_test_that_there_is() -> None:
    for block in BLOCKS:
        for name in re.findall(r"tests/[\w/]+\.py", block.mark):
            assert (ROOT / name).is_file(), f"{block}: there is no {name}"
