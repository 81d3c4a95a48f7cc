"""Several runs of one DAG, tries of one run, and runs with templates: each has its own data."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest
from airflow_client.client import BackfillApi, BackfillPostBody, DAGApi
from client import Client
from scaffold import append

pytestmark = pytest.mark.e2e

STAMPS_CATALOG = """
stamped: {type: json.JSONDataset, filepath: data/stamped.json, versioned: true}
verdict: {type: json.JSONDataset, filepath: data/verdict.json, versioned: true}
"""
STAMPS = """
from pathlib import Path
from kedro.pipeline import node, pipeline
def stamp(number):
    return number, number
def compare(persisted, kept):
    if kept == 13 and not Path("data/mended").exists():
        raise OSError("the ship has to wait")
    return [persisted, kept]
def create_pipeline(**kwargs):
    return pipeline([
        node(stamp, "params:stamp", ["stamped", "kept"], name="stamp"),
        node(compare, ["stamped", "kept"], "verdict", name="compare"),
    ])
"""
VAULT = """
import json
from pathlib import Path
from kedro.io import AbstractDataset
class Vault(AbstractDataset):
    def __init__(self, filepath):
        self.file = Path("data/vault-" + filepath.split("/")[3])
    def load(self):
        return json.loads(self.file.read_text())
    def save(self, data):
        self.file.write_text(json.dumps(data))
    def _describe(self):
        return {}
"""
"""Datasets in places that nothing but their own class can reach."""
SEASONS = """
from pathlib import Path
from uuid import uuid4
from kedro.pipeline import node, pipeline
def measure(season):
    return [season, uuid4().hex]
def judge(measured):
    marker = Path("data") / f"{measured[0]}.marker"
    if measured[0].startswith("stormy") and not marker.exists():
        marker.touch()
        raise OSError("the ship has to wait")
    return measured
def create_pipeline(**kwargs):
    return pipeline([
        node(measure, "params:season", "seasons.measured", name="measure"),
        node(judge, "seasons.measured", "seasons.judged", name="judge"),
    ])
"""
SEASONS_CATALOG = """
"seasons.{name}": {type: json.JSONDataset, filepath: "data/{name}.json", versioned: true}
"""
SEASONS_SETTINGS = """
seasons:
  schedule: "@daily"
  start_date: 2026-01-01
  params: {season: "{{ ds }}"}
  retries: 1
  retry_delay: 0
