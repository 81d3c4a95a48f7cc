"""What is done for as long as an Airflow runs, with processes that are no Airflow."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kedro_astro.airflow.standalone import LARGE, Airflow
from kedro_astro.errors import StandaloneError

ECHO = "for line in iter(input, 'end'): print(line, flush=True)"


@pytest.fixture
def airflow(tmp_path: Path) -> Iterator[Airflow]:
    """An Airflow whose scheduler writes what it is told."""
    with (
        (tmp_path / "scheduler.log").open("ab") as log,
        subprocess.Popen(
            [sys.executable, "-c", ECHO], stdin=subprocess.PIPE, stdout=log, text=True
        ) as process,
    ):
        yield Airflow("http://127.0.0.1:9", tmp_path, {"scheduler": process})
        process.kill()


def tell(airflow: Airflow, line: str) -> None:
    stream = airflow.processes["scheduler"].stdin
    assert stream
    stream.write(f"{line}\n")
    stream.flush()


def test_a_log_does_not_grow_for_ever(airflow: Airflow) -> None:
    """The last part of it stays; what is written later has no hole before it."""
    log = airflow.log("scheduler")
    log.write_bytes(b"x" * (LARGE + 1))
    moments = airflow.moments()
    next(moments)
    tell(airflow, "more")
    while not log.stat().st_size:
        next(moments)
    assert log.read_text() == "more\n"
    assert log.with_name("scheduler.log.1").stat().st_size == LARGE + 1


def test_of_what_the_parses_log_a_day_stays(airflow: Airflow) -> None:
    days = [airflow.logs / "logs/dag_processor" / day for day in ("2026-01-01", "2026-01-02")]
    for day in days:
        (day / "dags-folder").mkdir(parents=True)
    days[0].with_name("latest").symlink_to("2026-01-02")
    next(airflow.moments())
    assert [day.exists() for day in days] == [False, True]


def test_a_component_that_ends_is_named_with_its_last_lines(airflow: Airflow) -> None:
    tell(airflow, "no driver")
    tell(airflow, "end")
    with pytest.raises(StandaloneError, match=r"(?s)scheduler has ended with status 0.*no driver"):
        for _ in airflow.moments():
            pass
