"""A run of the example on a real Airflow: the same as `kedro run`, and what Airflow shows of it."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path

import pytest
from airflow_client.client import ApiException, AssetApi, DAGApi, PluginApi
from client import Client
from scaffold import DAGS

pytestmark = pytest.mark.e2e

VERSION = re.compile(r"\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d\.\d{3}Z-[0-9a-f]{14}-[0-9a-f]{8}")
SPLIT = "data_science"


def model(project: Path) -> object:
    """The pipeline of scikit-learn that the newest run saved."""
    newest = max((project / "data/06_models/classifier.pickle").iterdir())
    return pickle.loads((newest / "classifier.pickle").read_bytes())


def metrics(project: Path) -> dict:
    return json.loads((project / "data/08_reporting/metrics.json").read_text())


def test_one_dag_for_each_pipeline(airflow: Client) -> None:
    assert airflow.dag_ids() == DAGS
    assert airflow.import_errors() == []


def test_plugins_are_loaded_yours_as_well(airflow: Client) -> None:
    names = {plugin.name for plugin in PluginApi(airflow.api).get_plugins().plugins}
    assert {"kedro_astro_warm", "mine"} <= names


def test_tasks_start_warm(airflow: Client, first_run: str) -> None:
    """The scheduler has what the example needs, says so in one line, and left nothing cold."""
    lines = airflow.log("scheduler").read_text().splitlines()
    said = [line for line in lines if "[kedro_astro.warm]" in line]
    assert "Tasks start warm: " in said[-1] and not any("Left cold" in line for line in said)


def test_nodes_that_share_memory_share_a_task(airflow: Client, first_run: str) -> None:
    tasks = {task.task_id for task in airflow.task_instances("penguins", first_run)}
    assert tasks == {
        *("select_measurements", "drop_incomplete", "summarise_species"),
        *("data_science", "plot_penguins", "clean_up"),
    }


@pytest.mark.parametrize("name", ["metrics.json", "species_summary.json", "penguin_plot.png"])
def test_same_reports_as_kedro_run(
    project: Path, first_run: str, after_kedro_run: Path, name: str
) -> None:
    ours = (project / "data/08_reporting" / name).read_bytes()
    assert ours == (after_kedro_run / "data/08_reporting" / name).read_bytes()


def test_same_model_as_kedro_run(project: Path, first_run: str, after_kedro_run: Path) -> None:
    ours, kedros = model(project)[-1], model(after_kedro_run)[-1]
    assert (ours.coef_ == kedros.coef_).all() and (ours.intercept_ == kedros.intercept_).all()


def test_tasks_say_what_they_saved_and_where(
    airflow: Client, project: Path, first_run: str
) -> None:
    saved = airflow.saved("penguins", first_run, SPLIT)
    assert set(saved) == {"data_science.model", "metrics", "predictions"}
    assert saved["metrics"] == {"location": "data/08_reporting/metrics.json", "version": None}
    model = saved["data_science.model"]
    assert VERSION.fullmatch(model["version"] or "")
    file = project / str(model["location"]) / str(model["version"]) / "classifier.pickle"
    assert file.is_file()


def test_an_undeclared_dataset_was_in_a_folder_of_the_run_which_is_gone(
    airflow: Client, project: Path, first_run: str
) -> None:
    saved = airflow.saved("penguins", first_run, "select_measurements")
    file = project / str(saved["measurements"]["location"])
    assert file.name == "measurements.pickle" and not file.parent.exists()
    assert file.parent.parent == project / "data/02_intermediate" and file.parent.parent.exists()


def test_log_lines_keep_level_and_logger(airflow: Client, first_run: str) -> None:
    lines = airflow.task_log("penguins", first_run, "plot_penguins")
    by_event = {line["event"]: line for line in lines}
    completed = by_event["Completed node: plot_penguins"]
    assert completed["level"] == "info"
    assert completed["logger"] == "kedro.runner.sequential_runner"
    assert not [line for line in lines if line.get("logger") == "task.stdout"]


def test_telemetry_is_off(project: Path, penguins: Path, first_run: str) -> None:
    """Where it is on it writes an id of the project into pyproject.toml."""
    assert (project / "pyproject.toml").read_text() == (penguins / "pyproject.toml").read_text()


def test_clearing_a_task_saves_a_version_that_sorts_behind(
    airflow: Client, project: Path, first_run: str
) -> None:
    before = airflow.saved("penguins", first_run, SPLIT)["data_science.model"]["version"]
    airflow.clear("penguins", first_run, SPLIT)

    def version_now() -> str | None:
        if airflow.run("penguins", first_run).state != "success":
            return None
        version = airflow.saved("penguins", first_run, SPLIT)["data_science.model"]["version"]
        return version if version != before else None

    after = airflow.wait_for("a new version of the model", version_now)
    assert after > before
    assert (project / "data/06_models/classifier.pickle" / after).is_dir()


def test_a_run_with_other_parameters(airflow: Client, project: Path, first_run: str) -> None:
    """Of a form that shows each parameter with its type; Kedro's own values are its defaults."""
    form = DAGApi(airflow.api).get_dag_details("penguins").params
    assert form["data_science.test_share"]["value"] == 0.3
    assert form["data_science.test_share"]["schema"]["type"] == "number"
    assert form["data_science.features"]["schema"]["type"] == "array"

    run_id = airflow.trigger("penguins", {"data_science.test_share": 0.5})
    assert airflow.wait_for_run("penguins", run_id) == "success"
    assert metrics(project)["test_birds"] == 167
    assert metrics(project)["features"] == ["flipper_length_mm", "bill_length_mm"]


def test_a_parameter_of_another_type_is_refused_before_the_run(airflow: Client) -> None:
    with pytest.raises(ApiException, match=r"(?s)400.*test_share"):
        airflow.trigger("penguins", {"data_science.test_share": "half"})


def test_what_a_run_leaves_for_others_is_an_asset(airflow: Client, first_run: str) -> None:
    uris = {asset.uri for asset in AssetApi(airflow.api).get_assets(limit=100).assets}
    assert {"kedro://penguins/metrics", "kedro://penguins/data_science.model"} <= uris
    assert "kedro://penguins/measurements" not in uris
