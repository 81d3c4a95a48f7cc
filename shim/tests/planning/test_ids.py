"""The version of a run: Kedro's own form, and an order that `latest` can rely on."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kedro.io.core import generate_timestamp
from kedro_astro.planning.ids import folder_of_run, version_of_run
from kedro_astro.structure import nested

ZONES = st.timezones() | st.none().map(lambda _: timezone.utc)
MOMENTS = st.datetimes(
    min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1), timezones=ZONES
)
MILLISECOND = timedelta(milliseconds=1)


def test_it_looks_like_kedros() -> None:
    moment = datetime(2026, 3, 4, 5, 6, 7, 89_999, timezone(timedelta(hours=1)))
    assert version_of_run(moment) == "2026-03-04T04.06.07.089Z"
    assert len(version_of_run(moment)) == len(generate_timestamp())


def test_pipelines_that_are_due_together_never_share_a_version() -> None:
    midnight = datetime(2026, 3, 4, tzinfo=timezone.utc)
    versions = {version_of_run(midnight, name) for name in ("__default__", "sales", "stock")}
    assert len(versions) == 3


def test_every_dag_run_has_a_folder_of_its_own() -> None:
    midnight = datetime(2026, 3, 4, tzinfo=timezone.utc)
    runs = [("shop", "manual__1"), ("shop", "manual__2"), ("stock", "manual__1")]
    folders = {folder_of_run(midnight, *run) for run in runs}
    assert len(folders) == 3 and all(
        name.startswith("2026-03-04T00.00.00.000Z-") for name in folders
    )


def test_dotted_names_become_nested_parameters() -> None:
    assert nested({"a.b": 1, "a.c.d": 2, "e": 3}) == {"a": {"b": 1, "c": {"d": 2}}, "e": 3}


def test_a_parameter_and_a_part_of_it_cannot_both_be_set() -> None:
    assert nested({"a.b": 2, "a": {"c": 1}}) == {"a": {"c": 1, "b": 2}}
    with pytest.raises(ValueError, match=r"a\.b and also a"):
        nested({"a": 1, "a.b": 2})


@given(MOMENTS, MOMENTS, st.integers(1, 999), st.integers(1, 999))
def test_later_runs_sort_behind_every_try_of_earlier_ones(
    one: datetime, other: datetime, first: int, second: int
) -> None:
    if other - one >= MILLISECOND:
        assert version_of_run(one, "a", first) < version_of_run(other, "a", second)


@given(MOMENTS, st.integers(1, 998))
def test_a_later_try_sorts_behind(moment: datetime, number: int) -> None:
    assert version_of_run(moment, "a", number) < version_of_run(moment, "a", number + 1)
