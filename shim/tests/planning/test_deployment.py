"""`kedro astro check --target`: what a deployment would lack that this machine has."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import pytest
from airflow import __version__
from click.testing import CliRunner
from kedro_astro import cli
from kedro_astro.planning.deployment import in_image
from projects import CATALOG, SALES, MakeProject

AIRFLOW = ".".join(__version__.split(".")[:2])
OF_ASTRO = {
    "Dockerfile": (
        f"FROM astrocrpublic.azurecr.io/runtime:{AIRFLOW}-8-python-3.12\n"
        "RUN PYTHONPATH=dags python -m kedro_astro compile\n"
    ),
    "requirements.txt": "kedro\n",
    "packages.txt": "",
    ".astro/config.yaml": "project:\n  name: shop\n",
    ".dockerignore": ".env*\ndata\nconf/local/*\n**/*credentials*\n",
    "data/raw.json": "1",
}
IN_A_STORE = {
    **OF_ASTRO,
    "requirements.txt": "kedro\ns3fs>=2024.6  # for the bucket\n",
    "conf/base/catalog.yml": CATALOG.replace("data/", "s3://bucket/"),
}
PICKLES = """
"{dataset}":
  type: pickle.PickleDataset
  filepath: data/02_intermediate/${runtime_params:airflow_run,local}/{dataset}.pickle
"""
NAMED = {
    **IN_A_STORE,
    "conf/base/catalog.yml": (
        IN_A_STORE["conf/base/catalog.yml"]
        + "more: {type: pandas.SQLTableDataset, table_name: x, credentials: store}\n"
    ),
    "conf/airflow/.gitkeep": "",
}
"""A dataset names credentials."""

Check = Callable[..., list[str]]


@pytest.fixture
def check(make_project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Return a function that says what `check` finds in a project with these files."""

    def run(files: Mapping[str, str], target: str = "astro") -> list[str]:
        project = make_project(dict(files))
        monkeypatch.setattr(cli, "_project", lambda: project)
        done = CliRunner().invoke(cli.astro, ["check", "--json", "--target", target])
        found = json.loads(done.output)
        assert done.exit_code == any(finding["level"] == "error" for finding in found)
        return [f"{finding['level']}: {finding['what']}" for finding in found]

    return run


def one(found: list[str]) -> str:
    (finding,) = found
    return finding


def test_a_project_that_keeps_its_data_in_a_store(check: Check) -> None:
    assert check(IN_A_STORE) == []


class TestData:
    def test_each_dataset_on_a_disk_is_named(self, check: Check) -> None:
        """Declared, versioned, or from a pattern; once, although two DAGs have it."""
        doubled, raw, total = check({**OF_ASTRO, "conf/airflow/catalog.yml": PICKLES})
        assert "doubled is at data/02_intermediate/<run>/doubled.pickle" in doubled
        assert "task first saves it, task second loads it" in doubled
        assert "raw is at data/raw.json" in raw and "the image has no such file" in raw
        assert "total is at data/total.json" in total
        assert "what task second saves is lost with its worker" in total
        for finding in (doubled, raw, total):
            assert finding.startswith("error: ") and "in conf/airflow/globals.yml" in finding

    def test_partitions_and_two_formats_of_one_file(self, check: Check) -> None:
        catalog = """
            raw: {type: partitions.PartitionedDataset, path: data/raw, dataset: json.JSONDataset}
            doubled@json: {type: json.JSONDataset, filepath: data/doubled.json}
            doubled@text: {type: text.TextDataset, filepath: data/doubled.json}
            total: {type: json.JSONDataset, filepath: file:///mnt/total.json}
        """
        pipeline = SALES.replace('"raw", "doubled"', '"raw", "doubled@json"')
        pipeline = pipeline.replace('"doubled", "total"', '"doubled@text", "total"')
        files = {
            "conf/base/catalog.yml": catalog,
            "src/shop/pipelines/sales/__init__.py": pipeline,
            "data/raw/one.json": "1",
        }
        doubled, raw, total = check({**OF_ASTRO, **files})
        assert "doubled is at data/doubled.json" in doubled and "task second loads it" in doubled
        assert "raw is at data/raw" in raw and "total is at file:///mnt/total.json" in total

    def test_what_one_task_keeps_for_itself_may_stay(self, check: Check) -> None:
        """A pickle of the run between two nodes of one task; but not what only it declares."""
        files = {
            "conf/airflow/catalog.yml": PICKLES,
            "conf/airflow/airflow.yml": "default: {grouping: pipeline}\n",
        }
        assert check({**IN_A_STORE, **files}) == []
        doubled = "doubled: {type: json.JSONDataset, filepath: data/doubled.json}\n"
        catalog = IN_A_STORE["conf/base/catalog.yml"] + doubled
        assert "doubled is at data/doubled.json" in one(
            check({**IN_A_STORE, **files, "conf/base/catalog.yml": catalog})
        )

    def test_the_last_output_of_a_pipeline_is_a_result(self, check: Check) -> None:
        catalog = "raw: {type: json.JSONDataset, filepath: s3://bucket/raw.json}\n"
        files = {
            "conf/base/catalog.yml": catalog,
            "conf/airflow/catalog.yml": PICKLES,
            "conf/airflow/airflow.yml": "default: {grouping: pipeline}\n",
        }
        assert "total is at data/02_intermediate/<run>" in one(check({**IN_A_STORE, **files}))

    def test_a_pipeline_that_is_no_dag_has_no_data_there(self, check: Check) -> None:
        files = {"conf/base/airflow.yml": "pipelines: {exclude: ['*']}\n"}
        assert check({**OF_ASTRO, **files}) == []

    def test_a_file_that_the_image_brings(self, check: Check) -> None:
        catalog = IN_A_STORE["conf/base/catalog.yml"]
        catalog = catalog.replace("s3://bucket/raw.json", "include/raw.json")
        files = {**IN_A_STORE, "conf/base/catalog.yml": catalog, "include/raw.json": "1"}
        assert check(files) == []
        ignored = OF_ASTRO[".dockerignore"] + "include\n"
        assert "the image has no such file" in one(check({**files, ".dockerignore": ignored}))
        assert "raw is at include/raw.json" in one(check(files, target="mwaa"))

    def test_other_places_are_nobodys_disk(self, check: Check) -> None:
        catalog = """
            raw: {type: pandas.SQLTableDataset, table_name: raw, credentials: db}
            total: {type: spark.SparkDataset, filepath: dbfs:/mnt/total.parquet}
        """
        said = check({**IN_A_STORE, "conf/base/catalog.yml": catalog})
        assert not [text for text in said if "disk" in text]


