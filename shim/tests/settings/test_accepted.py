"""`airflow.yml`: what is accepted, and what it becomes."""

from __future__ import annotations

import inspect
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, get_args

import pytest
from airflow.providers.common.compat.sdk import DAG, BaseOperator
from airflow.serialization.serialized_objects import BaseSerialization
from airflow_ymls import ACCEPTED, SECTION, TRAIN, arguments, settings, wrong
from kedro.config import OmegaConfigLoader
from kedro_astro.airflow.dags import Callback
from kedro_astro.errors import SettingsError
from kedro_astro.project import CONTAINERS
from kedro_astro.reading.parameters import plain
from kedro_astro.settings.models import Callback as Path_
from kedro_astro.settings.models import (
    Cron,
    Dag,
    GroupingName,
    OnAssets,
    Section,
    Task,
    Timetable,
    groups,
)
from kedro_astro.settings.read import read
from kedro_astro.settings.use import arguments as arguments_of
from kedro_astro.settings.use import for_task, selected

UTC = timezone.utc

KEDRO_AIRFLOW = """
# Global parameters
default:
    start_date: [2023, 1, 1]
    max_active_runs: 3
    schedule_interval: "@once"
    catchup: false
    # Default settings applied to all tasks
    owner: "airflow"
    depends_on_past: false
    email_on_failure: false
    email_on_retry: false
    retries: 1
    retry_delay: 5

# Arguments specific to the pipeline (overrides the parameters above)
data_science:
    owner: "airflow-ds"
"""


def loaded(folder: Path, text: str) -> Any:
    """What the reading makes of the text of an `airflow.yml`."""
    for env in ("base", "local"):
        (folder / env).mkdir()
    (folder / "base" / "airflow.yml").write_text(text, encoding="utf-8")
    loader = OmegaConfigLoader(
        str(folder),
        base_env="base",
        default_run_env="local",
        config_patterns={"airflow": ["airflow*", "airflow/**"]},
    )
    return plain(loader["airflow"])


def test_the_file_of_kedro_airflows_readme_is_accepted(tmp_path: Path) -> None:
    raw = loaded(tmp_path, KEDRO_AIRFLOW)
    assert wrong(raw) == []
    said = settings(raw, "data_science")
    assert arguments_of(said, Dag) == {
        "start_date": datetime(2023, 1, 1, tzinfo=UTC),
        "max_active_runs": 3,
        "schedule": "@once",
        "catchup": False,
    }
    assert arguments_of(said, Task) == {
        "owner": "airflow-ds",
        "depends_on_past": False,
        "email_on_failure": False,
        "email_on_retry": False,
        "retries": 1,
        "retry_delay": timedelta(minutes=5),
    }
    assert settings(raw, "data_processing")["owner"] == "airflow"


def test_the_sample_of_all_keys_has_all_keys() -> None:
    assert Section.model_fields.keys() == SECTION.keys() | {"schedule_interval"}


@pytest.mark.parametrize("section", [*ACCEPTED, SECTION], ids=str)
def test_accepted(section: dict[str, Any]) -> None:
    assert wrong({"data_science": section, "pipelines": {"include": ["data_*"]}}) == []
    said = {"schedule" if key == "schedule_interval" else key: section[key] for key in section}
    there = {key for key, value in said.items() if value not in (None, "None")}
    assert settings({"data_science": section}, "data_science").keys() == there


def test_dates_that_are_not_in_quotes(tmp_path: Path) -> None:
    raw = loaded(tmp_path, "default: {start_date: 2024-01-31, end_date: 2024-02-01 06:00:00}")
    assert wrong(raw) == []
    assert settings(raw) == {
        "start_date": datetime(2024, 1, 31, tzinfo=UTC),
        "end_date": datetime(2024, 2, 1, 6, tzinfo=UTC),
    }


def test_kedro_hides_the_whole_projects_section_so_it_has_another_name(tmp_path: Path) -> None:
    raw = loaded(tmp_path, "__default__: {retries: 1}\nwhole_project: {retries: 2}")
    assert "__default__" not in raw
    assert wrong(raw) == []
    assert settings(raw, "__default__") == {"retries": 2}


@pytest.mark.parametrize(
    "raw", [None, {}, {"default": None}, {"data_science": {"nodes": None}}, {"pipelines": None}]
)
def test_nothing_said_is_nothing_set(raw: object) -> None:
    assert wrong(raw) == []
    assert settings(raw, "data_science") == {}
    assert selected(read(raw)[0], ["a", "b"]) == ("a", "b")


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2024-01-31", datetime(2024, 1, 31, tzinfo=UTC)),
        ("2024-01-31 06:30", datetime(2024, 1, 31, 6, 30, tzinfo=UTC)),
        ("2024-01-31T06:30:00Z", datetime(2024, 1, 31, 6, 30, tzinfo=UTC)),
        (
            "2024-01-31T06:30:00+02:00",
            datetime(2024, 1, 31, 6, 30, tzinfo=timezone(timedelta(hours=2))),
        ),
        ([2024, 1, 31, 6], datetime(2024, 1, 31, 6, tzinfo=UTC)),
    ],
)
def test_a_date_is_aware(value: object, moment: datetime) -> None:
    start = settings({"p": {"start_date": value}})["start_date"]
    assert (start, start.utcoffset()) == (moment, moment.utcoffset())


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(5, 300), (0.5, 30), (0, 0), ("30s", 30), ("5m", 300), ("1.5 h", 5400), ("1d", 86400)],
)
def test_a_number_is_minutes_and_a_text_has_a_unit(value: object, seconds: float) -> None:
    assert arguments({"retry_delay": value}) == {"retry_delay": timedelta(seconds=seconds)}


