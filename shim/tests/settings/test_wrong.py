"""`airflow.yml`: what is said of what is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow_ymls import SECTION, SOURCE, settings, wrong
from hypothesis import given
from hypothesis import strategies as st
from kedro_astro.settings.models import WHOLE_PROJECT, Section, Selection
from kedro_astro.settings.read import must_be, read, wrong_settings
from kedro_astro.settings.use import selected
from kedro_astro.structure import Pipeline, Structure

WRONG: list[tuple[Any, list[str]]] = [
    (["default"], ["the file is ['default']", "sections"]),
    (3, ["the file is 3", "sections"]),
    ({"default": 3}, ["default is 3", "settings: owner, ", "retries"]),
    ({"pipelines": 3}, ["pipelines is 3. It must be settings: include, exclude."]),
    ({"data_sciense": {}}, ["data_sciense", "Did you mean data_science?", "whole_project"]),
    ({"__default__": {}}, ["__default__ is no registered pipeline", "whole_project"]),
    ({"3": {}}, ["3 is no registered pipeline"]),
    ({"default": {"retires": 1}}, ["default.retires", "Did you mean retries?", "owner"]),
    ({"default": {"true": 1}}, ["default.true is no setting"]),
    ({"default": {"a b": 1}}, ["default.'a b' is no setting"]),
    ({"default": {"dag_id": "x"}}, ["default.dag_id is no setting here."]),
    ({"default": {"include": []}}, ["default.include is no setting here."]),
    (
        {"pipelines": {"retries": 1}},
        ["pipelines.retries is no setting here. Known here: exclude, include."],
    ),
    ({"pipelines": {"nodes": {"x": 1}}}, ["pipelines.nodes is no setting here."]),
    ({"pipelines": {"include": "data_*"}}, ["pipelines.include is 'data_*'", "a list of texts"]),
    ({"pipelines": {"exclude": ["dta_*"]}}, ["'dta_*' matches no", "Known here: __default__"]),
    ({"default": {"retries": True}}, ["default.retries is true", "YAML reads yes", "whole"]),
    ({"default": {"retries": -1}}, ["default.retries is -1. It must be a whole number, 0 or more"]),
    ({"default": {"retries": 3.0}}, ["default.retries is 3.0"]),
    ({"default": {"retries": "3"}}, ["default.retries is '3'"]),
    ({"default": {"retries": 2**31}}, ["default.retries is 2147483648"]),
    ({"default": {"pool_slots": 0}}, ["default.pool_slots is 0", "1 or more"]),
    ({"default": {"catchup": "yes"}}, ["default.catchup is 'yes'", "true or false"]),
    ({"default": {"catchup": 1}}, ["default.catchup is 1", "true or false"]),
    ({"default": {"owner": " "}}, ["default.owner is ' '", "text"]),
    ({"default": {"owner": "x" * 2001}}, ["default.owner", "at most 2000 characters"]),
    ({"default": {"tags": ["x" * 101]}}, ["default.tags", "at most 100 characters"]),
    ({"default": {"tags": ["a", 3]}}, ["default.tags is ['a', 3]: 3 cannot be in it. It must"]),
    ({"default": {"email": [3]}}, ["default.email is [3]", "address"]),
    ({"default": {"retry_delay": float("nan")}}, ["default.retry_delay is nan", "minutes"]),
    ({"default": {"retry_delay": float("inf")}}, ["default.retry_delay is inf", "a year"]),
    ({"default": {"retry_delay": -1}}, ["default.retry_delay is -1", "minutes"]),
    ({"default": {"retry_delay": "5"}}, ["default.retry_delay is '5'", '"5m"']),
    ({"default": {"retry_delay": "366d"}}, ["is '366d': it is more than a year"]),
    ({"default": {"retry_delay": "9" * 400 + "d"}}, ["it is more than a year"]),
    ({"default": {"execution_timeout": 0}}, ["default.execution_timeout is 0", "more than 0"]),
    ({"default": {"execution_timeout": "0.0 s"}}, ["execution_timeout is '0.0 s'", "more than 0"]),
    ({"default": {"retry_exponential_backoff": 0.5}}, ["backoff is 0.5", "or 1 to 100"]),
    ({"default": {"start_date": "tomorrow"}}, ["start_date is 'tomorrow'", "2024-01-31"]),
    ({"default": {"start_date": "2024-01-31\n"}}, ["start_date is '2024-01-31\\n'"]),
    ({"default": {"start_date": "2023-02-29"}}, ["start_date", "day is out of range"]),
    ({"default": {"start_date": [2023, True, 1]}}, ["start_date", "YAML reads yes"]),
    ({"default": {"start_date": [2023]}}, ["start_date is [2023]"]),
    ({"default": {"start_date": [2023, 13, 10**400]}}, ["start_date", "It must be a date"]),
    ({"default": {"start_date": "0001-01-01"}}, ["not between 1970 and 2999"]),
    ({"default": {"schedule": 5}}, ["schedule is 5", "or null"]),
    ({"default": {"schedule": ""}}, ["schedule is ''", "or null"]),
    ({"default": {"schedule": {}}}, ["schedule is {}", "{assets: [...]}"]),
    ({"default": {"schedule": {"asset": ["parts"]}}}, ["'asset'", "{assets: [...]}"]),
    (
        {"default": {"schedule": {"cron": "@daily", "assets": ["x"]}}},
        ["assets cannot be in it"],
    ),
    (
        {"default": {"schedule": {"assets": ["x"], "timezone": "UTC"}}},
        ["timezone cannot be in it"],
    ),
    ({"default": {"schedule": {"assets": []}}}, ["[] cannot be in it"]),
    ({"default": {"schedule": {"assets": {"some": ["x"]}}}}, ["'some' cannot be in it"]),
    ({"default": {"schedule": {"timetable": "every"}}}, ["'every' cannot be in it"]),
    ({"default": {"on_failure_callback": "call"}}, ["is 'call'", "package.module.function"]),
    ({"default": {"on_failure_callback": "a.b:c"}}, ["is 'a.b:c'"]),
    ({"default": {"grouping": "nodes"}}, ["grouping is 'nodes'. Did you mean node? It must be"]),
    ({"default": {"grouping": ["split"]}}, ["grouping is ['split']", "list of lists"]),
    ({"default": {"grouping": []}}, ["grouping is []"]),
    ({"default": {"grouping": [[]]}}, ["grouping is [[]]: [] cannot be in it"]),
    ({"default": {"grouping": {"a b": ["split"]}}}, ["'a b' cannot be in it"]),
    ({"default": {"grouping": [["split"], ["split"]]}}, ["the node 'split' is in it 2 times"]),
    (
        {"data_science": {"grouping": [["split"]]}},
        ["data_science.grouping: 'split' is no node here", "report, train"],
    ),
    ({"default": {"pipeline_hooks": "runs"}}, ["Did you mean run? It must be task or run"]),
    ({"data_science": {"dag_id": "a b"}}, ["data_science.dag_id is 'a b'", "at most 250"]),
    ({"data_science": {"dag_id": "a" * 251}}, ["data_science.dag_id", "at most 250"]),
    ({"data_science": {"dag_id": "naïve"}}, ["data_science.dag_id is 'naïve'"]),
    *(
        (
            {"default": {"credentials": said}},
            ["credentials is wrong. It must be a mapping of names"],
        )
        for said in ("x", ["x"], {"a": None}, {"a": 3}, {"a": ""}, {"a": "b c"}, {"a": {"b": "c"}})
    ),
    ({"default": {"params": {"a": {"b": b"x"}}}}, ["b'x' cannot be in it", "values that JSON has"]),
    ({"default": {"params": {"a": float("nan")}}}, ["nan cannot be in it", "that JSON has"]),
    ({"default": {"executor_config": "x"}}, ["executor_config is 'x'", "mapping"]),
    ({"default": {"nodes": ["split"]}}, ["default.nodes is ['split']", "mapping"]),
    ({"default": {"nodes": {"split": 3}}}, ["default.nodes.split is 3", "settings: owner"]),
    (
        {"default": {"nodes": {"split": {"schedule": None}}}},
        ["default.nodes.split.schedule is no setting here"],
    ),
    ({"default": {"nodes": {"split": {"retires": 1}}}}, ["nodes.split.retires", "retries"]),
    ({"default": {"nodes": {"split": {"retries": "1"}}}}, ["nodes.split.retries is '1'. It must"]),
    ({"default": {"nodes": {"spilt": {}}}}, ["nodes.spilt is no node", "Did you mean split?"]),
    ({"data_science": {"nodes": {"split": {}}}}, ["nodes.split is no node", "report, train"]),
    ({"default": {"node_tags": {"gup": {}}}}, ["node_tags.gup is no tag", "mean gpu?"]),
    ({"default": {"namespaces": {"raw": {}}}}, ["namespaces.raw", "prepare, prepare.raw"]),
    (
        {"data_science": {"schedule": {"assets": ["prts"]}}},
        ["data_science.schedule: no pipeline leaves a dataset prts", "Did you mean parts?"],
    ),
    (
        {"data_science": {"schedule": {"assets": {"any": ["parts", "model"]}}}},
        ["data_science.schedule: model is saved by data_science itself"],
    ),
    (
        {"default": {"schedule": "@daily", "schedule_interval": "@daily"}},
        ["default: schedule and schedule_interval are one setting"],
    ),
]


@pytest.mark.parametrize(("raw", "texts"), WRONG, ids=lambda case: str(case)[:70])
def test_a_problem_is_one_text_with_the_file_the_key_and_the_remedy(
    raw: object, texts: list[str]
) -> None:
    (problem,) = wrong(raw)
    assert problem.startswith(f"{SOURCE}: ")
    assert [text for text in texts if text not in problem] == []


def test_every_problem_is_reported() -> None:
    raw = {"default": {"retries": -1, "pool": 3}, "data_science": {"nodes": {"x": {"y": 1}}}}
    assert len(wrong(raw)) == 4


def test_what_is_wrong_with_one_pipelines_section_is_no_problem_of_another() -> None:
    raw = {"default": {"retries": 1}, "data_science": {"retries": "many"}}
    assert settings(raw, "data_processing") == {"retries": 1}


@pytest.mark.parametrize("name", ["default", "pipelines", WHOLE_PROJECT])
def test_a_pipeline_with_the_name_of_a_section_is_ambiguous(name: str) -> None:
    pipelines = (Pipeline("__default__", ()), Pipeline(name, ()))

    def said(raw: object) -> list[str]:
        return wrong_settings(Structure("shop", "Shop", "", pipelines, {}, settings=raw))

    assert said({}) == []
    (problem,) = said({name: {}})
    assert f"{name} is both" in problem
    assert "another name" in problem


def test_each_key_says_what_it_must_be() -> None:
    for key in (*Section.model_fields, *Selection.model_fields):
        assert must_be(key)
    assert must_be("retries") == "a whole number, 0 or more"
    assert must_be("no_such_key") == ""


# Whatever the file holds


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": [value]}
    return value


@pytest.mark.parametrize(
    "value",
    [
        *("x" * 1_000_000, 10**5000, -(10**4000), deep(50_000), "\ud800", ["x" * 1000] * 1000),
        *(object(), {3: 1}, {None: {}}, {"\ud800": {}}, {"[key]": {"[key]": 1}}, [deep(9)]),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("key", ["schedule", "retry_delay", "params", "grouping", "nodes", "new"])
def test_hostile_values_are_short_problems(key: str, value: object) -> None:
    for raw in ({"default": {key: value}}, {"default": {key: {"a": value}}}, {key: value}, value):
        found = wrong(raw)
        assert all(len(text) < 2000 for text in found)
        assert found or key == "params"
    assert wrong({"default": {"params": {"a": deep(50_000)}}})


ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        ["@daily", "0 6 * * *", "5m", "2024-01-01", "a.b", "memory", "split", "data_*", 1, 0.5, -1]
    )
)
KEYS = [*Section.model_fields, *Selection.model_fields]
NAMED = st.sampled_from(
    [*KEYS, "default", "pipelines", "data_science", "split", "prepare", "gpu", "assets", "any"]
)
JUNK = st.recursive(
    ATOMS | st.binary(max_size=4) | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(NAMED | st.text(max_size=3) | st.integers() | st.none(), inner)
    ),
)
CONFIGS = st.dictionaries(
    st.sampled_from(["default", "data_science", "pipelines"]), st.dictionaries(NAMED, JUNK)
)


@given(JUNK | CONFIGS)
def test_nothing_raises_and_what_is_left_is_right(raw: object) -> None:
    file, _ = read(raw)
    assert all(text.startswith(f"{SOURCE}: ") for text in wrong(raw))
    assert set(selected(file, ["a", "split"])) <= {"a", "split"}


MOSTLY_RIGHT = st.fixed_dictionaries(
    {}, optional={key: st.just(value) | st.none() for key, value in SECTION.items()}
)


@given(MOSTLY_RIGHT, MOSTLY_RIGHT, st.dictionaries(NAMED, ATOMS, max_size=1))
def test_what_is_not_wrong_can_be_used(
    default: dict[str, Any], own: dict[str, Any], junk: dict[str, Any]
) -> None:
    default.pop("dag_id", None)
    raw = {"default": default, "data_science": {**own, **junk}}
    kept = json.loads(json.dumps(raw))
    assert settings(kept, "data_science") == settings(raw, "data_science")


def test_a_secret_in_the_place_of_a_connection_is_not_repeated() -> None:
    for said in ({"key": "hunter2"}, "postgres://ada:hunter2@db.example.org/shop"):
        (text,) = wrong({"default": {"credentials": {"store": said}}})
        assert "default.credentials" in text and "hunter2" not in text
