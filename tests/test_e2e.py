"""The whole way: a scaffolded project on a real Airflow, driven as a user drives it."""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest
from astro_cli import standalone_environment
from demo import run as demo_run
from kedro_astro.airflow.client import Airflow
from kedro_astro.airflow.standalone import running
from kedro_astro.errors import StandaloneError
from rich.console import Console
from scaffold import ROOT, free_port, python, run, scaffold, succeed

pytestmark = pytest.mark.e2e

DAGS = ["penguins", "penguins.data_processing", "penguins.data_science", "penguins.reporting"]
VERSION = re.compile(r"\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d\.\d{3}Z")
SPLIT = "data_science"
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
SECRETS = {kind: f"hunter2-{kind}" for kind in ("file", "environment", "connection", "printed")}
PLUGIN = """
from airflow.plugins_manager import AirflowPlugin
class Mine(AirflowPlugin):
    name = "mine"
"""
LEAKY = """
from kedro.io import AbstractDataset
class LeakyDataset(AbstractDataset):
    def __init__(self, credentials):
        self.password = credentials["password"]
    def _load(self):
        print(f"logging in with {self.password}")
        raise ConnectionError(f"nobody answers to {self.password}")
    def _save(self, data):
        pass
    def _describe(self):
        return {"password": self.password}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of its own, in a folder with a name that quoting has to survive."""
    folder = tmp_path_factory.mktemp("e2e") / 'Zoë\'s "penguins"'
    project = scaffold(folder, project_name="Penguins", package_name="penguins")
    (project / "plugins/mine.py").write_text(PLUGIN)
    return project


@pytest.fixture(scope="module")
def airflow(project: Path) -> Iterator[Airflow]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLANTED", SECRETS["environment"])
        patch.setenv("AIRFLOW_CONN_STORE", f"http://ada:{SECRETS['connection']}@127.0.0.1:9")
        with running(project, project / ".kedro-astro" / "airflow") as found:
            found.wait_for("the DAGs", lambda: set(DAGS) <= set(found.dag_ids()))
            yield found


@pytest.fixture(scope="module")
def first_run(airflow: Airflow) -> str:
    run_id = airflow.trigger("penguins")
    assert airflow.wait_for_run("penguins", run_id) == "success"
    return run_id


def model(project: Path) -> object:
    """The pipeline of scikit-learn that the newest run saved."""
    newest = max((project / "data/06_models/classifier.pickle").iterdir())
    return pickle.loads((newest / "classifier.pickle").read_bytes())


def metrics(project: Path) -> dict:
    return json.loads((project / "data/08_reporting/metrics.json").read_text())


def times(airflow: Airflow, dag_id: str, run_id: str) -> tuple[str, str]:
    run = airflow.get(f"dags/{dag_id}/dagRuns/{quote(run_id)}")
    return run["start_date"], run["end_date"]


def events(log: list) -> list[dict]:
    return [line for line in log if isinstance(line, dict)]


def test_one_dag_for_each_pipeline(airflow: Airflow) -> None:
    assert airflow.dag_ids() == DAGS
    assert airflow.import_errors() == []


def test_plugins_are_loaded_yours_as_well(airflow: Airflow) -> None:
    names = {plugin["name"] for plugin in airflow.get("plugins")["plugins"]}
    assert {"kedro_astro_warm", "mine"} <= names


def test_tasks_start_warm(airflow: Airflow, first_run: str) -> None:
    """The scheduler has what the example needs, says so in one line, and left nothing cold."""
    (line,) = (x for x in airflow.log.read_text().splitlines() if "[kedro_astro.warm]" in x)
    assert line.startswith("scheduler") and "Tasks start warm: " in line


def test_nodes_that_share_memory_share_a_task(airflow: Airflow, first_run: str) -> None:
    tasks = {task["task_id"] for task in airflow.task_instances("penguins", first_run)}
    assert tasks == {
        *("select_measurements", "drop_incomplete", "summarise_species"),
        *("data_science", "plot_penguins"),
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
    airflow: Airflow, project: Path, first_run: str
) -> None:
    saved = airflow.saved("penguins", first_run, SPLIT)
    assert set(saved) == {"data_science.model", "metrics", "predictions"}
    assert saved["metrics"] == {"location": "data/08_reporting/metrics.json", "version": None}
    model = saved["data_science.model"]
    assert VERSION.fullmatch(model["version"] or "")
    file = project / str(model["location"]) / str(model["version"]) / "classifier.pickle"
    assert file.is_file()


