"""The JSON schema of `airflow.yml`: an editor says what `kedro astro check` says, as you type."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from airflow_ymls import ACCEPTED, SECTION
from kedro_astro.project import SHIM
from kedro_astro.settings.read import read
from test_wrong import WRONG

jsonschema = pytest.importorskip("jsonschema")

SCHEMA = json.loads((SHIM.parent / "airflow.schema.json").read_text(encoding="utf-8"))

BEYOND_A_SCHEMA = (
    *("default.retries is 3.0", "it is more than a year", "day is out of range"),
    *("its year is not", "is in it 2 times", "are one setting", "is before"),
    # JSON has none of these, so no schema speaks of them.
    *("is nan", "is inf", "nan cannot", "b'x'"),
    # Python's `$` matches before a line's end, that of editors does not.
    "'2024-01-31\\n'",
)
"""What is said of what a schema cannot refuse; to JSON, 3.0 is a whole number."""


def refused(raw: object) -> list[str]:
    errors = jsonschema.Draft202012Validator(SCHEMA).iter_errors(raw)
    return [error.message for error in errors]


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("section", [*ACCEPTED, SECTION], ids=str)
def test_what_is_accepted_is_valid(section: dict[str, Any]) -> None:
    assert refused({"data_science": section, "default": None}) == []
    assert refused({"whole_project": section, "pipelines": {"include": ["data_*"]}}) == []


def test_what_is_refused_is_not_valid() -> None:
    for raw, _ in WRONG:
        _, found = read(raw)
        if found and not any(text in found[0] for text in BEYOND_A_SCHEMA):
            assert refused(raw), found


def fields(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for definition in ("Section", "Task", "Selection"):
        yield from schema["$defs"][definition]["properties"].items()


def test_an_editor_shows_what_a_setting_says_and_what_it_must_be() -> None:
    for key, field in fields(SCHEMA):
        assert re.match(r"\S.*\S", field["description"]), key
        assert re.match(r"\S.*\S", field["title"]), key
        # It would offer null for each.
        assert "default" not in field, key


def test_the_names_of_pipelines_are_the_projects() -> None:
    assert "#/$defs/Section" in str(SCHEMA["additionalProperties"])
    assert SCHEMA["properties"].keys() == {"default", "whole_project", "pipelines"}
