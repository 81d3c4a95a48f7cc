"""The documentation: its commands run, its samples are valid, its links lead somewhere.

A page is followed in a scaffolded project as a reader would: commands are run in the order they
stand, and a sample whose first line names a file goes into that file. An HTML comment in the line
before a block says what is different with it:

- `needs an account`, `needs Docker` or `not run here: <why>` before commands,
- `refused: <words of the error>` before settings that are shown because they are wrong.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import reference
import yaml
from kedro_astro.errors import KedroAstroError
from kedro_astro.planning.plan import plan_all, wrong_settings
from kedro_astro.reading.parameters import plain
from kedro_astro.structure import Structure, from_json, to_json
from omegaconf import OmegaConf
from scaffold import ROOT, Releases, commit, python, run, succeed

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it

PAGES = ["README.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/**/*.md"))]
TUTORIAL = "docs/tutorial.md"
ADOPT = "docs/how-to/adopt.md"
UPGRADE = "docs/how-to/upgrade.md"
SETTINGS = "conf/airflow/airflow.yml"
READMES = ("README.md", "the project's README.md")

MARK = re.compile(r"<!-- (needs an account|needs Docker|not run here: .+|refused: .+) -->")

ELSEWHERE = {
    "make demo": "tests/test_up.py runs tools/demo.py",
    "make test": "it runs this",
    "uv run kedro astro up": "tests/test_up.py",
    "uv run pytest": "tests/test_project.py",
    "astro dev start": "needs Docker",
    "uv run kedro pipeline create forecasting": "tests/test_project.py",
    "uv run mypy": "tests/test_project.py",
    "uv run pre-commit install": "it would change this repository's hooks",
}
"""Commands that are not run here, and where they are."""

MADE = """
.astro/standalone .kedro-astro/warm.json
.kedro-astro/manifest.jsonl .kedro-astro/airflow .kedro-astro/airflow/standalone.log
conf/**/*credentials* conf/airflow/credentials.yml conf/local/credentials.yml conf/logging.yml
dags/my_project_dag.py data/06_models/classifier.pickle data/08_reporting/island_counts.json
data/08_reporting/metrics.json data/08_reporting/penguin_plot.png requirements-kedro.txt
""".split()
"""Files that the pages name and that are in no fresh project: a run or the user makes them."""

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


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        language: what stands behind the fence.
        mark: of the line before; see the top of this file.
        line: of the page, where its text begins.
    """

    page: str
    line: int
    language: str
    mark: str
    text: str

    @property
    def file(self) -> str | None:
        """The project's file that the first line names as where the sample goes."""
        first = re.match(r"# ([\w./-]+\.(yml|py|toml))\n", self.text)
        return first[1] if first else None

    @property
    def commands(self) -> list[tuple[str, list[str]]]:
        """Each command with the lines of output that are shown for it."""
        joined = re.sub(r"\\\n\s*", "", self.text)
        found: list[tuple[str, list[str]]] = []
        for line in joined.splitlines():
            if line.startswith("$ "):
                found.append((re.sub(r"\s+#.*", "", line[2:]), []))
            else:
                found[-1][1].append(line)
        return found

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: str, text: str) -> list[Block]:
    lines = text.splitlines()
    found: list[Block] = []
    start: int | None = None
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if start is None:
            start = number
            continue
        before = lines[start - 1]
        mark = MARK.fullmatch(before)
        assert mark or not before.startswith("<!--"), f"{page}:{start}: no such mark: {before}"
        body = "".join(f"{line}\n" for line in lines[start + 1 : number])
        found.append(Block(page, start + 2, lines[start][3:], mark[1] if mark else "", body))
        start = None
    assert start is None, f"{page}: a block has no end"
    return found


def read(page: str | Path) -> str:
    """Return the text of a file of this repository, or of one with an absolute path."""
    return (ROOT / page).read_text(encoding="utf-8")


BLOCKS = [block for page in PAGES for block in blocks_of(page, read(page))]
COMMANDS = [block for block in BLOCKS if block.language == "console"]
FOLLOWED = sorted({b.page for b in COMMANDS if not b.mark and b.page not in READMES})


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    """The template as a repository with one release: "<address of this repository>"."""
    template = Releases(tmp_path_factory.mktemp("docs") / "template")
    template.release("0.1.0")
    return template


