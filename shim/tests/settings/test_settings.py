"""`airflow.yml`: what is accepted, what it becomes, and what is said of what is wrong."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowException, BaseOperator
from airflow.serialization.serialized_objects import BaseSerialization
from airflow.timetables.trigger import CronTriggerTimetable
from hypothesis import given
from hypothesis import strategies as st
from kedro.config import OmegaConfigLoader
from kedro_astro.airflow.callback import Callback
from kedro_astro.errors import SettingsError
from kedro_astro.settings.check import problems
from kedro_astro.settings.keys import KEYS
from kedro_astro.settings.read import WHOLE_PROJECT
from kedro_astro.settings.times import PRESETS
from kedro_astro.settings.use import Settings, for_pipeline, for_task, normalise, selected
from kedro_astro.settings.values import GROUPINGS
from kedro_astro.structure import Node, Pipeline

SOURCE = "conf/base/airflow.yml"
SPLIT = Node("split", namespace="prepare.raw", tags=("gpu", "slow"))
TRAIN = Node("train", namespace="prepare", tags=("gpu",))
REPORT = Node("report")
PIPELINES = (
    Pipeline("__default__", (SPLIT, TRAIN, REPORT)),
    Pipeline("data_processing", (SPLIT,)),
    Pipeline("data_science", (TRAIN, REPORT)),
)
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

SECTION: dict[str, Any] = {
    "dag_id": "shop.daily",
    "pipeline_hooks": "run",
    "description": "All of it",
    "tags": ["shop"],
    "schedule": "0 6 * * mon-fri",
    "start_date": "2024-01-01T06:00:00+02:00",
    "end_date": "2030-01-01",
    "catchup": True,
    "max_active_runs": 2,
    "max_active_tasks": 8,
    "dagrun_timeout": "1d",
    "params": {"threshold": 0.5, "regions": ["eu", None]},
    "grouping": {"first": ["train"], "then": ["report"]},
    "nodes": {"train": {"retries": 4}},
    "node_tags": {"gpu": {"queue": "gpu"}},
    "namespaces": {"prepare": {"pool": "large"}},
    "owner": "us",
    "depends_on_past": True,
    "email": ["us@example.com"],
    "email_on_failure": True,
    "email_on_retry": False,
    "retries": 3,
    "retry_delay": "30s",
    "retry_exponential_backoff": True,
    "max_retry_delay": "1h",
    "execution_timeout": 90,
    "pool": "small",
    "pool_slots": 2,
    "queue": "default",
    "priority_weight": 5,
    "executor_config": {"KubernetesExecutor": {"image": "x"}},
    "on_execute_callback": "shop.calls.execute",
    "on_success_callback": "shop.calls.success",
    "on_retry_callback": "shop.calls.retry",
    "on_failure_callback": "shop.calls.failure",
}
"""Each key that a pipeline's section may have."""


def loaded(folder: Path, text: str) -> Any:
    """What Kedro's configuration loader makes of the text of an `airflow.yml`."""
    for env in ("base", "local"):
        (folder / env).mkdir()
    (folder / "base" / "airflow.yml").write_text(text, encoding="utf-8")
    return OmegaConfigLoader(
        str(folder),
        base_env="base",
        default_run_env="local",
        config_patterns={"airflow": ["airflow*", "airflow/**"]},
    )["airflow"]


def wrong(config: object) -> list[str]:
    return problems(config, PIPELINES, SOURCE)


def one(section: dict[str, Any], *nodes: Node) -> dict[str, Any]:
    """Arguments of a task of the pipeline `p`, whose section is given."""
    return for_task(for_pipeline({"p": section}, "p"), nodes or (REPORT,))


# What is accepted


def test_the_file_of_kedro_airflows_readme_is_accepted(tmp_path: Path) -> None:
    config = loaded(tmp_path, KEDRO_AIRFLOW)
    assert wrong(config) == []
    settings = for_pipeline(normalise(config), "data_science")
    assert settings.dag == {
        "start_date": datetime(2023, 1, 1, tzinfo=UTC),
        "max_active_runs": 3,
        "schedule": "@once",
        "catchup": False,
    }
    assert settings.task == {
        "owner": "airflow-ds",
        "depends_on_past": False,
        "email_on_failure": False,
        "email_on_retry": False,
        "retries": 1,
        "retry_delay": timedelta(minutes=5),
    }
    assert for_pipeline(normalise(config), "data_processing").task["owner"] == "airflow"


