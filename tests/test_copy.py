"""`copier copy`: what a new user gets, and that nothing stands in the way of getting it."""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from kedro_astro.planning.adoption import COMPILE, FROM
from scaffold import ROOT, python, run, scaffold, succeed

ASTRO_CLI_EXPECTS = """
.astro/config.yaml .astro/dag_integrity_exceptions.txt .astro/test_dag_integrity_default.py
.dockerignore .env .gitignore Dockerfile airflow_settings.yaml dags/.airflowignore include
packages.txt plugins requirements.txt tests/dags
""".split()
KEDRO_EXPECTS = """
conf/base/catalog.yml conf/airflow/catalog.yml conf/airflow/airflow.yml conf/local
data/01_raw pyproject.toml src/penguins/pipeline_registry.py src/penguins/settings.py
""".split()
OURS = """
.copier-answers.yml README.md dags/kedro_astro/__init__.py dags/kedro_dags.py
dags/kedro_problems.py tests/test_pipelines.py
""".split()


def questions() -> dict[str, dict]:
    content = yaml.safe_load((ROOT / "copier.yml").read_text())
    return {name: value for name, value in content.items() if not name.startswith("_")}


@pytest.mark.parametrize("path", [*ASTRO_CLI_EXPECTS, *KEDRO_EXPECTS, *OURS])
def test_the_folder_is_a_kedro_project_and_an_astro_project(penguins: Path, path: str) -> None:
    assert (penguins / path).exists()


def test_no_trust_and_no_terminal_are_needed(tmp_path: Path) -> None:
    copier = Path(sys.executable).with_name("copier")
    command = [copier, "copy", "--defaults", "--vcs-ref", "HEAD"]
    succeed([*command, ROOT, tmp_path / "my-proj"], tmp_path)
    assert (tmp_path / "my-proj/src/my_proj/settings.py").is_file()


def test_at_most_six_questions_are_asked() -> None:
    whens = [str(question.get("when")) for question in questions().values()]
    only_given = "is defined }}"
    assert 1 <= sum(when != "False" and not when.endswith(only_given) for when in whens) <= 6


def test_no_key_asks_for_trust_and_no_link_is_in_the_template() -> None:
    keys = yaml.safe_load((ROOT / "copier.yml").read_text())
    assert not {"_tasks", "_jinja_extensions", "_migrations"} & set(keys)
    assert not [path for path in (ROOT / "template").rglob("*") if path.is_symlink()]


def test_every_name_is_one_that_windows_has() -> None:
    reserved = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(10))}
    paths = succeed(["git", "ls-files", "-z", "template"], ROOT).split("\0")
    assert len({path.lower() for path in paths}) == len(paths)
    for part in {part for path in paths for part in path.split("/")}:
        assert not re.search(r'[<>:"\\|?*]|[ .]$', part)
        assert part.split(".")[0].lower() not in reserved


def test_the_template_leaves_no_jinja_behind(penguins: Path) -> None:
    for path in penguins.rglob("*"):
        assert "{{" not in path.name and not path.name.endswith(".jinja")
        if path.is_file() and path.suffix in {".py", ".toml", ".md"}:
            text = path.read_text(encoding="utf-8")
            assert "{{ package_name" not in text and "{% " not in text, path


def test_the_image_is_a_literal_runtime_tag(penguins: Path) -> None:
    """The Astro CLI reads the line as text, and its `upgrade-test` rewrites it."""
    first = (penguins / "Dockerfile").read_text().splitlines()[0]
    assert first.startswith("FROM astrocrpublic.azurecr.io/runtime:3.")
    assert first.endswith(("-python-3.12", "-python-3.13")) and "$" not in first


def test_what_check_tells_others_to_add_is_what_the_template_has(penguins: Path) -> None:
    dockerfile = (penguins / "Dockerfile").read_text()
    assert dockerfile.splitlines()[0] == FROM
    for line in COMPILE.splitlines():
        assert f"\n{line}\n" in dockerfile or line.removeprefix("RUN ") in dockerfile


