"""The version of a run: Kedro's own form, and an order that `latest` can rely on."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st
from kedro.io.core import generate_timestamp
from kedro_astro.run import version_of_run

ZONES = st.timezones() | st.none().map(lambda _: timezone.utc)
MOMENTS = st.datetimes(
    min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1), timezones=ZONES
)
MILLISECOND = timedelta(milliseconds=1)


def test_it_looks_like_kedros() -> None:
    moment = datetime(2026, 3, 4, 5, 6, 7, 89_999, timezone(timedelta(hours=1)))
    assert version_of_run(moment) == "2026-03-04T04.06.07.089Z"
    assert len(version_of_run(moment)) == len(generate_timestamp())


@given(MOMENTS, MOMENTS, st.integers(1, 999), st.integers(1, 999))
def test_later_runs_sort_behind_every_try_of_earlier_ones(
    one: datetime, other: datetime, first: int, second: int
) -> None:
    if other - one >= MILLISECOND:
        assert version_of_run(one, first) < version_of_run(other, second)


@given(MOMENTS, st.integers(1, 998))
def test_a_later_try_sorts_behind(moment: datetime, number: int) -> None:
    assert version_of_run(moment, number) < version_of_run(moment, number + 1)
