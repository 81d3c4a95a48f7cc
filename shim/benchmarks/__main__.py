"""`make bench`: how fast the shim is, beside what it is compared with."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
WORK = BUILD / "bench"
sys.path[1:1] = [str(ROOT / name) for name in ("tests/support", "tools", "template/dags")]

import cases  # noqa: E402
import report  # noqa: E402
import rivals  # noqa: E402
import whole_runs  # noqa: E402
from measure import ImportedAirflow  # noqa: E402
from rich.console import Console  # noqa: E402


def main() -> None:
    """Measure everything, print the table, and write it to `build/bench.*`."""
    console = Console()
    if not console.is_terminal:
        console.width = 160  # of a log; a terminal knows its own
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    console.print("Scaffolding the example ...")
    project = rivals.example(WORK / "penguins")
    os.environ.update(
        AIRFLOW_HOME=str(WORK / "airflow_home"),
        # kedro-airflow's tasks would wait for the telemetry's time-out where there is no network.
        KEDRO_DISABLE_TELEMETRY="1",
        KEDRO_LOGGING_CONFIG=str(project / "conf/logging.yml"),
    )
    rivals.kedro_airflow(project, whole_runs.GROUPED, "--env=airflow", "--group-by=memory")
    rivals.kedro_airflow(project, whole_runs.GUIDE, "--env=guide")
    rows: list[report.Row] = []

    def take(found: Iterable[report.Row]) -> None:
        for row in found:
            rows.append(row)
            console.print(report.table([row]))

    start = partial(ImportedAirflow, WORK / "forks.log", rivals.airflow_modules(project))
    take(cases.parsing(start, WORK))
    take(cases.containers(start, WORK))
    take(cases.against_kedro_airflow(start, project))
    take(cases.discovery(project, WORK))
    take(cases.scale(WORK))
    # Where an installed wheel would be.
    os.environ["PYTHONPATH"] = str(project / "src")
    take(whole_runs.whole_runs(project, WORK / "airflow"))
    console.print()
    console.print(report.table(rows))
    taken_on = f"Taken on {report.machine()}."
    console.print(f"\n{taken_on}")
    report.write(rows, taken_on, BUILD)


if __name__ == "__main__":
    main()