@pytest.mark.parametrize(
    ("scheme", "library"), [("s3", "s3fs"), ("gs", "gcsfs"), ("abfss", "adlfs"), ("az", "adlfs")]
)
def test_the_library_of_a_store(check: Check, scheme: str, library: str) -> None:
    catalog = CATALOG.replace("data/", f"{scheme}://bucket/")
    files = {**IN_A_STORE, "conf/base/catalog.yml": catalog}
    commented = f"kedro\n# {library}\n"
    said = one(check({**files, "requirements.txt": commented}))
    assert said.startswith("error: requirements.txt does not name the library that reads")
    assert said.endswith(f"Add the line:\n{library}")
    assert check({**files, "requirements.txt": f"kedro\n{library}~=2026.1\n"}) == []


def test_spark_reads_a_store_by_itself(check: Check) -> None:
    catalog = CATALOG.replace("data/", "s3a://bucket/").replace("json.JSON", "spark.Spark")
    files = {"conf/base/catalog.yml": catalog, "requirements.txt": "kedro\n"}
    assert not [text for text in check({**IN_A_STORE, **files}) if "the library that" in text]


class TestImage:
    def test_another_image(self, check: Check) -> None:
        """Any other target may start from it: there it stays a warning."""
        dockerfile = "ARG BASE\nFROM ${BASE}\nRUN python -m kedro_astro compile\n"
        files = {**IN_A_STORE, "Dockerfile": dockerfile}
        assert "error: the Dockerfile does not start from Astro's" in one(check(files))
        assert one(check(files, target="mwaa")).startswith("warning: ")

    def test_secrets_that_would_be_in_it(self, check: Check) -> None:
        files = {**IN_A_STORE, ".dockerignore": "conf/local/*\ndata\n"}
        said = one(check(files))
        assert "would let .env and conf/base/credentials.yml into the image" in said
        assert said.endswith("\n.env*\n**/*credentials*")
        without = {path: text for path, text in files.items() if path != ".dockerignore"}
        assert said.startswith(one(check(without))[:40])

    def test_another_environment(self, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
        files = {**IN_A_STORE, "conf/prod/.gitkeep": "", "conf/airflow/.gitkeep": ""}
        dockerfile = IN_A_STORE["Dockerfile"].replace("RUN", "ENV KEDRO_ENV=prod\nRUN")
        said = one(check({**files, "Dockerfile": dockerfile}))
        assert "has read conf/airflow, and the image reads conf/prod" in said
        monkeypatch.setenv("KEDRO_ENV", "prod")
        assert check({**files, "Dockerfile": dockerfile}) == []
        said = one(check({**files, "Dockerfile": IN_A_STORE["Dockerfile"]}))
        assert "has read conf/prod, and the image reads conf/airflow" in said
        assert "Check with KEDRO_ENV=airflow, or write `ENV KEDRO_ENV=prod` into" in said

    def test_an_environment_where_there_was_none(
        self, check: Check, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        dockerfile = IN_A_STORE["Dockerfile"].replace("RUN", "ENV KEDRO_ENV prod\nRUN")
        said = one(check({**IN_A_STORE, "conf/prod/.gitkeep": "", "Dockerfile": dockerfile}))
        assert "conf/local, and the image reads conf/prod. Check with KEDRO_ENV=prod" in said
        monkeypatch.setenv("KEDRO_ENV", "prod")
        said = one(check({**IN_A_STORE, "conf/prod/.gitkeep": ""}))
        assert "conf/prod, and the image reads conf/local. Check with KEDRO_ENV=local" in said


class TestCredentials:
    def test_those_of_this_machine_alone(self, check: Check) -> None:
        files = {**NAMED, "conf/airflow/credentials.yml": "store:\n  key: hunter2\n"}
        said = one(check(files))
        assert said.startswith("error: conf/airflow/credentials.yml is left out of the image")
        assert "the credentials store" in said and "${oc.env:" in said and "hunter2" not in said

    def test_those_that_nobody_has(self, check: Check) -> None:
        """What CI sees: git has no file of credentials either."""
        said = one(check({**NAMED, "conf/local/credentials.yml": "store: {key: hunter2}\n"}))
        assert said.startswith("error: the credentials store of more are neither in conf/base")
        assert "!conf/airflow/credentials.yml" in said and "hunter2" not in said

    def test_those_that_name_variables_and_are_in_it(self, check: Check) -> None:
        files = {
            "conf/airflow/credentials.yml": "store: {key: '${oc.env:STORE_KEY}'}\n",
            ".dockerignore": OF_ASTRO[".dockerignore"] + "!conf/airflow/credentials.yml\n",
        }
        assert check({**NAMED, **files}) == []

    def test_those_of_a_connection(self, check: Check) -> None:
        """Each DAG has to have it: Kedro looks for those of all entries in each session."""
        one_dag = {"conf/base/airflow.yml": "sales: {credentials: {store: my_store}}\n"}
        said = one(check({**NAMED, **one_dag}))
        assert said.startswith("error: the credentials store of more are neither in conf/base")
        every = {"conf/base/airflow.yml": "default: {credentials: {store: my_store}}\n"}
        assert check({**NAMED, **every}) == []
        here = {"conf/airflow/credentials.yml": "store:\n  key: hunter2\n"}
        assert check({**NAMED, **every, **here}) == []

    def test_an_empty_file_is_none(self, check: Check) -> None:
        assert check({**IN_A_STORE, "conf/local/credentials.yml": "# store:\n"}) == []


@pytest.mark.parametrize(
    ("path", "lines", "there"),
    [
        ("data/a/b.csv", "", True),
        ("data/a/b.csv", "data", False),
        ("data/a/b.csv", "/data/", False),
        ("data/a/b.csv", "dat", True),
        ("data/a/b.csv", "*.csv", True),
        ("data/a/b.csv", "**/*.csv", False),
        ("b.csv", "**/*.csv", False),
        ("data/a/b.csv", "data/*/b.???", False),
        ("data/a/b.csv", "data/[ab]/*", False),
        ("data/a/b.csv", "data/**", False),
        ("data/a/b.csv", "data\n!data/a", True),
        ("data/a/b.csv", "!data/a\ndata", False),
        ("data/a/b.csv", "# data\n\n", True),
        ("data/a/b.csv", "data/*", False),
        ("data/a/b.csv", "./data/../data/a", False),
        ("conf/a.yml", "conf\n!conf/a.yml\nconf/*", False),
        ("data/a/b.csv", "data\\\n[z-a]\ndata", False),
        ("a b", "  a b  ", False),
        (".env", ".env*", False),
        ("a+b", "a+b", False),
    ],
)
def test_what_dockerignore_leaves_out(path: str, lines: str, there: bool) -> None:
    assert in_image(path, lines) is there


CONTAINERS = {
    "worker": ("run_in: worker", []),
    "pods": ("run_in: kubernetes, kubernetes: {image: x}", ["raw", "total"]),
    "containers": ("run_in: docker, docker: {image: x}", ["raw", "total"]),
    "one": ("nodes: {second: {run_in: docker, docker: {image: x}}}", ["doubled", "total"]),
    "a volume": (
        "run_in: docker, docker: {image: x, mounts: [{source: /a, target: /b, type: bind}]}",
        [],
    ),
}


@pytest.mark.parametrize("what", CONTAINERS)
def test_what_containers_could_not_share(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Without a target, too: their disks end with them."""
    said, names = CONTAINERS[what]
    catalog = CATALOG + (
        "doubled: {type: json.JSONDataset, filepath: data/doubled.json}\n" if what == "one" else ""
    )
    yml = {"conf/base/airflow.yml": f"default: {{{said}}}", "conf/base/catalog.yml": catalog}
    project = make_project({**OF_ASTRO, **yml})
    monkeypatch.setattr(cli, "_project", lambda: project)
    done = CliRunner().invoke(cli.astro, ["check", "--json"])
    found = [each["what"] for each in json.loads(done.output) if "do not share" in each["what"]]
    assert [text.partition(" is at ")[0] for text in found] == names