def test_every_key_is_accepted() -> None:
    assert {key.name for key in KEYS if key.where != "selection"} == set(SECTION)
    assert wrong({"data_science": SECTION, "pipelines": {"include": ["data_*"]}}) == []


def test_kedro_hides_the_whole_projects_section_so_it_has_another_name(tmp_path: Path) -> None:
    config = loaded(tmp_path, "__default__: {retries: 1}\nwhole_project: {retries: 2}")
    assert "__default__" not in config
    assert wrong(config) == []
    assert for_pipeline(config, "__default__").task == {"retries": 2}


@pytest.mark.parametrize("config", [None, {}, {"default": None}, {"data_science": {"nodes": None}}])
def test_nothing_said_is_nothing_set(config: object) -> None:
    assert wrong(config) == []
    assert for_pipeline(config, "data_science") == Settings()
    assert selected(config, ["a", "b"]) == ("a", "b")


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
        (datetime(2024, 1, 31).date(), datetime(2024, 1, 31, tzinfo=UTC)),
        (datetime(2024, 1, 31, 6), datetime(2024, 1, 31, 6, tzinfo=UTC)),
    ],
)
def test_a_date_is_aware(value: object, moment: datetime) -> None:
    config = {"p": {"start_date": value}}
    for form in (config, normalise(config)):
        start = for_pipeline(form, "p").dag["start_date"]
        assert (start, start.utcoffset()) == (moment, moment.utcoffset())


def test_a_parameters_date_is_its_text() -> None:
    config = {"p": {"params": {"days": [datetime(2024, 1, 31).date()]}}}
    assert for_pipeline(config, "p").params == {"days": ["2024-01-31"]}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(5, 300), (0.5, 30), (0, 0), ("30s", 30), ("5m", 300), ("1.5 h", 5400), ("1d", 86400)],
)
def test_a_number_is_minutes_and_a_text_has_a_unit(value: object, seconds: float) -> None:
    assert one({"retry_delay": value}) == {"retry_delay": timedelta(seconds=seconds)}


@pytest.mark.parametrize(("value", "factor"), [(True, True), (False, False), (3, 3.0), (1.5, 1.5)])
def test_backoff_is_a_flag_or_a_factor(value: object, factor: object) -> None:
    """Airflow 3.3 takes both, and reads true as 2; those before it take only the flag."""
    got = one({"retry_exponential_backoff": value})["retry_exponential_backoff"]
    assert got == factor and type(got) is type(factor)


@pytest.mark.parametrize(
    "schedule",
    [
        *("0 6 * * *", "*/15 8-18 * * mon-fri", "0 0 1,15 jan *", "0 0 L * *", "0 0 * * L5"),
        *("0 0 * * 1#2", "*/90 * * * *", "0 0 ? * 7", "0 0 * * * 30", "00 06 * * SUN"),
        *(preset for preset in PRESETS if preset not in ("@once", "@continuous")),
    ],
)
def test_what_airflow_takes_as_a_schedule_is_accepted(schedule: str) -> None:
    CronTriggerTimetable(schedule, timezone="UTC").validate()
    assert wrong({"default": {"schedule": schedule}}) == []


@pytest.mark.parametrize("schedule", [None, "None"])
def test_no_schedule_takes_back_the_defaults(schedule: str | None) -> None:
    config = {"default": {"schedule": "@daily"}, "data_science": {"schedule_interval": schedule}}
    assert wrong(config) == []
    assert "schedule" not in for_pipeline(config, "data_science").dag


