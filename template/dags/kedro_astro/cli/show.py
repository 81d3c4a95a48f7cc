"""What `kedro astro list` prints: pipelines, their tasks, and the nodes of each."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from kedro_astro.errors import KedroAstroError
from kedro_astro.planning.grouping import Task
from kedro_astro.planning.plan import plan_all
from kedro_astro.structure import Structure


def as_data(structure: Structure) -> list[dict[str, Any]]:
    """Return one entry for each pipeline, ready for JSON: its DAG and tasks, or its error."""
    return [
        {"pipeline": name, "error": str(plan), "tasks": []}
        if isinstance(plan, KedroAstroError)
        else {"pipeline": name, "dag_id": plan.dag_id, "tasks": [*map(_task, plan.tasks)]}
        for name, plan in plan_all(structure).items()
    ]


def _task(task: Task) -> dict[str, Any]:
    return {**vars(task), "nodes": [node.name for node in task.nodes]}


def print_tables(dags: Sequence[Mapping[str, Any]]) -> None:
    """Print the same as tables: one for each pipeline, a row for each task."""
    for dag in dags:
        columns = [Column(title, overflow="fold", ratio=1) for title in ("Task", "Nodes", "After")]
        table = Table(*columns, expand=True)
        for task in dag["tasks"]:
            merged = " (merged: groups would have waited for each other)" if task["merged"] else ""
            alone = "removes what the run alone needed" if task["removes"] else "Kedro's hooks"
            table.add_row(
                escape(task["task_id"]) + merged,
                escape("\n".join(task["nodes"]) or f"({alone}, once a run)"),
                escape("\n".join(task["upstream"])),
            )
        name = Text(f"{dag.get('dag_id', 'no DAG')} ({dag['pipeline']})", style="bold")
        Console().print(name, table, Text(dag.get("error", "")), sep="\n")
