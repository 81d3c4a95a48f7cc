"""What `kedro astro list` prints: pipelines, their tasks, and the nodes of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.markup import escape
from rich.table import Table

from kedro_astro.errors import CrossingError
from kedro_astro.plan import Plans, dag_id, longest_chain
from kedro_astro.structure import Structure


def as_data(structure: Structure, plans: Plans) -> list[dict[str, Any]]:
    """Return one entry for each pipeline, ready for JSON."""
    return [
        {
            "pipeline": name,
            "dag_id": dag_id(structure.package_name, name),
            "error": str(plan) if isinstance(plan, CrossingError) else None,
            "hops": 0 if isinstance(plan, CrossingError) else longest_chain(plan),
            "tasks": [
                {
                    "task_id": task.task_id,
                    "nodes": [node.name for node in task.nodes],
                    "upstream": list(task.upstream),
                    "inputs": list(task.inputs),
                    "outputs": list(task.outputs),
                    "merged": task.merged,
                }
                for task in (() if isinstance(plan, CrossingError) else plan)
            ],
        }
        for name, plan in plans.items()
    ]


def as_tables(structure: Structure, plans: Plans) -> Iterator[Table]:
    """Yield the same as tables: one for each pipeline, a row for each task."""
    for entry in as_data(structure, plans):
        tasks = entry["tasks"]
        table = Table(
            title=escape(f"{entry['dag_id']} ({entry['pipeline']})"),
            caption=escape(entry["error"] or "")
            or f"{len(tasks)} tasks, {entry['hops']} of them one after the other",
            title_justify="left",
            caption_justify="left",
            title_style="bold",
            expand=True,
        )
        for title in ("Task", "Nodes", "After"):
            table.add_column(title, overflow="fold", ratio=1)
        for task in tasks:
            merged = " (merged: groups would have waited for each other)" if task["merged"] else ""
            table.add_row(
                escape(task["task_id"]) + merged,
                escape("\n".join(task["nodes"])),
                escape("\n".join(task["upstream"])),
            )
        yield table