@pytest.mark.parametrize(
    ("grouping", "expected"),
    [
        *((name, name) for name in GROUPINGS),
        ([["split", "train"], ["report"]], ((None, ("split", "train")), (None, ("report",)))),
        ({"prepare": ["split", "train"]}, (("prepare", ("split", "train")),)),
    ],
)
def test_grouping(grouping: object, expected: object) -> None:
    config = {"default": {"grouping": grouping}}
    assert wrong(config) == []
    assert for_pipeline(normalise(config), "__default__").grouping == expected


# What is wrong, and what is said of it


@pytest.mark.parametrize(
    ("config", "texts"),
    [
        (["default"], ["the file is ['default']", "sections"]),
        ({"default": 3}, ["default is 3", "settings", "retries"]),
        ({"data_sciense": {}}, ["data_sciense", "Did you mean data_science?", "whole_project"]),
        ({3: {}}, ["3 is no registered pipeline"]),
        ({"default": {"retires": 1}}, ["default.retires", "Did you mean retries?", "owner"]),
        ({"default": {True: 1}}, ["default.true is no setting"]),
        ({"default": {None: 1}}, ["default.null is no setting"]),
        ({"default": {"dag_id": "x"}}, ["default.dag_id", "Move it to a pipeline's section"]),
        ({"default": {"include": []}}, ["default.include", "the section `pipelines`"]),
        ({"pipelines": {"retries": 1}}, ["pipelines.retries", "`default` or a pipeline's"]),
        (
            {"pipelines": {"include": "data_*"}},
            ["pipelines.include is 'data_*'", "a list of texts"],
        ),
        ({"pipelines": {"exclude": ["dta_*"]}}, ["'dta_*' matches no", "Known here: __default__"]),
        ({"default": {"retries": True}}, ["default.retries is true", "YAML reads yes", "whole"]),
        ({"default": {"retries": -1}}, ["default.retries is -1", "0 or more"]),
        ({"default": {"retries": 3.0}}, ["default.retries is 3.0"]),
        ({"default": {"retries": "3"}}, ["default.retries is '3'"]),
        ({"default": {"retries": 2**31}}, ["default.retries is 2147483648"]),
        ({"default": {"pool_slots": 0}}, ["default.pool_slots is 0", "1 or more"]),
        ({"default": {"catchup": "yes"}}, ["default.catchup is 'yes'", "true or false"]),
        ({"default": {"owner": " "}}, ["default.owner is ' '", "text"]),
        ({"default": {"owner": "x" * 2001}}, ["default.owner", "more than 2000 characters"]),
        ({"default": {"tags": ["x" * 101]}}, ["default.tags", "more than 100 characters"]),
        ({"default": {"email": [3]}}, ["default.email is [3]", "address"]),
        ({"default": {"retry_delay": float("nan")}}, ["default.retry_delay is nan", "minutes"]),
        ({"default": {"retry_delay": float("inf")}}, ["default.retry_delay is inf", "a year"]),
        ({"default": {"retry_delay": "5"}}, ["default.retry_delay is '5'", '"5m"']),
        ({"default": {"execution_timeout": 0}}, ["default.execution_timeout is 0", "more than 0"]),
        ({"default": {"retry_exponential_backoff": 0.5}}, ["backoff is 0.5", "from 1 to 100"]),
        ({"default": {"start_date": "tomorrow"}}, ["start_date is 'tomorrow'", "2024-01-31"]),
        ({"default": {"start_date": "2023-02-29"}}, ["start_date", "day is out of range"]),
        ({"default": {"start_date": [2023, True, 1]}}, ["start_date", "YAML reads yes"]),
        ({"default": {"start_date": [2023]}}, ["start_date is [2023]"]),
        ({"default": {"start_date": "0001-01-01"}}, ["not between 1970 and 2999"]),
        ({"default": {"schedule": "@dialy"}}, ["schedule is '@dialy'", "Did you mean @daily? It"]),
        ({"default": {"schedule": "* * *"}}, ["it has 3 fields", "5 fields"]),
        ({"default": {"schedule": "0 25 * * *"}}, ["its hour 25 is not between 0 and 23"]),
        ({"default": {"schedule": "0 0 * 1-13 *"}}, ["its month 13 is not"]),
        ({"default": {"schedule": 5}}, ["schedule is 5", "or null"]),
        ({"default": {"on_failure_callback": "call"}}, ["is 'call'", "package.module.function"]),
        ({"default": {"on_failure_callback": "a.b:c"}}, ["is 'a.b:c'"]),
        ({"default": {"grouping": "nodes"}}, ["grouping is 'nodes'", "Did you mean node?"]),
        ({"default": {"grouping": ["split"]}}, ["grouping is ['split']", "list of lists"]),
        ({"default": {"grouping": []}}, ["grouping is []"]),
        ({"default": {"grouping": [[]]}}, ["a group has no nodes"]),
        ({"default": {"grouping": {"a b": ["split"]}}}, ["'a b' is no id"]),
        ({"default": {"grouping": [["split"], ["split"]]}}, ["the node 'split' is in it 2 times"]),
        (
            {"data_science": {"grouping": [["split"]]}},
            ["data_science.grouping: 'split' is no node here", "report, train"],
        ),
        ({"data_science": {"dag_id": "a b"}}, ["data_science.dag_id is 'a b'", "at most 250"]),
        ({"data_science": {"dag_id": "a" * 251}}, ["data_science.dag_id", "at most 250"]),
        ({"data_science": {"dag_id": "naïve"}}, ["data_science.dag_id is 'naïve'"]),
        ({"default": {"params": {3: 1}}}, ["params", "key 3 is not text", "quotes"]),
        ({"default": {"params": {"a": [float("nan")]}}}, ["nan is no number of JSON"]),
        ({"default": {"params": {"a": 2**64}}}, ["more than 64 bits"]),
        ({"default": {"params": {"a": b"x"}}}, ["b'x' is no value of JSON"]),
        ({"default": {"executor_config": "x"}}, ["executor_config is 'x'", "mapping"]),
        ({"default": {"nodes": ["split"]}}, ["default.nodes is ['split']", "mapping"]),
        (
            {"default": {"nodes": {"split": {"schedule": None}}}},
            ["default.nodes.split.schedule cannot stand here"],
        ),
        ({"default": {"nodes": {"split": {"retires": 1}}}}, ["nodes.split.retires", "retries"]),
        ({"default": {"nodes": {"spilt": {}}}}, ["nodes.spilt is no node", "Did you mean split?"]),
        ({"data_science": {"nodes": {"split": {}}}}, ["nodes.split is no node", "report, train"]),
        ({"default": {"node_tags": {"gup": {}}}}, ["node_tags.gup is no tag", "mean gpu?"]),
        ({"default": {"namespaces": {"raw": {}}}}, ["namespaces.raw", "prepare, prepare.raw"]),
        (
            {"default": {"schedule": "@daily", "schedule_interval": "@daily"}},
            ["schedule and schedule_interval are one setting"],
        ),
        (
            {"default": {"start_date": "2024-01-02"}, "data_science": {"end_date": "2024-01-01"}},
            ["data_science: end_date and start_date", "2024-01-01", "before 2024-01-02"],
        ),
        (
            {
                "default": {"start_date": "2024-01-02", "end_date": "2024-01-01"},
                "data_science": {"retries": 1},
            },
            ["default: end_date and start_date"],
        ),
        (
            {"default": {"catchup": True, "schedule": "@daily"}},
            ["default: catchup and schedule", "Add one"],
        ),
        (
            {"data_science": {"schedule": "@continuous", "max_active_runs": 2}},
            ["data_science: schedule and max_active_runs", "needs max_active_runs: 1"],
        ),
        ({"data_science": {"schedule": "@continuous"}}, ["needs max_active_runs: 1"]),
        ({"__default__": {}, WHOLE_PROJECT: {}}, ["are one section"]),
    ],
)
def test_a_problem_is_one_text_with_the_file_the_key_and_the_remedy(
    config: object, texts: list[str]
) -> None:
    (problem,) = wrong(config)
    assert problem.startswith(f"{SOURCE}: ")
    assert [text for text in texts if text not in problem] == []


