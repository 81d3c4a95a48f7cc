"""`airflow.yml`: what goes over what, for a pipeline and for a task, and which pipelines it is."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow_ymls import REPORT, SPLIT, TRAIN, arguments, settings
from hypothesis import given
from hypothesis import strategies as st
from kedro_astro.errors import SettingsError
from kedro_astro.settings.models import SCOPED, Dag, Task
from kedro_astro.settings.read import read
from kedro_astro.settings.use import arguments as arguments_of
from kedro_astro.settings.use import for_task, selected


def test_a_pipelines_section_is_over_the_default_key_by_key() -> None:
    raw = {
        "default": {
            "retries": 1,
            "pool": "small",
            "tags": ["a"],
            "params": {"x": 1, "y": {"a": 1}},
            "credentials": {"store": "aws_default", "shop": "postgres"},
            "executor_config": {"a": 1},
            "nodes": {"split": {"retries": 2, "queue": "slow"}, "train": {"retries": 5}},
        },
        "p": {
            "retries": 3,
            "pool": None,
            "tags": ["b"],
            "params": {"y": {"b": 2}},
            "credentials": {"store": "aws_of_p"},
            "executor_config": {"b": 2},
            "nodes": {"split": {"retries": None}},
        },
    }
    said = settings(raw)
    assert arguments_of(said, Task) == {"retries": 3, "executor_config": {"b": 2}}
    assert arguments_of(said, Dag) == {"tags": ["b"]}
    assert said["params"] == {"x": 1, "y": {"b": 2}}
    assert said["credentials"] == {"store": "aws_of_p", "shop": "postgres"}
    assert for_task(said, [SPLIT]) == {"queue": "slow", "executor_config": {"b": 2}}
    assert for_task(said, [TRAIN])["retries"] == 5


@pytest.mark.parametrize("key", ["params", *SCOPED])
def test_null_takes_back_all_the_names(key: str) -> None:
    names = {"split": {"retries": 1}}

    assert settings({"default": {key: names}}) == {key: names}
    assert settings({"default": {key: names}, "p": {key: None}}) == {}


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
    assert arguments(section, SPLIT) == expected
    # Nodes of which less is said do not change what their task gets.
    assert arguments(section, REPORT, SPLIT) == arguments(section, SPLIT, REPORT) == expected


def test_nodes_of_one_task_that_disagree() -> None:
    section = {"nodes": {"split": {"retries": 1, "pool": "a"}, "train": {"retries": 2}}}
    with pytest.raises(SettingsError) as error:
        arguments(section, SPLIT, TRAIN)
    for text in ("retries", "1 for the node split", "2 for the node train", "same value", "apart"):
        assert text in str(error.value)
    assert arguments(section, SPLIT) == {"retries": 1, "pool": "a"}
    agreed = {"nodes": {"split": {"retries": 2}, "train": {"retries": 2}}}
    assert arguments(agreed, SPLIT, TRAIN) == {"retries": 2}


def test_two_tags_of_one_node_that_disagree_and_the_node_that_decides() -> None:
    section: dict[str, Any] = {
        "node_tags": {"gpu": {"retry_delay": 1}, "slow": {"retry_delay": 2}},
    }
    with pytest.raises(SettingsError, match=r"0:01:00.*node_tags.gpu.*0:02:00.*node_tags.slow"):
        arguments(section, SPLIT)
    section["nodes"] = {"split": {"retry_delay": 3}}
    assert arguments(section, SPLIT) == {"retry_delay": timedelta(minutes=3)}


NAMES = st.lists(st.text("abc_", min_size=1, max_size=4), unique=True)
PATTERNS = st.lists(st.text("abc_*?[]!-", min_size=1, max_size=4), max_size=3)


@given(NAMES, PATTERNS, PATTERNS)
def test_selection(names: list[str], include: list[str], exclude: list[str]) -> None:
    def of(**section: list[str]) -> tuple[str, ...]:
        return selected(read({"pipelines": section})[0], names)

    included, unwanted = of(include=include), of(include=exclude)
    assert of(include=include, exclude=exclude) == tuple(
        name for name in names if name in included and name not in unwanted
    )
    assert of(exclude=exclude) == tuple(name for name in names if name not in unwanted)
    assert set(of(include=names)) == set(names)


def test_reading_settings_imports_neither_kedro_nor_airflow() -> None:
    code = (
        "import sys, kedro_astro.settings\n"
        "print(sorted({'kedro', 'airflow', 'yaml', 'pandas'} & {*sys.modules}))"
    )
    source = Path(__file__).parents[2] / "src"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
