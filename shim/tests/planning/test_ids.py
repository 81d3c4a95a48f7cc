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
NOW = datetime(2026, 3, 4, tzinfo=timezone.utc)
STARTS = st.datetimes(
    min_value=datetime(2000, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(timezone.utc)
)
MILLISECOND = timedelta(milliseconds=1)


RUN = ("shop", "manual__1")


def version(
    due: datetime, run: tuple[str, str] = RUN, started: datetime = NOW, tries: int = 1
) -> str:
    return version_of_run(due, *run, started, tries)


def test_it_begins_as_kedros() -> None:
    moment = datetime(2026, 3, 4, 5, 6, 7, 89_999, timezone(timedelta(hours=1)))
    assert version(moment).startswith("2026-03-04T04.06.07.089Z-")
    assert version(moment)[24] == "-" and len(generate_timestamp()) == 24


def test_no_two_runs_share_a_version() -> None:
    """Of two DAGs, due in the same millisecond, or deleted and made again for the same moment."""
    versions = {
        version(NOW),
        version(NOW, ("stock", "manual__1")),
        version(NOW, ("shop", "manual__2")),
        version(NOW, started=NOW + timedelta(microseconds=1)),
    }
    assert len(versions) == 4


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
        assert version(one, tries=first) < version(other, tries=second)


@given(MOMENTS, STARTS, STARTS, st.integers(1, 99), st.integers(1, 99))
def test_what_a_cleared_run_saves_sorts_behind_what_it_saved_before(
    due: datetime, one: datetime, other: datetime, first: int, second: int
) -> None:
    """Airflow gives a run that is cleared another start."""
    if one < other:
        assert version(due, started=one, tries=first) < version(due, started=other, tries=second)


@given(MOMENTS, st.integers(1, 998))
def test_a_later_try_sorts_behind(moment: datetime, number: int) -> None:
    assert version(moment, tries=number) < version(moment, tries=number + 1)