@pytest.mark.parametrize(("value", "factor"), [(True, True), (False, False), (3, 3.0), (1.5, 1.5)])
def test_backoff_is_a_flag_or_a_factor(value: object, factor: object) -> None:
    """Airflow 3.3 takes both, and reads true as 2; those before it take only the flag."""
    got = arguments({"retry_exponential_backoff": value})["retry_exponential_backoff"]
    assert got == factor and type(got) is type(factor)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("@daily", "@daily"),
        ({"cron": "0 6 * * 1"}, Cron(cron="0 6 * * 1")),
        ({"assets": ["a", {"any": ["b", "c"]}]}, OnAssets(assets=["a", {"any": ["b", "c"]}])),
        ({"timetable": "a.b"}, Timetable(timetable="a.b")),
    ],
)
@pytest.mark.parametrize("key", ["schedule", "schedule_interval"])
def test_schedule(key: str, schedule: object, expected: object) -> None:
    assert settings({"p": {key: schedule}}) == {"schedule": expected}


@pytest.mark.parametrize("schedule", [None, "None"])
def test_no_schedule_takes_back_the_defaults(schedule: str | None) -> None:
    raw = {"default": {"schedule": "@daily"}, "data_science": {"schedule_interval": schedule}}
    assert wrong(raw) == []
    assert "schedule" not in settings(raw, "data_science")


@pytest.mark.parametrize(
    ("grouping", "expected"),
    [
        *((name, []) for name in get_args(GroupingName)),
        ([["split", "train"], ["report"]], [(None, ["split", "train"]), (None, ["report"])]),
        ({"prepare": ["split", "train"]}, [("prepare", ["split", "train"])]),
    ],
)
def test_grouping(grouping: object, expected: object) -> None:
    said = settings({"default": {"grouping": grouping}})["grouping"]
    assert said == grouping
    assert groups(said) == expected


def test_every_key_is_an_argument_of_airflows() -> None:
    """The attributes of a DAG and an operator's arguments, so that an Airflow without one shows.
    Some are for whoever chooses the operator."""
    ours = {"schedule_interval", "run_in", *CONTAINERS}
    for model, taken in ((Dag, DAG.__init__), (Task, BaseOperator.__init__)):
        there = inspect.signature(taken).parameters
        assert model.model_fields.keys() - there.keys() <= ours


def built(raw: dict[str, Any]) -> Any:
    """What Airflow serializes of a DAG with the settings of `data_science`."""
    said = settings(raw, "data_science")
    given = {
        key: Callback(value, "src") if isinstance(value, Path_) else value
        for key, value in for_task(said, [TRAIN]).items()
        if key not in ("run_in", *CONTAINERS)
    }
    dag_arguments = arguments_of(said, Dag)
    with DAG(said.get("dag_id", "x"), params=said.get("params", {}), **dag_arguments) as dag:
        BaseOperator(task_id="train", **given)
    dag.validate()
    return json.loads(json.dumps(BaseSerialization.serialize(dag)))["__var"]


def test_airflow_takes_all_settings_and_serializes_them_alike_each_time() -> None:
    first, second = (json.dumps(built({"data_science": SECTION}), sort_keys=True) for _ in range(2))
    assert first == second
    (task,) = json.loads(first)["tasks"]
    # Airflow 3 keeps that there is a callback (`has_on_...`), Airflow 2 what it looks like.
    said = {name for name, value in task["__var"].items() if value and name.endswith("_callback")}
    expected = {f"on_{on}_callback" for on in ("execute", "success", "retry", "failure")}
    assert {name.removeprefix("has_") for name in said} == expected
    assert task["__var"]["retries"] == 4
    assert task["__var"]["queue"] == "gpu"


def test_a_callback_is_imported_when_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    (tmp_path / "calls_of_shop.py").write_text("def failed(context): return [context]\n")
    monkeypatch.syspath_prepend(tmp_path)
    path = arguments({"on_failure_callback": "calls_of_shop.failed"})["on_failure_callback"]
    call = Callback(path, str(tmp_path))
    assert "calls_of_shop" not in sys.modules
    assert call({"run": 1}) == [{"run": 1}]
    monkeypatch.delitem(sys.modules, "calls_of_shop")


@pytest.mark.parametrize("path", ["no_such_module.failed", "json.no_such_function"])
def test_a_callback_that_is_not_there_says_so_when_it_is_called(path: str) -> None:
    with pytest.raises(SettingsError, match=f"{path}, which cannot be imported"):
        Callback(path, "src")({})
