"""`kedro astro list` and `check`: what they say, to people and as JSON."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from kedro_astro import cli
from projects import CATALOG, KEDRO_LOADS_ONE_ALONE, REGISTRY, SALES, MakeProject


@pytest.fixture
def kedro_astro(monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs `kedro astro` with arguments in a project."""

    def run(project: Path, *arguments: str) -> Result:
        monkeypatch.setattr(cli, "_project", lambda: project)
        return CliRunner().invoke(cli.astro, arguments)

    return run


def test_list_shows_dags_tasks_and_nodes(make_project: MakeProject, kedro_astro) -> None:
    text = kedro_astro(make_project(), "list").output
    assert text == (
        "shop (__default__)\n  first__second: first, second\n"
        "shop.sales (sales)\n  first__second: first, second\n"
    )


def test_list_where_there_is_nothing_yet(make_project: MakeProject, kedro_astro) -> None:
    nothing = "def register_pipelines():\n    return {}\n"
    project = make_project({"src/shop/pipeline_registry.py": nothing})
    assert kedro_astro(project, "list").output == (
        "No pipeline has nodes yet, so there are no DAGs.\n"
    )


def test_who_waits_for_long_is_told_so(
    make_project: MakeProject, kedro_astro, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "PATIENCE", 0.0)
    said = kedro_astro(make_project(), "list")
    assert said.stderr == ("Still reading the project. What do its modules do when imported?\n")
    assert "shop.sales (sales)\n  first__second: first, second\n" in said.stdout


def test_list_as_json(make_project: MakeProject, kedro_astro) -> None:
    catalog = CATALOG + "doubled: {type: json.JSONDataset, filepath: data/doubled.json}\n"
    project = make_project({"conf/base/catalog.yml": catalog})
    _, sales = json.loads(kedro_astro(project, "list", "--json").output)
    assert (sales["dag_id"], sales["pipeline"]) == ("shop.sales", "sales")
    task = sales["tasks"][1]
    assert (task["task_id"], task["upstream"], task["merged"]) == ("second", ["first"], False)
    assert task["work"]["nodes"] == ["second"] and task["work"]["saves"] == {"total": True}


@KEDRO_LOADS_ONE_ALONE
def test_list_of_a_broken_project_shows_what_there_is_and_fails(
    make_project: MakeProject, kedro_astro
) -> None:
    files = {"src/shop/pipelines/more/__init__.py": "import no_such_library\n"}
    done = kedro_astro(make_project(files), "list")
    assert done.exit_code == 1
    assert "shop.sales" in done.output and "No module named" in done.output


def test_check_of_a_good_project(make_project: MakeProject, kedro_astro) -> None:
    done = kedro_astro(make_project({"data/raw.json": "1"}), "check")
    assert (done.exit_code, done.output) == (0, "2 pipelines, 0 findings\n")


def test_check_finds_what_nobody_leaves_behind(make_project: MakeProject, kedro_astro) -> None:
    pipeline = SALES.replace('"raw"', '"nowhere"')
    done = kedro_astro(make_project({"src/shop/pipelines/sales/__init__.py": pipeline}), "check")
    assert done.exit_code == 1
    assert "error: sales: node first needs nowhere" in done.output
    assert "Declare it in conf/base/catalog.yml" in done.output


def test_check_finds_what_a_target_could_not_share(make_project: MakeProject, kedro_astro) -> None:
    catalog = CATALOG.replace("data/total.json", "s3://bucket/total.json")
    project = make_project({"conf/base/catalog.yml": catalog, "data/raw.json": "1"})
    assert kedro_astro(project, "check").exit_code == 0
    done = kedro_astro(project, "check", "--target", "kubernetes", "--json")
    assert done.exit_code == 1
    (finding,) = json.loads(done.output)
    assert finding["level"] == "error"
    assert "raw is at data/raw.json" in finding["what"] and "data_root" in finding["what"]


def test_check_names_the_stand_in_of_a_name_that_airflow_refuses(
    make_project: MakeProject, kedro_astro
) -> None:
    registry = REGISTRY.replace("return", 'pipelines["all of it"] = pipelines["sales"]\n    return')
    done = kedro_astro(make_project({"src/shop/pipeline_registry.py": registry}), "check")
    assert done.exit_code == 0
    assert "warning: all of it:" in done.output and "shop.all_of_it-" in done.output


def test_check_warns_of_runs_that_would_mix_their_data(
    make_project: MakeProject, kedro_astro
) -> None:
    files = {
        "conf/base/airflow.yml": "sales: {max_active_runs: 3}\n",
        "conf/base/catalog.yml": CATALOG.replace(", versioned: true", ""),
    }
    done = kedro_astro(make_project(files), "check")
    assert done.exit_code == 0
    assert "warning: sales: airflow.yml allows 3 runs at once" in done.output
    assert "total" in done.output and "airflow_run" in done.output


def test_check_finds_files_that_nobody_put_there(make_project: MakeProject, kedro_astro) -> None:
    done = kedro_astro(make_project({"data/raw.json": "1"}), "check")
    assert done.output == "2 pipelines, 0 findings\n"
    project = make_project({"conf/base/catalog.yml": CATALOG.replace("data/raw", "data/rwa")})
    done = kedro_astro(project, "check")
    assert done.exit_code == 0  # Data need not be where a check is run, in CI for example.
    assert "warning: nothing is at data/rwa.json, where raw should be" in done.output


