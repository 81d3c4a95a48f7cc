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
from kedro.pipeline import node, pipeline
def stamp(number):
    return number, number
def compare(persisted, kept):
    return [persisted, kept]
def create_pipeline(**kwargs):
    return pipeline([
        node(stamp, "params:stamp", ["stamped", "kept"], name="stamp"),
        node(compare, ["stamped", "kept"], "verdict", name="compare"),
    ])
"""
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


def test_three_runs_at_once_never_mix_their_data(airflow: Client, project: Path) -> None:
    catalog = project / "conf/base/catalog.yml"
    catalog.write_text(catalog.read_text() + STAMPS_CATALOG)
    (project / "conf/base/parameters_stamps.yml").write_text("stamp: 0\n")
    folder = project / "src/penguins/pipelines/stamps"
    folder.mkdir()
    (folder / "__init__.py").write_text(STAMPS)
    airflow.wait_for("the new DAG", lambda: "penguins.stamps" in airflow.dag_ids())
    runs = {number: airflow.trigger("penguins.stamps", {"stamp": number}) for number in (1, 2, 3)}
    for number, run_id in runs.items():
        assert airflow.wait_for_run("penguins.stamps", run_id) == "success"
        saved = airflow.saved("penguins.stamps", run_id, "compare")["verdict"]
        verdict = project / str(saved["location"]) / str(saved["version"]) / "verdict.json"
        assert json.loads(verdict.read_text()) == [number, number]
    starts, ends = zip(
        *(times(airflow, "penguins.stamps", run) for run in runs.values()), strict=True
    )
    assert max(starts) < min(ends)


def test_templates_are_for_airflow_yml_and_not_for_trigger_forms(
    airflow: Client, project: Path
) -> None:
    """Whoever may start a run may not read what a template can: connections, variables."""
    settings = project / "conf/airflow/airflow.yml"
    said = "\nstamps: {params: {stamp: '{{ dag.dag_id }}'}, tags: [stamped]}\n"
    settings.write_text(settings.read_text() + said)
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