def test_the_image_compiles_the_manifest_from_what_dockerignore_leaves(
    penguins: Path, tmp_path: Path
) -> None:
    """The Dockerfile's own RUN line, where its own context would be."""
    context = tmp_path / "airflow"
    ignored = shutil.ignore_patterns(".git", ".kedro-astro", ".env", "airflow_settings.yaml")
    shutil.copytree(penguins, context, ignore=ignored)
    shutil.rmtree(context / "conf/local")
    (line,) = re.findall(r"(?m)^RUN ((?:.*\\\n)*.*)$", (penguins / "Dockerfile").read_text())
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    manifest = tmp_path / "manifest.jsonl"
    # The image's own settings, where its AIRFLOW_HOME would be.
    env = dict(re.findall(r"^ENV (\w+)=(.+)$", (penguins / "Dockerfile").read_text(), re.MULTILINE))
    env |= {"PATH": path, "AIRFLOW_HOME": str(context), "KEDRO_ASTRO_MANIFEST": str(manifest)}
    assert "4 pipelines of Penguins" in succeed(["sh", "-c", line], context, env)
    assert manifest.is_file()


def test_the_example_is_tested_with_what_it_asks_for(penguins: Path) -> None:
    text = (ROOT / "pyproject.toml").read_text()
    for line in (penguins / "requirements.txt").read_text().splitlines():
        assert line.startswith("#") or f'    "{line}",\n' in text


@pytest.mark.parametrize(
    ("data_root", "library"),
    [("s3://b", "s3fs"), ("gs://b/c", "gcsfs"), ("abfs://c@a.net", "adlfs")],
)
def test_an_object_store_brings_its_library(tmp_path: Path, data_root: str, library: str) -> None:
    project = scaffold(tmp_path / "p", data_root=data_root)
    assert library in (project / "requirements.txt").read_text().splitlines()
    assert (
        f"data_root: ${{data_root_or:{data_root}}}\n"
        in (project / "conf/airflow/globals.yml").read_text()
    )
    assert "data_root: ${data_root_or:data}\n" in (project / "conf/base/globals.yml").read_text()


def test_ruff_has_nothing_to_say_about_the_output(tmp_path: Path) -> None:
    # With a name that sorts elsewhere among imports than the template's own.
    project = scaffold(tmp_path / "zebras", project_name="Zebras")
    succeed(python("-m", "ruff", "check", "--no-cache"), project)
    succeed(python("-m", "ruff", "format", "--check", "--no-cache"), project)


def test_git_takes_the_project_and_ignores_what_it_must(tmp_path: Path) -> None:
    project = scaffold(tmp_path / "p")
    for secret in ("conf/local/credentials.yml", "conf/airflow/credentials.yml", ".env"):
        (project / secret).write_text("hunter2-planted")
    (project / "data/08_reporting/plot.png").write_text("made by a run")
    succeed(["git", "init", "--quiet"], project)
    succeed(["git", "add", "--all"], project)
    tracked = succeed(["git", "ls-files"], project).splitlines()
    assert "data/01_raw/penguins_raw.csv" in tracked and "conf/local/.gitkeep" in tracked
    assert not [path for path in tracked if "hunter2" in (project / path).read_text()]
    assert "data/08_reporting/plot.png" not in tracked


