"""What Airflow builds of each pipeline, ready to be built: plain JSON. Pure functions.

It is made when the project is read, so that a parse neither plans nor checks anything.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from kedro_astro.planning import Arguments, Blueprint
from kedro_astro.planning.grouping import Task
from kedro_astro.planning.ids import airflow_id
from kedro_astro.planning.plan import Plan, plan_all, shared_by_runs
from kedro_astro.planning.ui import dag_doc, display_name, form, task_doc
from kedro_astro.project import CONTAINERS
from kedro_astro.settings.models import Callback, Dag, Model, OnAssets
from kedro_astro.settings.use import arguments
from kedro_astro.structure import PIPELINE_HOOKS, Structure, asset_uri, leaves, untranscoded

LONG_AGO = datetime.fromisoformat("2020-01-01T00:00:00+00:00")

SPECIAL: dict[type, Callable[[Any], Any]] = {
    timedelta: timedelta.total_seconds,
    datetime: datetime.isoformat,
    Callback: str,
}
"""What JSON does not have, and how it is written."""


def blueprints(structure: Structure) -> tuple[list[Blueprint], dict[str, str]]:
    """Return what Airflow builds of a project, and by pipeline why others cannot be DAGs."""
    plans, refused = plan_all(structure)
    return [_dag(plan, structure) for plan in plans.values()], refused


def _dag(plan: Plan, structure: Structure) -> Blueprint:
    pipeline, settings = plan.pipeline, plan.settings
    shared = shared_by_runs(plan.tasks, structure.datasets)
    given: dict[str, Any] = {
        "description": f"Kedro pipeline {pipeline.name} of {structure.project_name}",
        "catchup": False,
        # Airflow 2 wants one for each schedule. With catchup it would be the first of many runs.
        **({} if settings.get("catchup") else {"start_date": LONG_AGO}),
        # What has one place for all runs would be mixed by two runs at once.
        **({"max_active_runs": 1} if shared else {}),
        **arguments(settings, Dag),
        "tags": ["kedro", structure.package_name, *settings.get("tags", ())],
    }
    schedule = given.pop("schedule", None)
    allowed = "dag_id" in settings or airflow_id(pipeline.name) == pipeline.name
    alone = shared if given.get("max_active_runs") == 1 else []
    params = {".".join(keys): value for keys, value in leaves(settings.get("params", {}))}
    fields = form(pipeline, structure, params)
    groups = _task_groups(plan.tasks)
    return {
        "dag_id": plan.dag_id,
        "pipeline": pipeline.name,
        "package": structure.package_name,
        "source": structure.sources[0],
        "code": structure.code,
        "label": plan.dag_id if allowed else pipeline.name,
        "doc": dag_doc(pipeline, alone, structure.left_out),
        "arguments": _arguments(given),
        "schedule": _schedule(schedule, structure.package_name),
        "fields": fields,
        "run_parameters": structure.run_parameters,
        "parameters": {n: v for n, v in structure.parameters.items() if n in fields},
        "credentials": settings.get("credentials", {}),
        "templates": {name: text for name, text in params.items() if "{{" in str(text)},
        "groups": list(groups.items()),
        "tasks": [_task(task, plan, structure, groups) for task in plan.tasks],
    }


def _task(task: Task, plan: Plan, structure: Structure, groups: Mapping[str, Any]) -> Blueprint:
    """Return an entry of a blueprint's `tasks`."""
    datasets, saved_by = structure.datasets, plan.saved_by
    versioned = [n for n in task.inputs if datasets[n].versioned and untranscoded(n) in saved_by]
    lasting = [name for name in task.outputs if not datasets[name].of_one_run]
    fired = PIPELINE_HOOKS if plan.settings.get("pipeline_hooks") != "run" else (task.hook,)
    hooks = () if task.removes else fired
    retention = plan.settings.get("retention")
    kept = retention.total_seconds() if retention and task.removes else None
    arguments = dict(plan.arguments[task.task_id])
    containers = {name: arguments.pop(name, {}) for name in CONTAINERS}
    place = arguments.pop("run_in", "")
    return {
        "task_id": task.task_id,
        "label": display_name(task),
        "group": next((name for name in reversed(task.namespaces) if name in groups), None),
        "doc": task_doc(task, datasets),
        "upstream": list(task.upstream),
        "merged": task.merged,
        "outlets": sorted({asset_uri(structure.package_name, name) for name in lasting}),
        "arguments": _arguments(arguments),
        "work": {
            **({"run_in": place} if place else {}),
            **({"container": containers[place]} if place in containers else {}),
            "nodes": [node.name for node in task.nodes],
            "hooks": [name for name in hooks if name],
            "producers": {name: saved_by[untranscoded(name)] for name in versioned},
            "saves": {name: datasets[name].versioned for name in task.outputs},
            **({"removes": task.removes, "retention": kept} if task.removes else {}),
        },
    }


def _arguments(values: Mapping[str, Any]) -> Arguments:
    return {name: _written(value) for name, value in values.items()}


def _written(value: Any) -> tuple[str, Any]:
    kind = type(value)
    return (kind.__name__.lower(), SPECIAL[kind](value)) if kind in SPECIAL else ("", value)


def _schedule(said: Any, package: str) -> Any:
    """Return a schedule as JSON: one that is more than a text becomes a mapping."""
    if isinstance(said, OnAssets):
        one = isinstance(said.assets, str)
        return {"assets": _condition([said.assets] if one else said.assets, package)}
    return said.model_dump() if isinstance(said, Model) else said


def _condition(assets: Any, package: str) -> Any:
    """Return the URI of one dataset; of more, an operator and what it is of."""
    if isinstance(assets, str):
        return assets if "://" in assets else asset_uri(package, assets)
    operator, of = next(iter(assets.items())) if isinstance(assets, dict) else ("all", assets)
    parts = of if isinstance(of, list) else [of]
    return [operator, [_condition(part, package) for part in parts]]


def _task_groups(planned: Sequence[Task]) -> dict[str, str | None]:
    """Return a group for each namespace that two tasks or more are in, with the group around it;
    outer ones first."""
    sizes = Counter(namespace for task in planned for namespace in task.namespaces)
    names = {name for name, size in sizes.items() if size > 1} - {task.task_id for task in planned}
    parents = {name: name.rpartition(".")[0] for name in sorted(names)}
    return {name: parent if parent in names else None for name, parent in parents.items()}
