"""What `check` says of a Dockerfile and of files of requirements that were there before."""

from __future__ import annotations

import pytest
from airflow import __version__
from click.testing import CliRunner
from kedro_astro import cli
from kedro_astro.planning.adoption import airflow_of, left_to_merge
from kedro_astro.planning.requirements import lacking
from projects import PYPROJECT, MakeProject

HERE = ".".join(__version__.split(".")[:2])
COMPILE = "RUN PYTHONPATH=dags python -m kedro_astro compile\n"
DOCKERFILE = f"FROM astrocrpublic.azurecr.io/runtime:{HERE}-1\n{COMPILE}"
WANTED = """
[project]
name = "shop"
dependencies = [
    "kedro~=1.7", "ipython", "Scikit_Learn >=1.5", "pandas[parquet]>=2; python_version > '3'",
    "pywin32; sys_platform == 'win32'", "mine @ git+https://token@example.org/mine",
]
[project.optional-dependencies]
dev = ["black"]
"""


@pytest.fixture
def check(make_project: MakeProject, monkeypatch: pytest.MonkeyPatch):
    """Return a function that says what `check` prints of a project with these files."""

    def run(files: dict[str, str]) -> str:
        project = make_project({"data/raw.json": "1", "Dockerfile": DOCKERFILE, **files})
        monkeypatch.setattr(cli, "_project", lambda: project)
        return CliRunner().invoke(cli.astro, ["check"]).output

    return run


def test_libraries_of_pyproject_alone(check) -> None:
    files = {"pyproject.toml": PYPROJECT + WANTED, "requirements.txt": "kedro\n"}
    said = check(files)
    lines = "Scikit_Learn >=1.5\npandas[parquet]>=2; python_version > '3'\nmine @ <its address>\n"
    assert f"requirements.txt lacks, and so would the image. Add to it:\n{lines}2 pipe" in said
    assert "token" not in said
    named = "--no-binary x\nkedro\nscikit.learn==1 # x\nPandas \\\n >=1\nmine\n"
    assert "0 findings" in check({**files, "requirements.txt": named})


def test_the_project_itself_is_not_to_be_installed(check) -> None:
    """Tasks run what is in `src`, so a wheel of it is older at best; and requirements.txt is
    installed before any other file of the project is copied."""
    wheel = "COPY dist /tmp/\nRUN pip install \\\n  /tmp/shop-1.0-py3-none-any.whl\n"
    said = check({"Dockerfile": DOCKERFILE + wheel, "requirements.txt": "kedro\n"})
    assert "warning: Dockerfile installs /tmp/shop-1.0-py3-none-any.whl. If that is this" in said
    said = check({"requirements.txt": "# ./x\nkedro\n-e .\n"})
    assert "error: requirements.txt installs .. If that is this project" in said
    text = "https://example.org/shop-1.0-py3-none-any.whl\nkedro\n"
    said = check({"Dockerfile": DOCKERFILE + "RUN cp ./a /b\n", "requirements.txt": text})
    assert "0 findings" in said


@pytest.mark.parametrize(
    ("requirements", "dockerfile"),
    [
        ("-r requirements/base.txt", ""),
        ("-r elsewhere.txt", ""),
        ("-r requirements.txt", ""),
        ("-e .", ""),
        (".[all]", ""),
        ("file:.", ""),
        ("x", "RUN pip install scikit-learn pandas mine"),
        ("x", "RUN pip install --no-cache-dir .[all] && rm -r x"),
        ("x", "RUN uv sync --frozen"),
        ("x", "RUN pip install -r /tmp/base.txt"),
        ("x", "COPY dist /tmp/\nRUN pip3 install \\\n  /tmp/shop-1.0-py3-none-any.whl"),
    ],
)
def test_libraries_that_come_otherwise(requirements: str, dockerfile: str) -> None:
    files = {
        "pyproject.toml": WANTED,
        "requirements.txt": f"kedro\n{requirements}\n",
        "requirements/base.txt": "-r more.txt\nmine\n",
        "requirements/more.txt": "scikit-learn\npandas\n",
        "Dockerfile": f"{DOCKERFILE}{dockerfile}\n",
    }
    assert lacking(files, "requirements.txt") == []
    files["Dockerfile"] = DOCKERFILE + "RUN cp -r . /x && echo pip install\n"
    files["requirements.txt"] = "# pandas\nkedro[pandas]\n-c mine.txt\n"
    assert len(lacking(files, "requirements.txt")) == 3