def test_every_problem_is_reported() -> None:
    config = {"default": {"retries": -1, "pool": 3}, "data_science": {"nodes": {"x": {"y": 1}}}}
    assert len(wrong(config)) == 4


@pytest.mark.parametrize("name", ["default", "pipelines", WHOLE_PROJECT])
def test_a_pipeline_with_the_name_of_a_section_is_ambiguous(name: str) -> None:
    pipelines = (Pipeline("__default__", ()), Pipeline(name, ()))
    assert problems({}, pipelines, SOURCE) == []
    (problem,) = problems({name: {}}, pipelines, SOURCE)
    assert f"{name} is both" in problem
    assert "another name" in problem


def test_two_dags_cannot_have_one_id() -> None:
    config: dict[str, Any] = {"data_science": {"dag_id": "x"}, "data_processing": {"dag_id": "x"}}
    first, second = wrong(config)
    assert "data_processing.dag_id is x" in first
    assert "pipeline data_science" in first
    assert "data_science.dag_id is x" in second
    assert wrong({**config, "pipelines": {"exclude": ["data_science"]}}) == []


def test_an_id_cannot_be_the_one_that_another_pipeline_has_by_itself() -> None:
    config = {WHOLE_PROJECT: {"dag_id": "shop.data_science"}}
    ids = {pipeline.name: f"shop.{pipeline.name}" for pipeline in PIPELINES}
    (problem,) = problems(config, PIPELINES, SOURCE, ids)
    assert "whole_project.dag_id is shop.data_science" in problem
    assert problems({WHOLE_PROJECT: {"dag_id": "shop"}}, PIPELINES, SOURCE, ids) == []


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": [value]}
    return value


