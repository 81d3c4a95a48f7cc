"""What `kedro astro list` prints: pipelines, their tasks, and the nodes of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sized
from typing import Any

from rich.markup import escape
from rich.table import Table

from kedro_astro.errors import KedroAstroError
from kedro_astro.planning.plan import Plans, by_grouping, longest_chain
from kedro_astro.structure import Structure


def count(things: Sized, name: str) -> str:
    """Return how many there are, in words."""
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def as_data(plans: Plans, structure: Structure) -> list[dict[str, Any]]:
    """Return one entry for each pipeline, ready for JSON: its DAG and tasks, or its error."""
    pipelines = {pipeline.name: pipeline for pipeline in structure.pipelines}
    return [
        {"pipeline": name, "error": str(plan), "tasks": []}
        if isinstance(plan, KedroAstroError)
        else {
            "pipeline": name,
            "dag_id": plan.dag_id,
            "hops": longest_chain(plan.tasks),
            "by_grouping": {
                grouping: {"tasks": number, "hops": hops}
                for grouping, (number, hops) in by_grouping(
                    pipelines[name], structure.datasets
                ).items()
            },
            "tasks": [
                {
                    "task_id": task.task_id,
                    "nodes": [node.name for node in task.nodes],
                    "upstream": list(task.upstream),
                    "inputs": list(task.inputs),
                    "outputs": list(task.outputs),
                    "merged": task.merged,
                }
                for task in plan.tasks
            ],
        }
        for name, plan in plans.items()
    ]


def _costs(entry: Mapping[str, Any]) -> str:
    """Return how many tasks and hops there are, and what other groupings would make of it."""
    now = {"tasks": len(entry["tasks"]), "hops": entry["hops"]}
    others: dict[str, list[str]] = {}
    for grouping, cost in entry["by_grouping"].items():
        if cost != now:
            others.setdefault(_in_words(**cost), []).append(grouping)
    would = [f"grouping: {' or '.join(names)} would make {cost}" for cost, names in others.items()]
    return "\n".join([_in_words(**now), *would])


def _in_words(tasks: int, hops: int) -> str:
    return "1 task" if tasks == 1 else f"{tasks} tasks, {hops} of them one after the other"


def as_tables(plans: Plans, structure: Structure) -> Iterator[Table]:
    """Yield the same as tables: one for each pipeline, a row for each task."""
    for entry in as_data(plans, structure):
        tasks = entry["tasks"]
        table = Table(
            title=escape(f"{entry.get('dag_id', 'no DAG')} ({entry['pipeline']})"),
            caption=escape(entry.get("error") or _costs(entry)),
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
                escape("\n".join(task["nodes"]) or "(Kedro's hooks, once a run)"),
                escape("\n".join(task["upstream"])),
            )
        yield table