def test_an_undeclared_dataset_keeps_its_type_in_a_folder_of_the_run(
    airflow: Airflow, project: Path, first_run: str
) -> None:
    import pandas as pd

    location = airflow.saved("penguins", first_run, "select_measurements")["measurements"][
        "location"
    ]
    assert isinstance(pickle.loads((project / str(location)).read_bytes()), pd.DataFrame)


def test_log_lines_keep_level_and_logger(airflow: Airflow, first_run: str) -> None:
    lines = events(airflow.task_log("penguins", first_run, "plot_penguins"))
    by_event = {line["event"]: line for line in lines}
    completed = by_event["Completed node: plot_penguins"]
    assert completed["level"] == "info"
    assert completed["logger"] == "kedro.runner.sequential_runner"
    assert not [line for line in lines if line.get("logger") == "task.stdout"]


def test_telemetry_is_off(project: Path, penguins: Path, first_run: str) -> None:
    """Where it is on it writes an id of the project into pyproject.toml."""
    assert (project / "pyproject.toml").read_text() == (penguins / "pyproject.toml").read_text()


def test_clearing_a_task_saves_a_version_that_sorts_behind(
    airflow: Airflow, project: Path, first_run: str
) -> None:
    before = airflow.saved("penguins", first_run, SPLIT)["data_science.model"]["version"]
    airflow.post(
        "dags/penguins/clearTaskInstances",
        {"dry_run": False, "dag_run_id": first_run, "task_ids": [SPLIT], "only_failed": False},
    )

    def version_now() -> str | None:
        if airflow.run_state("penguins", first_run) != "success":
            return None
        version = airflow.saved("penguins", first_run, SPLIT)["data_science.model"]["version"]
        return version if version != before else None

    after = airflow.wait_for("a new version of the model", version_now)
    assert after > before
    assert (project / "data/06_models/classifier.pickle" / after).is_dir()


def test_a_run_with_other_parameters(airflow: Airflow, project: Path, first_run: str) -> None:
    """Of a form that shows each parameter with its type; Kedro's own values are its defaults."""
    form = airflow.get("dags/penguins/details")["params"]
    assert form["data_science.test_share"]["value"] == 0.3
    assert form["data_science.test_share"]["schema"]["type"] == "number"
    assert form["data_science.features"]["schema"]["type"] == "array"

    run_id = airflow.trigger("penguins", {"data_science.test_share": 0.5})
    assert airflow.wait_for_run("penguins", run_id) == "success"
    assert metrics(project)["test_birds"] == 167
    assert metrics(project)["features"] == ["flipper_length_mm", "bill_length_mm"]


def test_a_parameter_of_another_type_is_refused_before_the_run(airflow: Airflow) -> None:
    with pytest.raises(StandaloneError, match=r"400.*test_share"):
        airflow.trigger("penguins", {"data_science.test_share": "half"})


def test_what_a_run_leaves_for_others_is_an_asset(airflow: Airflow, first_run: str) -> None:
    uris = {asset["uri"] for asset in airflow.get("assets?limit=100")["assets"]}
    assert {"kedro://penguins/metrics", "kedro://penguins/data_science.model"} <= uris
    assert "kedro://penguins/measurements" not in uris


def test_three_runs_at_once_never_mix_their_data(airflow: Airflow, project: Path) -> None:
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


@pytest.fixture(scope="module")
def seasons(airflow: Airflow, project: Path) -> str:
    """A daily DAG with versioned data whose `judge` fails at the first try in stormy seasons."""
    append(project / "conf/base/catalog.yml", SEASONS_CATALOG)
    append(project / "conf/airflow/airflow.yml", SEASONS_SETTINGS)
    (project / "conf/base/parameters_seasons.yml").write_text("season: none\n")
    folder = project / "src/penguins/pipelines/seasons"
    folder.mkdir()
    (folder / "__init__.py").write_text(SEASONS)
    airflow.wait_for("the new DAG", lambda: "penguins.seasons" in airflow.dag_ids())
    return "penguins.seasons"


