"""The README's first command: a scaffolded project, run on a real Airflow, before your eyes."""

from __future__ import annotations

import argparse
import fcntl
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "build" / "demo"
HOME = PROJECT / ".kedro-astro" / "airflow"
DAG = "penguins"

sys.path.insert(0, str(ROOT / "template" / "dags"))

from airflow_client.client import TaskInstanceResponse  # noqa: E402
from client import FINISHED, Client  # noqa: E402
from kedro_astro.airflow.standalone import running  # noqa: E402
from kedro_astro.errors import KedroAstroError, StandaloneError  # noqa: E402

COLORS = {"success": "green", "failed": "red", "running": "cyan", "upstream_failed": "yellow"}


def main() -> int:
    """Run the demo; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the UI up until Ctrl-C")
    keep = parser.parse_args().keep
    console = Console()
    if not console.is_terminal:
        console.width = 140  # of a log; a terminal knows its own
    try:
        refuse_second()
        scaffold(console)
        console.print("Starting Airflow (SQLite, LocalExecutor) ...")
        started = time.monotonic()
        with running(PROJECT, HOME) as found:
            airflow = Client.of(found)
            if errors := airflow.import_errors():
                raise StandaloneError("\n".join(errors))
            console.print(
                f"Airflow is up after {time.monotonic() - started:.0f} s. Its DAGs, one for each "
                f"Kedro pipeline: {', '.join(airflow.dag_ids())}"
            )
            succeeded = run(airflow, DAG, console)
            if succeeded:
                console.print("Look at build/demo/data/08_reporting/penguin_plot.png")
            if keep:
                console.print(f"\nThe UI: [bold]{airflow.url}/dags/{DAG}[/]   Ctrl-C stops it.")
                airflow.wait_for("Ctrl-C", lambda: None, float("inf"))
    except KedroAstroError as error:
        Console(stderr=True).print(f"[red]{escape(str(error))}[/]", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("\nStopped; no process of Airflow is left.")
        return 0 if keep else 130
    return 0 if succeeded else 1


def refuse_second() -> None:
    """Raise if a demo is running: its project is about to be made anew."""
    with suppress(FileNotFoundError), (HOME / "up.lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StandaloneError(f"A demo is running at {lock.read()}.") from None


def scaffold(console: Console) -> None:
    """Make the project in build/demo with `copier copy`, as a user would."""
    shutil.rmtree(PROJECT, ignore_errors=True)
    command = [
        *("copier", "copy", "--quiet", "--defaults", "--vcs-ref", "HEAD"),
        *("--data", "project_name=Penguins", str(ROOT), str(PROJECT)),
    ]
    console.print("Scaffolding: copier copy --defaults --data project_name=Penguins . build/demo")
    done = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StandaloneError(f"copier could not make the project:\n{done.stdout}{done.stderr}")


def run(airflow: Client, dag_id: str, console: Console) -> bool:
    """Run a DAG once, show it live and then what it saved; return whether it succeeded."""
    run_id = airflow.trigger(dag_id)
    console.print(f"\nTriggered {dag_id} ({run_id}):")
    state = watch(airflow, dag_id, run_id, console)
    instances = airflow.task_instances(dag_id, run_id)
    saved = {
        task.task_id: airflow.saved(dag_id, run_id, task.task_id)
        for task in instances
        if task.state == "success"
    }
    console.print(task_table(instances, saved))
    for task in instances:
        if task.state == "failed":
            console.print(f"\n[red]{escape(task.task_id)} failed. Its log:[/]")
            for line in airflow.task_log(dag_id, run_id, task.task_id, task.try_number):
                console.print(log_line(line), soft_wrap=True)
    return state == "success"


def watch(airflow: Client, dag_id: str, run_id: str, console: Console) -> str:
    """Show the tasks' states until the run has ended; return its state."""
    if not console.is_terminal:
        return airflow.wait_for_run(dag_id, run_id)
    with Live(console=console, transient=True) as live:

        def look() -> str | None:
            live.update(task_table(airflow.task_instances(dag_id, run_id), {}))
            state = airflow.run(dag_id, run_id).state.value
            return state if state in FINISHED else None

        return airflow.wait_for(f"the end of {run_id}", look, 300) or ""


def task_table(
    instances: list[TaskInstanceResponse], saved: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> Table:
    """Return the tasks with state, seconds and, once known, the datasets they saved and where."""
    table = Table(pad_edge=False, box=None, padding=(0, 2, 0, 0))
    for title in ("Task", "State", "Seconds", "Saved", "Where"):
        table.add_column(title, overflow="fold")
    for task in instances:
        state = task.state.value if task.state else "waiting"
        seconds = f"{task.duration:7.1f}" if task.duration else ""
        first = (escape(task.task_id), f"[{COLORS.get(state, 'dim')}]{state}[/]", seconds)
        datasets = saved.get(task.task_id) or {"": {"location": "", "version": None}}
        for name, dataset in datasets.items():
            table.add_row(*first, escape(name), escape(place(dataset)))
            first = ("", "", "")
    return table


def place(dataset: Mapping[str, Any]) -> str:
    """Return where a dataset was saved, with its version if it has one."""
    location = "(no file)" if dataset["location"] is None else dataset["location"]
    return f"{location} @ {dataset['version']}" if dataset["version"] else location


def log_line(line: Mapping[str, Any]) -> str:
    """Return one line of a task's log as text."""
    error = "".join(
        f"\n  {part.get('exc_type')}: {part.get('exc_value')}"
        for part in line.get("error_detail") or []
    )
    return escape(f"  {line.get('level') or '':8} {line.get('event', '')}{error}")


if __name__ == "__main__":
    sys.exit(main())