def test_check_shows_parameters_that_no_form_can_hold(
    make_project: MakeProject, kedro_astro
) -> None:
    files = {"conf/base/parameters.yml": "depth: .nan\n", "data/raw.json": "1"}
    done = kedro_astro(make_project(files), "check")
    assert "warning: no trigger form shows depth: JSON cannot hold it" in done.output


def test_an_environment_that_is_not_there(
    make_project: MakeProject, kedro_astro, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To Kedro it is a configuration that says nothing: data would silently stay in memory."""
    monkeypatch.setenv("KEDRO_ENV", "prod")
    done = kedro_astro(make_project(), "check")
    assert done.exit_code == 1
    assert "error: The folder conf/prod is not there" in done.output


def test_check_names_credentials_that_tasks_would_not_find(
    make_project: MakeProject, kedro_astro
) -> None:
    """Those of conf/local are for `kedro run`: Airflow's tasks have an environment of their own."""
    files = {
        "conf/base/catalog.yml": CATALOG
        + "more: {type: json.JSONDataset, filepath: x, credentials: store}\n",
        "conf/local/credentials.yml": "store: {key: hunter2}\n",
        "data/raw.json": "1",
    }
    assert "0 findings" in kedro_astro(make_project(files), "check").output
    said = kedro_astro(make_project({**files, "conf/airflow/.gitkeep": ""}), "check").output
    assert "warning: the credentials store of more are neither in conf/base nor in" in said
    assert "conf/airflow/credentials.yml" in said and "hunter2" not in said


def test_check_names_a_connection_for_credentials_that_nobody_names(
    make_project: MakeProject, kedro_astro
) -> None:
    """A dataset within another may name them, too."""
    entry = "{type: partitions.PartitionedDataset, path: x, dataset: {type: x, credentials: store}}"
    files = {
        "conf/base/catalog.yml": CATALOG + f"more: {entry}\n",
        "conf/base/airflow.yml": "default: {credentials: {stroe: mine}}\n",
        "data/raw.json": "1",
    }
    said = kedro_astro(make_project(files), "check").output
    assert "warning: the credentials store of more are neither" in said
    assert "name an Airflow connection for them under `credentials` in airflow.yml" in said
    assert "warning: airflow.yml has a connection for the credentials stroe" in said
    assert "Did you mean store?" in said and "2 findings" in said


def test_check_names_a_pool_that_nobody_makes(make_project: MakeProject, kedro_astro) -> None:
    files = {
        "data/raw.json": "1",
        "conf/base/airflow.yml": "sales: {nodes: {first: {pool: gpu}}}\ndefault: {pool: a.b}\n",
        "airflow_settings.yaml": "airflow:\n  pools:\n  - pool_name: 'a.b'\n  # - pool_name: gpu\n",
    }
    said = kedro_astro(make_project(files), "check").output
    assert "warning: sales: its tasks wait for ever if Airflow has no pool gpu." in said
    assert "- {pool_name: \"gpu\", pool_slot: 1, pool_description: ''}\n2 pipelines, 1 f" in said
    files["airflow_settings.yaml"] = "airflow: {pools: [{pool_name: gpu}, {'pool_name': \"a.b\"}]}"
    assert "0 findings" in kedro_astro(make_project(files), "check").output
    assert "0 findings" not in kedro_astro(make_project(files), "check", "--target", "mwaa").output


def test_check_leaves_alone_what_airflow_yml_leaves_out(
    make_project: MakeProject, kedro_astro
) -> None:
    nowhere = SALES.replace('"raw"', '"nowhere"').replace('"doubled"', '"odd"')
    files = {
        "data/raw.json": "1",
        "src/shop/pipelines/old/__init__.py": nowhere.replace('name="', 'name="old_'),
        "src/shop/pipelines/empty/__init__.py": SALES.split("    return pipe")[0]
        + "    return pipeline([])",
        "src/shop/pipeline_registry.py": REGISTRY.replace(
            "sum(pipelines.values())", 'pipelines["sales"]'
        ),
        "conf/base/catalog.yml": CATALOG + "odd: {type: pandas.Nothing}\n",
    }
    assert "5 pipelines" not in kedro_astro(make_project(files), "check").output
    assert kedro_astro(make_project(files), "check").exit_code == 1
    files["conf/base/airflow.yml"] = "pipelines: {exclude: [old, empty]}\n"
    assert kedro_astro(make_project(files), "check").output == "2 pipelines, 0 findings\n"


@KEDRO_LOADS_ONE_ALONE
def test_check_names_the_version_that_lacks_what_is_imported(
    make_project: MakeProject, kedro_astro
) -> None:
    files = {
        "src/shop/pipelines/more/__init__.py": "import kedro.extras.datasets\n",
        "src/shop/pipelines/most/__init__.py": "from kedro.io import MemoryDataSet\n",
        "src/shop/pipeline_registry.py": REGISTRY.replace("raise_errors=True", ""),
    }
    said = kedro_astro(make_project(files), "check").output
    has_not = f"kedro {version('kedro')} is installed, and does not have it"
    assert said.count(has_not) == 2 and "requirements.txt" not in said


def test_check_names_files_that_it_cannot_read(make_project: MakeProject, kedro_astro) -> None:
    project = make_project({"requirements.txt/x": "", "data/raw.json": "1"})
    said = kedro_astro(project, "check").output
    assert "error: requirements.txt is no file that can be read." in said