def saved_by(airflow: Airflow, project: Path, run_id: str, task_id: str) -> tuple[str, list]:
    """The version that a task of the seasons saved, and what is in it."""
    (said,) = airflow.saved("penguins.seasons", run_id, task_id).values()
    location, version = str(said["location"]), str(said["version"])
    file = project / location / version / Path(location).name
    return version, json.loads(file.read_text())


def test_airflows_own_retry_loads_what_its_run_saved(
    airflow: Airflow, project: Path, seasons: str
) -> None:
    run_id = airflow.trigger(seasons, {"season": "stormy one"})
    assert airflow.wait_for_run(seasons, run_id) == "success"
    measured, judged = (saved_by(airflow, project, run_id, name) for name in ("measure", "judge"))
    assert judged[0] == f"{measured[0]}-try002"
    assert judged[1] == measured[1] and measured[1][0] == "stormy one"


def test_clearing_a_task_and_what_comes_after_it(
    airflow: Airflow, project: Path, seasons: str
) -> None:
    run_id = airflow.trigger(seasons, {"season": "calm"})
    assert airflow.wait_for_run(seasons, run_id) == "success"
    first = saved_by(airflow, project, run_id, "measure")
    body = {"dry_run": False, "dag_run_id": run_id, "task_ids": ["measure"]}
    body |= {"only_failed": False, "include_downstream": True}
    airflow.post(f"dags/{seasons}/clearTaskInstances", body)

    def judged_again() -> tuple[str, list] | None:
        if airflow.run_state(seasons, run_id) != "success":
            return None
        judged = saved_by(airflow, project, run_id, "judge")
        return judged if judged[1] != first[1] else None

    judged = airflow.wait_for("the second judgement", judged_again)
    measured = saved_by(airflow, project, run_id, "measure")
    assert judged[1] == measured[1]
    assert first[0] < measured[0] and (project / "data/measured.json" / first[0]).is_dir()


def test_a_backfill_gives_each_day_its_own_data(
    airflow: Airflow, project: Path, seasons: str
) -> None:
    """Three runs at once, with the day as a parameter from airflow.yml."""
    days = ["2026-01-02", "2026-01-03", "2026-01-04"]
    interval = {"from_date": f"{days[0]}T00:00:00Z", "to_date": f"{days[-1]}T00:00:00Z"}
    airflow.post("backfills", {"dag_id": seasons, "max_active_runs": 3, **interval})
    runs = airflow.wait_for(
        "the runs of the backfill",
        lambda: airflow.get(f"dags/{seasons}/dagRuns?run_type=backfill")["dag_runs"],
    )
    assert len(runs) == 3
    for found in runs:
        run_id = found["dag_run_id"]
        assert airflow.wait_for_run(seasons, run_id) == "success"
        judged = saved_by(airflow, project, run_id, "judge")
        assert judged[1] == saved_by(airflow, project, run_id, "measure")[1]
        assert judged[1][0] == found["logical_date"][:10]


def test_a_template_that_a_run_has_no_value_for(airflow: Airflow, seasons: str) -> None:
    """Someone presses Trigger, and there is no date."""
    run_id = airflow.trigger(seasons)
    assert airflow.wait_for_run(seasons, run_id) == "failed"
    (failed, _) = airflow.task_instances(seasons, run_id)
    assert failed["try_number"] == 1  # It would not be better a second time.
    log = json.dumps(airflow.task_log(seasons, run_id, "measure"))
    assert "sets the parameter season to '{{ ds }}'" in log and "logical date" in log