class TestAnswers:
    """Bad input is refused in a sentence, and nothing is written."""

    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("class", "class is a Python keyword"),
            ("json", "take another name"),
            ("airflow", "take another name"),
            ("2fast", "a letter first"),
            ("my-package", "lower-case letters"),
            ("Upper", "lower-case letters"),
            ("naïve", "lower-case letters"),
            ("", "a letter first"),
            ("a" * 61, "at most 60"),
            ("x; import os", "lower-case letters"),
            ("../outside", "lower-case letters"),
        ],
    )
    def test_package_name(self, tmp_path: Path, name: str, says: str) -> None:
        self.refused(tmp_path, f"package_name={name}", says)

    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("", "give it a name"),
            ("   ", "give it a name"),
            ('say "hi"', "use letters"),
            ("back\\slash", "use letters"),
            ("two\nlines", "use letters"),
            ("{{ 7 * 7 }}", "use letters"),
            ("n" * 61, "at most 60"),
        ],
    )
    def test_project_name(self, tmp_path: Path, name: str, says: str) -> None:
        self.refused(tmp_path, f"project_name={name}", says)

    @pytest.mark.parametrize(
        ("answer", "says"),
        [
            ("start=exemple", "start: take example, empty or existing"),
            ("runtime=latest", "such as 3.3-8-python-3.12"),
            ("runtime=3.3-8\nRUN curl evil", "such as 3.3-8-python-3.12"),
            ("runtime=2.9-1-python-3.12", "Airflow 3.1 to 3.3"),
            ("runtime=11.1.0-python-3.11", "12.11.0-python-3.11"),
            ("ingestion=sdk", "ingestion: take none, files, table, duckdb or astro-sdk"),
            ("ingestion=astro-sdk", "no Airflow after 2.10 can have it: take ingestion=table"),
            ("data_root=/etc", "write data, or a URL"),
            ("data_root=s3://key:secret@bucket", "without credentials"),
            ("data_root=s3://bucket/", "leave the / at the end out"),
            ("data_root=s3://b/${oc.env:HOME}", "write data, or a URL"),
            ("targets=[astr]", "write a list of astro, mwaa and kubernetes"),
            ("targets=astro", "such as [astro]"),
            ("targets=[astro", "such as [astro]"),
            ("targets=[[astro]]", "such as [astro]"),
            ("targets=", "such as [astro]"),
            ("proejct_name=x", "no question proejct_name; there are project_name, start"),
            ("airflow_version=2", "no question airflow_version"),
        ],
    )
    def test_other_answers(self, tmp_path: Path, answer: str, says: str) -> None:
        self.refused(tmp_path, answer, says)

    @staticmethod
    def refused(tmp_path: Path, answer: str, says: str, *more: str) -> None:
        copier = Path(sys.executable).with_name("copier")
        command = [copier, "copy", "--defaults", "--vcs-ref", "HEAD", "--data", answer, *more]
        done = run([*command, ROOT, tmp_path / "project"], tmp_path)
        assert done.returncode != 0
        assert says in " ".join(done.stdout.split())
        assert "Traceback" not in done.stdout
        assert os.listdir(tmp_path) == []

    @pytest.mark.parametrize(
        ("runtime", "ingestion", "says"),
        [
            ("12.11.0-python-3.11", "duckdb", "needs Airflow 2.11 and Python 3.11"),
            ("3.3-8-python-3.10", "duckdb", "needs Airflow 2.11 and Python 3.11"),
            ("12.11.0-python-3.11", "astro-sdk", "take place=venv as well"),
        ],
    )
    def test_ingestion_that_a_runtime_cannot_have(
        self, tmp_path: Path, runtime: str, ingestion: str, says: str
    ) -> None:
        self.refused(tmp_path, f"ingestion={ingestion}", says, "--data", f"runtime={runtime}")

    def test_every_module_of_the_standard_library_is_refused(self) -> None:
        reserved = {*(ROOT / "questions/reserved_names.jinja").read_text().split()}
        modules = {name.lower() for name in sys.stdlib_module_names if not name.startswith("_")}
        assert modules <= reserved

    @pytest.mark.parametrize(
        ("folder", "package"),
        [
            ("sales forecast", "sales_forecast"),
            ('Sales\'s "best"', "sales_s_best"),
            ("2024", "project_2024"),
            ("Zoë's café", "zo_s_caf"),
            ("日本", "kedro_project"),
            ("class", "class_project"),
            ("$(touch oops); `x`", "touch_oops_x"),
            ("{{ 1 }} {% x %}", "project_1_x"),
        ],
    )
    def test_any_folder_name_makes_a_project(
        self, tmp_path: Path, folder: str, package: str
    ) -> None:
        project = scaffold(tmp_path / folder)
        assert (project / "src" / package / "settings.py").is_file()
        assert os.listdir(tmp_path) == [folder]

    def test_a_project_in_a_folder_with_an_odd_name_works(self, tmp_path: Path) -> None:
        project = scaffold(tmp_path / 'Zoë\'s "$HOME" 日本')
        assert "reporting" in succeed(python("-m", "kedro", "registry", "list"), project)