"""


def times(airflow: Client, dag_id: str, run_id: str) -> tuple[datetime, datetime]:
    run = airflow.run(dag_id, run_id)
    return run.start_date, run.end_date


def of_runs(project: Path) -> list[Path]:
    """The folders that runs of the stamps have for themselves."""
    return [file.parent for file in project.glob("data/02_intermediate/*/kept.pickle")]


def test_eight_runs_at_once_never_mix_their_data(airflow: Client, project: Path) -> None:
    """And what each alone needed is gone when it has succeeded."""
    catalog = project / "conf/base/catalog.yml"
    catalog.write_text(catalog.read_text() + STAMPS_CATALOG)
    (project / "conf/base/parameters_stamps.yml").write_text("stamp: 0\n")
    folder = project / "src/penguins/pipelines/stamps"
    folder.mkdir()
    (folder / "__init__.py").write_text(STAMPS)
    airflow.wait_for("the new DAG", lambda: "penguins.stamps" in airflow.dag_ids())
    runs = {n: airflow.trigger("penguins.stamps", {"stamp": n}) for n in range(1, 9)}
    for number, run_id in runs.items():
        assert airflow.wait_for_run("penguins.stamps", run_id) == "success"
        saved = airflow.saved("penguins.stamps", run_id, "compare")["verdict"]
        verdict = project / str(saved["location"]) / str(saved["version"]) / "verdict.json"
        assert json.loads(verdict.read_text()) == [number, number]
    starts, ends = zip(
        *(times(airflow, "penguins.stamps", run) for run in runs.values()), strict=True
    )
    assert max(starts) < min(ends)
    assert of_runs(project) == []


def states(airflow: Client, run_id: str) -> dict[str, str | None]:
    tasks = airflow.task_instances("penguins.stamps", run_id)
    return {task.task_id: task.state and task.state.value for task in tasks}


def test_what_a_run_needs_is_there_until_it_has_succeeded(airflow: Client, project: Path) -> None:
    dag_id = "penguins.stamps"
    run_id = airflow.trigger(dag_id, {"stamp": 13})
    assert airflow.wait_for_run(dag_id, run_id) == "failed"
    assert states(airflow, run_id)["clean_up"] == "upstream_failed"
    assert len(of_runs(project)) == 1
    (project / "data/mended").touch()
    airflow.clear(dag_id, run_id, "compare", downstream=True)
    airflow.wait_for("the mended run", lambda: airflow.run(dag_id, run_id).state == "success")
    assert states(airflow, run_id)["clean_up"] == "success" and of_runs(project) == []

    # Now it has what it needs no more, and says so.
    airflow.clear(dag_id, run_id, "compare")
    airflow.wait_for("its end", lambda: airflow.run(dag_id, run_id).state == "failed")
    log = json.dumps(airflow.task_log(dag_id, run_id, "compare", 3))
    assert "kept, at data/02_intermediate/" in log and "Clear the task that saves it, too" in log


def test_what_cannot_be_removed_fails_its_task_and_not_the_run(
    airflow: Client, project: Path
) -> None:
    """The results are whole; that something is left is in red, and in the log."""
    trap = "\"stamped\": {type: penguins.vault.Vault, filepath: 'vault://b/${%s}/v'}\n"
    append(project / "conf/airflow/catalog.yml", trap % "runtime_params:airflow_run,local")
    (project / "src/penguins/vault.py").write_text(VAULT)
    append(project / "conf/airflow/airflow.yml", "\nstamps: {tags: [vault]}\n")
    airflow.wait_for(
        "the new settings",
        lambda: (
            "vault" in [tag.name for tag in DAGApi(airflow.api).get_dag("penguins.stamps").tags]
        ),
    )
    run_id = airflow.trigger("penguins.stamps", {"stamp": 1})
    assert airflow.wait_for_run("penguins.stamps", run_id) == "success"
    assert states(airflow, run_id)["clean_up"] == "failed" and of_runs(project) == []
    log = json.dumps(airflow.task_log("penguins.stamps", run_id, "clean_up"))
    assert "stamped, at vault://b/" in log and "could not be removed" in log


def test_templates_are_for_airflow_yml_and_not_for_trigger_forms(
    airflow: Client, project: Path
) -> None:
    """Whoever may start a run may not read what a template can: connections, variables."""
    settings = project / "conf/airflow/airflow.yml"
    said = "stamps: {params: {stamp: '{{ dag.dag_id }}'}, tags: [stamped]}\n"
    settings.write_text(settings.read_text().replace("stamps: {tags: [vault]}\n", said))
    airflow.wait_for(
        "the new settings",
        lambda: (
            "stamped" in [tag.name for tag in DAGApi(airflow.api).get_dag("penguins.stamps").tags]
        ),
    )
    for params, rendered in [({}, "penguins.stamps"), ({"stamp": "{{ 7 * 7 }}"}, "{{ 7 * 7 }}")]:
        run_id = airflow.trigger("penguins.stamps", params)
        assert airflow.wait_for_run("penguins.stamps", run_id) == "success"
        saved = airflow.saved("penguins.stamps", run_id, "compare")["verdict"]
        verdict = project / str(saved["location"]) / str(saved["version"]) / "verdict.json"
        assert json.loads(verdict.read_text()) == [rendered, rendered]


@pytest.fixture(scope="module")
def seasons(airflow: Client, project: Path) -> str:
    """A daily DAG with versioned data whose `judge` fails at the first try in stormy seasons."""
    append(project / "conf/base/catalog.yml", SEASONS_CATALOG)
    append(project / "conf/airflow/airflow.yml", SEASONS_SETTINGS)
    (project / "conf/base/parameters_seasons.yml").write_text("season: none\n")
    folder = project / "src/penguins/pipelines/seasons"
    folder.mkdir()
    (folder / "__init__.py").write_text(SEASONS)
    airflow.wait_for("the new DAG", lambda: "penguins.seasons" in airflow.dag_ids())
    return "penguins.seasons"


def saved_by(airflow: Client, project: Path, run_id: str, task_id: str) -> tuple[str, list]:
    """The version that a task of the seasons saved, and what is in it."""
    (said,) = airflow.saved("penguins.seasons", run_id, task_id).values()
    location, version = str(said["location"]), str(said["version"])
    file = project / location / version / Path(location).name
    return version, json.loads(file.read_text())


def test_airflows_own_retry_loads_what_its_run_saved(
    airflow: Client, project: Path, seasons: str
) -> None:
    run_id = airflow.trigger(seasons, {"season": "stormy one"})
    assert airflow.wait_for_run(seasons, run_id) == "success"
    measured, judged = (saved_by(airflow, project, run_id, name) for name in ("measure", "judge"))
    assert judged[0] == f"{measured[0]}-try002"
    assert judged[1] == measured[1] and measured[1][0] == "stormy one"


def test_clearing_a_task_and_what_comes_after_it(
    airflow: Client, project: Path, seasons: str
) -> None:
    run_id = airflow.trigger(seasons, {"season": "calm"})
    assert airflow.wait_for_run(seasons, run_id) == "success"
    first = saved_by(airflow, project, run_id, "measure")
    airflow.clear(seasons, run_id, "measure", downstream=True)

    def judged_again() -> tuple[str, list] | None:
        if airflow.run(seasons, run_id).state != "success":
            return None
        judged = saved_by(airflow, project, run_id, "judge")
        return judged if judged[1] != first[1] else None

    judged = airflow.wait_for("the second judgement", judged_again)
    measured = saved_by(airflow, project, run_id, "measure")
    assert judged[1] == measured[1]
    assert first[0] < measured[0] and (project / "data/measured.json" / first[0]).is_dir()


def test_a_backfill_gives_each_day_its_own_data(
    airflow: Client, project: Path, seasons: str
) -> None:
    """Three runs at once, with the day as a parameter from airflow.yml."""
    days = ["2026-01-02", "2026-01-03", "2026-01-04"]
    first, last = (datetime.fromisoformat(f"{day}T00:00:00+00:00") for day in (days[0], days[-1]))
    wanted = BackfillPostBody(dag_id=seasons, max_active_runs=3, from_date=first, to_date=last)
    BackfillApi(airflow.api).create_backfill(wanted)
    runs = airflow.wait_for(
        "the runs of the backfill", lambda: airflow.runs(seasons, run_type=["backfill"])
    )
    assert len(runs) == 3
    for found in runs:
        run_id = found.dag_run_id
        assert airflow.wait_for_run(seasons, run_id) == "success"
        judged = saved_by(airflow, project, run_id, "judge")
        assert judged[1] == saved_by(airflow, project, run_id, "measure")[1]
        assert judged[1][0] == found.logical_date.date().isoformat()


def test_a_template_that_a_run_has_no_value_for(airflow: Client, seasons: str) -> None:
    """Someone presses Trigger, and there is no date."""
    run_id = airflow.trigger(seasons)
    assert airflow.wait_for_run(seasons, run_id) == "failed"
    (failed, _) = airflow.task_instances(seasons, run_id)
    assert failed.try_number == 1  # It would not be better a second time.
    log = json.dumps(airflow.task_log(seasons, run_id, "measure"))
    assert "sets the parameter season to '{{ ds }}'" in log and "logical date" in log