def test_a_pipeline_that_waits_for_anothers_data(airflow: Airflow, project: Path) -> None:
    """Of both DAGs that save `metrics`; here it is cleared in none of the runs before."""
    add_pipeline(project, "waiting", "return len(penguins)")
    append(project / "conf/airflow/airflow.yml", "\nwaiting: {schedule: {assets: [metrics]}}\n")
    airflow.wait_for(
        "the schedule",
        lambda: (
            "penguins.waiting" in airflow.dag_ids()
            and "sset" in airflow.get("dags/penguins.waiting")["timetable_summary"]
        ),
    )
    airflow.trigger("penguins.data_science")
    runs = airflow.wait_for(
        "the run that waits", lambda: airflow.get("dags/penguins.waiting/dagRuns")["dag_runs"]
    )
    assert runs[0]["run_type"] == "asset_triggered"
    assert airflow.wait_for_run("penguins.waiting", runs[0]["dag_run_id"]) == "success"


@pytest.fixture(scope="module")
def credentials(project: Path) -> None:
    """Two datasets with secrets, one of which prints its own."""
    (project / "src/penguins/leaky.py").write_text(LEAKY)
    (project / "conf/airflow/credentials.yml").write_text(
        f"guarded: {{password: {SECRETS['file']}, token: '${{oc.env:PLANTED}}'}}\n"
        f"leaky: {{password: {SECRETS['printed']}}}\n"
    )
    append(
        project / "conf/base/catalog.yml",
        "\nguarded: {type: json.JSONDataset, filepath: data/guarded.json, credentials: guarded}\n"
        "leaked: {type: penguins.leaky.LeakyDataset, credentials: leaky}\n",
    )


def files_with(project: Path, *secrets: str) -> set[str]:
    """Names of what Airflow and the shim have written that hold a secret: logs, database, all."""
    return {
        file.name
        for file in (project / ".kedro-astro").rglob("*")
        if file.is_file() and any(secret.encode() in file.read_bytes() for secret in secrets)
    }


def test_planted_secrets_are_in_no_log_and_no_database(
    airflow: Airflow, project: Path, credentials: None
) -> None:
    """Of credentials.yml, the environment and a connection; in a task that succeeds and one that
    fails at the dataset that has them."""
    nodes = add_pipeline(project, "guarding", "return guarded")
    pipeline = nodes.with_name("pipeline.py")
    pipeline.write_text(pipeline.read_text().replace("'penguins'", "'guarded'"))
    nodes.write_text(nodes.read_text().replace("penguins", "guarded"))
    airflow.wait_for("the new DAG", lambda: "penguins.guarding" in airflow.dag_ids())
    for data, state in (("not JSON", "failed"), ("3", "success")):
        (project / "data/guarded.json").write_text(data)
        run_id = airflow.trigger("penguins.guarding")
        assert airflow.wait_for_run("penguins.guarding", run_id) == state
    kinds = ("file", "environment", "connection")
    assert files_with(project, *(SECRETS[kind] for kind in kinds)) == set()


def test_a_secret_that_a_dataset_prints_is_masked(
    airflow: Airflow, project: Path, credentials: None
) -> None:
    """And one that it puts into its error."""
    nodes = add_pipeline(project, "leaking", "return 1")
    pipeline = nodes.with_name("pipeline.py")
    pipeline.write_text(pipeline.read_text().replace("'penguins'", "'leaked'"))
    airflow.wait_for("the new DAG", lambda: "penguins.leaking" in airflow.dag_ids())
    run_id = airflow.trigger("penguins.leaking")
    assert airflow.wait_for_run("penguins.leaking", run_id) == "failed"
    log = json.dumps(airflow.task_log("penguins.leaking", run_id, "leaking_node"))
    assert "logging in with ***" in log and "nobody answers to ***" in log
    # Airflow 3.3's LocalExecutor repeats tasks' lines, unmasked, in the scheduler's own output.
    assert files_with(project, SECRETS["printed"]) <= {"standalone.log"}