@pytest.mark.parametrize(
    "value",
    ["x" * 1_000_000, 10**5000, -(10**5000), deep(50_000), "\ud800", ["x" * 1000] * 1000, object()],
    ids=["long", "large", "small", "deep", "surrogate", "wide", "object"],
)
@pytest.mark.parametrize("key", ["schedule", "retry_delay", "params", "grouping", "nodes", "new"])
def test_hostile_values_are_short_problems(key: str, value: object) -> None:
    for config in ({"default": {key: value}}, {"default": {key: {"a": value}}}, {key: value}):
        found = wrong(config)
        assert all(len(text) < 2000 for text in found)
        assert key in "".join(found) or key == "params"
        json.dumps(normalise(config))
    assert wrong({"default": {"params": {"a": deep(50)}}})


# What it becomes


def test_a_pipelines_section_is_over_the_default_key_by_key() -> None:
    config = {
        "default": {
            "retries": 1,
            "pool": "small",
            "tags": ["a"],
            "params": {"x": 1, "y": 1},
            "nodes": {"split": {"retries": 2, "queue": "slow"}, "train": {"retries": 5}},
        },
        "p": {
            "retries": 3,
            "pool": None,
            "tags": ["b"],
            "params": {"y": 2},
            "nodes": {"split": {"retries": None}},
        },
    }
    settings = for_pipeline(config, "p")
    assert settings.task == {"retries": 3}
    assert settings.dag == {"tags": ["b"]}
    assert settings.params == {"x": 1, "y": 2}
    assert for_task(settings, [SPLIT]) == {"queue": "slow"}
    assert for_task(settings, [TRAIN]) == {"retries": 5}


@pytest.mark.parametrize("section", ["default", "data_science"])
def test_a_section_with_a_problem_is_not_used_by_halves(section: str) -> None:
    config = {section: {"retries": "many", "queue": "gpu"}}
    with pytest.raises(SettingsError, match=f"(?s)data_science.*{section}.retries is 'many'"):
        for_pipeline(config, "data_science")


LEVELS = ("tags", "outer", "inner", "node")