@pytest.mark.parametrize(
    "pyproject",
    [
        '[tool.poetry.dependencies]\npython = "^3.10"\nkedro = "^1.0"\npandas = {version = "*"}\n',
        '[project]\ndependencies = ["kedro", "pandas", "x; extra == \'y\'"]\n',
    ],
)
def test_other_ways_to_want_libraries(pyproject: str) -> None:
    files = {"pyproject.toml": pyproject, "requirements.txt": "kedro\n", "Dockerfile": DOCKERFILE}
    assert lacking(files, "requirements.txt") == ["pandas"]


@pytest.mark.parametrize(
    "pyproject", ["", "[", "project = 1", "[project]\ndependencies = 3", "tool = [1]"]
)
def test_a_pyproject_of_any_shape(pyproject: str) -> None:
    files = {"pyproject.toml": pyproject, "requirements.txt": "kedro\n", "Dockerfile": DOCKERFILE}
    assert lacking(files, "requirements.txt") == []


def test_what_dockerignore_leaves_out(check) -> None:
    files = {"requirements.txt": "kedro\n", "conf/airflow/catalog.yml": ""}
    said = check({**files, ".dockerignore": "conf/local/*\n*.toml\nsrc/\nconf/air*\ndags\n"})
    assert ".dockerignore leaves pyproject.toml, src/shop/pipeline_registry.py, " in said
    assert "conf/airflow/catalog.yml, dags/kedro_dags.py" in said
    assert "Correct these lines:\n*.toml\nsrc/\nconf/air*\ndags\n2 pipelines" in said
    only = "*\n!src\n!conf\n!dags\n!pyproject.toml\nconf/local/*\n**/*.pyc\n"
    assert "0 findings" in check({**files, ".dockerignore": only})


@pytest.mark.parametrize(
    ("image", "airflow"),
    [
        ("astrocrpublic.azurecr.io/runtime:3.1-2-python-3.12-base", "3.1"),
        ("--platform=linux/amd64 quay.io/astronomer/astro-runtime:13.2.0 AS base", "2.11"),
        ("quay.io/astronomer/astro-runtime:12.1.1-base", "2.10"),
        ("quay.io/astronomer/ap-airflow:2.3.0-5", "2.3"),
        ("astrocrpublic.azurecr.io/runtime", ""),
        ("astrocrpublic.azurecr.io/runtime:3-latest", ""),
        ("quay.io/astronomer/astro-runtime:1.0.0", "2.0"),
        ("x/runtime:.5", ""),
        ("python:3.12", None),
        ("${BASE}", None),
    ],
)
def test_which_airflow_an_image_has(image: str, airflow: str | None) -> None:
    assert airflow_of(f"# FROM x\nfrom {image}\nRUN true\n") == airflow


def test_another_airflow(check) -> None:
    files = {"requirements.txt": "kedro\n"}
    old = f"FROM quay.io/astronomer/astro-runtime:11.1.1\n{COMPILE}"
    said = check({**files, "Dockerfile": old})
    assert "error: the Dockerfile's Runtime has Airflow 2.9, and kedro-astro needs 2.10" in said
    other = f"FROM astrocrpublic.azurecr.io/runtime:4.0-1\n{COMPILE}"
    said = check({**files, "Dockerfile": other})
    assert f"Runtime has Airflow 4.0, and here {__version__} is installed" in said
    assert "0 findings" in check(files)


@pytest.mark.parametrize(
    "line", ["from astro import sql as aql", "  import astro.sql", "import astro"]
)
def test_the_astro_sdk_where_no_airflow_can_have_it(check, line: str) -> None:
    said = check({"requirements.txt": "kedro\n", "dags/old.py": f"try:\n{line}\n"})
    assert "error: dags/old.py imports the Astro SDK, which no Airflow after 2.10 can have" in said
    assert "ingest-data.md" in said


@pytest.mark.parametrize(("airflow", "found"), [("2.10.5", 0), ("2.11.2", 1), ("3.3.2", 1)])
def test_which_airflow_can_have_the_astro_sdk(airflow: str, found: int) -> None:
    said = left_to_merge({"dags/old.py": "import astro\n"}, airflow, deployed=False)
    assert len([*said]) == found


@pytest.mark.parametrize(
    "line", ["from astropy import units", "from kedro_astro import x", "# astro"]
)
def test_what_is_called_like_the_astro_sdk(check, line: str) -> None:
    assert "0 findings" in check({"requirements.txt": "kedro\n", "dags/old.py": f"{line}\n"})