def test_templates_are_for_airflow_yml_and_not_for_trigger_forms(
    airflow: Airflow, project: Path
) -> None:
    """Whoever may start a run may not read what a template can: connections, variables."""
    settings = project / "conf/airflow/airflow.yml"
    said = "\nstamps: {params: {stamp: '{{ dag.dag_id }}'}, tags: [stamped]}\n"
    settings.write_text(settings.read_text() + said)
    airflow.wait_for(
        "the new settings",
        lambda: "stamped" in [t["name"] for t in airflow.get("dags/penguins.stamps")["tags"]],
    )
    for params, rendered in [({}, "penguins.stamps"), ({"stamp": "{{ 7 * 7 }}"}, "{{ 7 * 7 }}")]:
        run_id = airflow.trigger("penguins.stamps", params)
        assert airflow.wait_for_run("penguins.stamps", run_id) == "success"
        saved = airflow.saved("penguins.stamps", run_id, "compare")["verdict"]
        verdict = project / str(saved["location"]) / str(saved["version"]) / "verdict.json"
        assert json.loads(verdict.read_text()) == [rendered, rendered]


def test_a_failing_run_shows_the_tasks_log(airflow: Airflow, project: Path) -> None:
    """What `make demo` does when a run fails. The pipeline is new: it needs no other command."""
    add_pipeline(project, "failing", "raise ValueError('the sea is frozen')")
    airflow.wait_for("the new DAG", lambda: "penguins.failing" in airflow.dag_ids())
    console = Console(record=True, width=140, file=open(os.devnull, "w"))  # noqa: SIM115
    assert demo_run(airflow, "penguins.failing", console) is False
    text = console.export_text()
    assert "failing_node" in text and "failed" in text
    assert "ValueError: the sea is frozen" in text


def test_a_new_pipeline_folder_is_a_new_dag(airflow: Airflow, project: Path) -> None:
    add_pipeline(project, "counting", "return len(penguins)")
    airflow.wait_for("the new DAG", lambda: "penguins.counting" in airflow.dag_ids())
    run_id = airflow.trigger("penguins.counting")
    assert airflow.wait_for_run("penguins.counting", run_id) == "success"
    # The number of birds was declared nowhere and is still an int in the next task.
    kept = airflow.saved("penguins.counting", run_id, "counting_node")["counting_result"]
    assert pickle.loads((project / str(kept["location"])).read_bytes()) == 333


def test_an_edit_counts_from_the_next_task_on(airflow: Airflow, project: Path) -> None:
    """The libraries of a task are those of the scheduler; your code never is."""
    nodes = add_pipeline(project, "edited", "return 'before'")
    airflow.wait_for("the new DAG", lambda: "penguins.edited" in airflow.dag_ids())
    for text in ("before", "after"):
        nodes.write_text(nodes.read_text().replace("before", text))
        run_id = airflow.trigger("penguins.edited")
        assert airflow.wait_for_run("penguins.edited", run_id) == "success"
        kept = airflow.saved("penguins.edited", run_id, "edited_node")["edited_result"]
        assert pickle.loads((project / str(kept["location"])).read_bytes()) == text


def test_a_broken_pipeline_is_shown_and_takes_no_dag_with_it(
    airflow: Airflow, project: Path
) -> None:
    before = airflow.dag_ids()
    nodes = add_pipeline(project, "broken", "return (")
    message = airflow.wait_for("the message", airflow.import_errors)[0]
    assert "SyntaxError" in message
    assert "src/penguins/pipelines/broken/nodes.py:" in message
    assert set(before) <= set(airflow.dag_ids())
    run_id = airflow.trigger("penguins.data_processing")
    assert airflow.wait_for_run("penguins.data_processing", run_id) == "success"

    nodes.write_text(nodes.read_text().replace("return (", "return 1"))
    airflow.wait_for("the message to go", lambda: not airflow.import_errors())
    airflow.wait_for("the mended DAG", lambda: "penguins.broken" in airflow.dag_ids())