@pytest.fixture(scope="session")
def fresh(template: Releases, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tutorial's project as it is made, committed. Copy it; do not change it.

    Its nodes do nothing and import nothing: no page but the tutorial runs them, and their libraries
    would be most of what these tests cost.
    """
    project = template.copy(tmp_path_factory.mktemp("docs") / "my-project")
    for file in project.glob("src/*/pipelines/*/nodes.py"):
        names = re.findall(r"(?m)^def (\w+)", file.read_text())
        file.write_text("".join(f"def {name}(*inputs):\n    pass\n" for name in names))
    commit(project, "nothing to do")
    return project


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
            "[kedro.project_commands]\nastro = kedro_astro.cli.commands:commands\n"
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


def put(block: Block, project: Path) -> None:
    """Write a sample into its file: to the end of YAML, instead of anything else.

    Settings of how-to pages stand each for itself; those of the tutorial add up.
    """
    file = project / str(block.file)
    file.parent.mkdir(parents=True, exist_ok=True)
    adds = block.language == "yaml" and (block.file != SETTINGS or block.page == TUTORIAL)
    before = file.read_text() + "\n" if adds and file.exists() else ""
    if block.language != "toml":
        file.write_text(before + block.text)


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


def shown_settings(folder: Path, fresh: Path) -> Iterator[tuple[Block, Structure]]:
    """Yield each sample of airflow.yml with the structure of the project it is shown for."""
    structures: dict[str, Structure] = {}
    for page in PAGES:
        project = folder / page / "my-project"
        shutil.copytree(fresh, project)
        for block in BLOCKS:
            if block.page != page or not block.file or block.language == "toml":
                continue
            if block.file == SETTINGS:
                # Read once for all pages that have changed nothing of it so far.
                files = [*project.glob("conf/*/catalog.yml"), *project.glob("src/**/*.py")]
                key = repr(sorted((str(f.relative_to(project)), read(f)) for f in files))
                if key not in structures:
                    structures[key] = structure_of(project)
                yield block, structures[key]
                continue
            put(block, project)
            if block.file.endswith("/pipeline.py"):  # Kedro has made the rest of the folder.
                init = (project / block.file).with_name("__init__.py")
                init.write_text("from .pipeline import create_pipeline\n")


def structure_of(project: Path) -> Structure:
    manifest = project / "manifest.jsonl"
    succeed(python("dags/kedro_astro", "compile", manifest), project)
    return from_json(json.loads(manifest.read_bytes().splitlines()[1]))


@pytest.fixture(scope="session")
def samples(fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Block, Structure]]:
    """Each sample of airflow.yml with the structure that its project has with it."""
    found = []
    for block, structure in shown_settings(tmp_path_factory.mktemp("samples"), fresh):
        settings = plain(OmegaConf.to_container(OmegaConf.create(block.text)))
        with_them = dataclasses.replace(structure, settings=settings, settings_file=SETTINGS)
        said = " ".join(what_is_wrong(with_them))
        if refused := re.match("refused: (.+)", block.mark):
            assert refused[1] in said, f"{block} is refused otherwise: {said or 'it is valid'}"
        else:
            assert not said, f"{block}: {said}"
            found.append((block, with_them))
    return found


def what_is_wrong(structure: Structure) -> list[str]:
    """What `kedro astro check` would say of the settings, but for what Airflow says of them."""
    wrong = wrong_settings(structure)
    plans = {} if wrong else plan_all(structure)
    return wrong + [str(plan) for plan in plans.values() if isinstance(plan, KedroAstroError)]


def test_settings_that_are_shown_are_valid(samples: list[tuple[Block, Structure]]) -> None:
    assert len(samples) > 10


BUILD = """
import json, sys
from pathlib import Path
from kedro_astro.airflow.verdict import judge
from kedro_astro.planning.blueprint import blueprints
from kedro_astro.structure import from_json
for place, structure in json.load(sys.stdin):
    made, refused = blueprints(from_json(structure))
    for verdict in judge(made, Path.cwd()):
        if not verdict.blueprint:
            print(place, verdict.refusal)
"""


def test_airflow_takes_the_settings_that_are_shown(
    samples: list[tuple[Block, Structure]], fresh: Path, tmp_path: Path
) -> None:
    """In one process, because it is Airflow that takes its time to be imported."""
    project = tmp_path / "my-project"
    shutil.copytree(fresh, project)
    for block in BLOCKS:
        if block.language == "python" and block.file:
            put(block, project)
    (tmp_path / "samples.json").write_text(
        json.dumps([(str(block), to_json(structure)) for block, structure in samples])
    )
    env = {"AIRFLOW_HOME": str(tmp_path / "airflow"), "PYTHONPATH": str(project / "dags")}
    command = [
        "sh",
        "-c",
        'exec "$0" -c "$1" <"$2"',
        sys.executable,
        BUILD,
        tmp_path / "samples.json",
    ]
    assert succeed(command, project, env) == ""


def test_other_samples_can_be_read() -> None:
    for block in BLOCKS:
        if block.language == "python":
            compile(block.text, str(block), "exec")
        elif block.language == "yaml":
            assert block.file, f"{block}: name the file in a comment in the first line"
            content = yaml.safe_load(block.text)
            if block.file.endswith("catalog.yml"):
                assert all("type" in entry for entry in content.values()), str(block)
        elif block.language == "toml":
            tomllib.loads(block.text)


def headings(text: str) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    titles = re.findall(r"(?m)^#+ (.+)$", re.sub(r"(?ms)^```.*?^```", "", text))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = re.sub(r"(?ms)^```.*?^```", "", read(page))
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = (ROOT / page).parent / name if name else ROOT / page
        assert file.exists(), f"{page} links to {target}"
        if anchor:
            assert anchor in headings(file.read_text(encoding="utf-8")), f"{page}: {target}"


def test_every_page_is_linked_from_the_readme() -> None:
    linked = re.findall(r"\]\((docs/[^)]+\.md)\)", read("README.md"))
    assert {*linked} == {page for page in PAGES if page != "README.md"}


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_names_exist(page: str, fresh: Path) -> None:
    """In the project, in this repository, or among what a run or the user makes."""
    folders = (
        r"(?:src|conf|data|dags|tests|include|plugins|docs|tools|hooks|\.astro|\.kedro-astro)/"
    )
    text = re.sub(r"(?ms)^```.*?^```", "", read(page))
    for name in re.findall(rf"`({folders}[^`\s]*|[\w.-]+\.(?:toml|txt|yaml))`", text):
        pattern = name.rstrip("/")
        places = (fresh, fresh / "tests", fresh / "conf/airflow", ROOT)
        there = any(any(place.glob(pattern)) for place in places)
        assert there or pattern in MADE, f"{page} names {name}"


@pytest.mark.parametrize("path", reference.pages(), ids=lambda path: path.name)
def test_the_reference_is_that_of_the_code(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == reference.pages()[path], "Run `make docs`."
