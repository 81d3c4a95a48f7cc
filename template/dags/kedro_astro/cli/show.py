"""What `kedro astro list` prints: pipelines, their tasks, and the nodes of each."""

from typing import Any

from kedro_astro.errors import KedroAstroError
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


def _task(task: Any) -> dict[str, Any]:
    return {**vars(task), "nodes": [node.name for node in task.nodes]}