class TestUp:
    """`kedro astro up`: the same Airflow, started from the project."""

    @pytest.fixture
    def command(self, tmp_path: Path) -> tuple[list[str | Path], Path, dict[str, str]]:
        project = scaffold(tmp_path / "penguins", project_name="Penguins")
        env = {**os.environ, "PYTHONPATH": str(project / "dags")}
        return python("-m", "kedro_astro", "up"), project, env

    def test_it_says_where_the_dags_are_and_leaves_nothing_behind(self, command) -> None:
        arguments, project, env = command
        port = free_port()
        process = subprocess.Popen(
            [str(part) for part in [*arguments, "--port", str(port)]],
            cwd=project,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Whoever runs the tests in the background has them ignore what Ctrl-C sends.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )
        try:
            lines: list[str] = []
            for line in process.stdout:
                lines.append(line)
                if "Ctrl-C" in line:
                    break
            second = run([*arguments, "--port", str(free_port())], project, env)
            process.send_signal(signal.SIGINT)
            rest = process.communicate(timeout=60)[0]
        finally:
            process.terminate()  # stops its Airflow, too

        output = "".join(lines) + rest
        assert f"http://127.0.0.1:{port}/dags/penguins.reporting\n" in output
        assert "Traceback" not in output and process.returncode == 0
        assert second.returncode != 0 and "already running at http://127.0.0.1" in second.stdout
        assert processes_of(project) == []

    def test_a_taken_port_is_said_before_anything_starts(self, command) -> None:
        arguments, project, env = command
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            done = run([*arguments, "--port", str(taken.getsockname()[1])], project, env)
        assert done.returncode != 0
        assert "is taken by another program" in done.stdout and "Traceback" not in done.stdout
        assert processes_of(project) == []


def test_the_standalone_mode_of_the_astro_cli(tmp_path: Path) -> None:
    """Another `AIRFLOW_HOME`, the project as PYTHONPATH and working folder, no plugins."""
    project, port = scaffold(tmp_path / "penguins", project_name="Penguins"), free_port()
    env = os.environ | standalone_environment(project, port)
    log = tmp_path / "standalone.log"
    with log.open("wb") as output:
        process = psutil.Popen(
            [Path(sys.executable).with_name("airflow"), "standalone"],
            cwd=project,
            env=env | {"PATH": f"{Path(sys.executable).parent}:{env['PATH']}"},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        airflow = Airflow(f"http://127.0.0.1:{port}", process, log)
        airflow.wait_for("the DAGs", lambda: airflow.is_healthy() and airflow.dag_ids() == DAGS)
        for dag_id in DAGS:
            airflow.patch(f"dags/{dag_id}", {"is_paused": False})
        run_id = airflow.trigger("penguins")
        assert airflow.wait_for_run("penguins", run_id) == "success"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        psutil.wait_procs([process, *process.children(recursive=True)], timeout=10)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert (project / "data/08_reporting/penguin_plot.png").is_file()
    made = {path.name for path in project.iterdir()} - set(os.listdir(ROOT / "template"))
    assert not made & {"airflow.cfg", "airflow.db", "logs"}


def test_make_demo() -> None:
    """The README's first command, but for what it installs."""
    output = succeed(python("tools/demo.py"), ROOT)
    assert re.search(r"plot_penguins +success +\d+\.\d +penguin_plot +data/08_reporting/", output)
    assert processes_of(ROOT / "build" / "demo") == []
    plot = ROOT / "build/demo/data/08_reporting/penguin_plot.png"
    assert plot.read_bytes().startswith(b"\x89PNG")


def append(file: Path, text: str) -> None:
    file.write_text(file.read_text() + text)


def add_pipeline(project: Path, name: str, body: str) -> Path:
    """Write a pipeline folder, as `kedro pipeline create` and an editor would; return its nodes."""
    folder = project / "src/penguins/pipelines" / name
    folder.mkdir()
    nodes = folder / "nodes.py"
    nodes.write_text(f"def {name}(penguins):\n    {body}\n")
    (folder / "pipeline.py").write_text(
        "from kedro.pipeline import node, pipeline\n"
        f"from .nodes import {name}\n"
        "def create_pipeline(**kwargs):\n"
        f"    first = node({name}, 'penguins', '{name}_result', name='{name}_node')\n"
        f"    second = node(repr, '{name}_result', '{name}_text', name='{name}_text_node')\n"
        "    return pipeline([first, second])\n"
    )
    (folder / "__init__.py").write_text("from .pipeline import create_pipeline\n")
    return nodes


def processes_of(project: Path) -> list[str]:
    """The command lines of processes that run in an Airflow of the project."""
    found = []
    for process in psutil.process_iter():
        try:
            home = process.environ().get("AIRFLOW_HOME", "")
            if home.startswith(str(project)) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found