@given(st.dictionaries(st.sampled_from(("pipeline", *LEVELS)), st.none() | st.integers(0, 9)))
def test_the_nearer_to_the_node_the_more_it_counts(said: dict[str, int | None]) -> None:
    values = {level: {"retries": said[level]} if level in said else {} for level in LEVELS}
    section: dict[str, Any] = {
        "node_tags": {"slow": values["tags"]},
        "namespaces": {"prepare": values["outer"], "prepare.raw": values["inner"]},
        "nodes": {"split": values["node"]},
    }
    if "pipeline" in said:
        section["retries"] = said["pipeline"]
    order = [said[level] for level in ("pipeline", *LEVELS) if level in said]
    expected = {"retries": order[-1]} if order and order[-1] is not None else {}
    assert one(section, SPLIT) == expected
    # Nodes of which less is said do not change what their task gets.
    assert one(section, REPORT, SPLIT) == one(section, SPLIT, REPORT) == expected


def test_nodes_of_one_task_that_disagree() -> None:
    section = {"nodes": {"split": {"retries": 1, "pool": "a"}, "train": {"retries": 2}}}
    with pytest.raises(SettingsError) as error:
        one(section, SPLIT, TRAIN)
    for text in ("retries", "1 for the node split", "2 for the node train", "same value", "apart"):
        assert text in str(error.value)
    assert one(section, SPLIT) == {"retries": 1, "pool": "a"}
    agreed = {"nodes": {"split": {"retries": 2}, "train": {"retries": 2}}}
    assert one(agreed, SPLIT, TRAIN) == {"retries": 2}


def test_two_tags_of_one_node_that_disagree_and_the_node_that_decides() -> None:
    section: dict[str, Any] = {
        "node_tags": {"gpu": {"retry_delay": 1}, "slow": {"retry_delay": 2}},
    }
    with pytest.raises(SettingsError, match=r"0:01:00.*node_tags.gpu.*nodes\.split\.retry_delay"):
        one(section, SPLIT)
    section["nodes"] = {"split": {"retry_delay": 3}}
    assert one(section, SPLIT) == {"retry_delay": timedelta(minutes=3)}


NAMES = st.lists(st.text("abc_", min_size=1, max_size=4), unique=True)
PATTERNS = st.lists(st.text("abc_*?[]!-", min_size=1, max_size=4), max_size=3)


@given(NAMES, PATTERNS, PATTERNS)
def test_selection(names: list[str], include: list[str], exclude: list[str]) -> None:
    chosen = selected({"pipelines": {"include": include, "exclude": exclude}}, names)
    included = selected({"pipelines": {"include": include}}, names)
    excluded = selected({"pipelines": {"include": exclude}}, names)
    assert chosen == tuple(n for n in names if n in included and n not in excluded)
    assert selected({"pipelines": {"exclude": exclude}}, names) == tuple(
        n for n in names if n not in excluded
    )
    assert set(selected({"pipelines": {"include": names}}, names)) == set(names)


# Whatever the file holds

ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.dates()
    | st.datetimes()
    | st.binary(max_size=4)
    | st.sampled_from(
        ["@daily", "0 6 * * *", "5m", "2024-01-01", "a.b", "memory", "split", "data_*", 1, 0.5, -1]
    )
)
NAMED = st.sampled_from(
    [key.name for key in KEYS] + ["default", "pipelines", "data_science", "split", "prepare", "gpu"]
)
JUNK = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(NAMED | st.text(max_size=3) | st.integers() | st.none(), inner)
    ),
)
CONFIGS = st.dictionaries(
    st.sampled_from(["default", "data_science", "pipelines"]), st.dictionaries(NAMED, JUNK)
)


@given(JUNK | CONFIGS)
def test_normalised_is_json_and_stays_the_same(raw: object) -> None:
    config = normalise(raw)
    assert json.loads(json.dumps(config, allow_nan=False)) == config
    assert normalise(config) == config


@given(JUNK | CONFIGS)
def test_problems_and_selection_never_raise(raw: object) -> None:
    assert all(text.startswith(f"{SOURCE}: ") for text in wrong(raw))
    assert set(selected(raw, ["a", "split"])) <= {"a", "split"}


MOSTLY_RIGHT = st.fixed_dictionaries(
    {}, optional={key: st.just(value) | st.none() for key, value in SECTION.items()}
)


@given(MOSTLY_RIGHT, MOSTLY_RIGHT, st.dictionaries(NAMED, ATOMS, max_size=1))
def test_settings_can_be_used_from_the_manifest_unless_they_have_a_problem(
    default: dict[str, Any], own: dict[str, Any], junk: dict[str, Any]
) -> None:
    default.pop("dag_id", None)
    raw = {"default": default, "data_science": {**own, **junk}}
    kept = json.loads(json.dumps(normalise(raw)))
    if problems(raw, PIPELINES[2:], SOURCE):
        with pytest.raises(SettingsError):
            for_pipeline(raw, "data_science")
    else:
        assert for_pipeline(kept, "data_science") == for_pipeline(raw, "data_science")


def test_what_json_lacks_is_the_same_text_in_every_process() -> None:
    raw = {"a": set("zyx"), "b": {True: 1, None: 2}, "c": object(), "d": float("nan"), "e": 2**70}
    assert normalise(raw) == {
        "a": ["x", "y", "z"],
        "b": {"true": 1, "null": 2},
        "c": "<object>",
        "d": "nan",
        "e": str(2**70),
    }


# With Airflow


def test_every_key_is_an_argument_of_airflows() -> None:
    """The attributes of a DAG and an operator's arguments, so that an Airflow without one shows."""
    for where, taken in (("dag", DAG.__init__), ("task", BaseOperator.__init__)):
        arguments = inspect.signature(taken).parameters
        assert [k.name for k in KEYS if k.where == where and k.name not in arguments] == []


def built(config: dict[str, Any]) -> dict[str, Any]:
    """What Airflow serializes of a DAG with the settings of `data_science`."""
    settings = for_pipeline(config, "data_science")
    with DAG(settings.dag_id or "x", params=dict(settings.params), **settings.dag) as dag:
        BaseOperator(task_id="train", **for_task(settings, [TRAIN]))
    dag.validate()
    return json.loads(json.dumps(BaseSerialization.serialize(dag)))["__var"]


def test_airflow_takes_all_settings_and_serializes_them_alike_each_time() -> None:
    config = {"data_science": SECTION}
    first, second = (json.dumps(built(config), sort_keys=True) for _ in range(2))
    assert first == second
    (task,) = json.loads(first)["tasks"]
    # Airflow 3 keeps that there is a callback (`has_on_...`), Airflow 2 what it looks like.
    said = {name for name, value in task["__var"].items() if value and name.endswith("_callback")}
    expected = {f"on_{on}_callback" for on in ("execute", "success", "retry", "failure")}
    assert {name.removeprefix("has_") for name in said} == expected
    assert task["__var"]["retries"] == 4
    assert task["__var"]["queue"] == "gpu"


def test_airflow_refuses_what_is_called_wrong_together() -> None:
    """It is why `problems` looks: such a DAG takes all others of its file with it."""
    refused = (ValueError, AirflowException)
    with pytest.raises(refused, match="start_date"), DAG("x", schedule="@daily", catchup=True):
        BaseOperator(task_id="train")
    with pytest.raises(refused, match="max_active_runs"):
        DAG("x", schedule="@continuous", start_date=datetime(2024, 1, 1, tzinfo=UTC))


def test_a_callback_is_imported_when_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "calls_of_shop.py").write_text("def failed(context): return [context]\n")
    monkeypatch.syspath_prepend(tmp_path)
    call = one({"on_failure_callback": "calls_of_shop.failed"})["on_failure_callback"]
    assert "calls_of_shop" not in sys.modules
    assert call({"run": 1}) == [{"run": 1}]
    monkeypatch.delitem(sys.modules, "calls_of_shop")


@pytest.mark.parametrize("path", ["no_such_module.failed", "json.no_such_function"])
def test_a_callback_that_is_not_there_says_so_when_it_is_called(path: str) -> None:
    with pytest.raises(SettingsError, match=f"{path}, which cannot be imported"):
        Callback(path)({})


def test_reading_settings_imports_neither_kedro_nor_airflow() -> None:
    code = (
        "import sys, kedro_astro.settings.use\n"
        "print(sorted({'kedro', 'airflow', 'attr', 'yaml', 'pandas'} & {*sys.modules}))"
    )
    source = Path(__file__).parents[2] / "src"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
