"""What Airflow builds of each pipeline, ready to be built: plain JSON. Pure functions.

It is made when the project is read, so that a parse neither plans nor checks anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, TypedDict
from urllib.parse import quote

from kedro_astro.errors import KedroAstroError
from kedro_astro.planning.grouping import Task
from kedro_astro.planning.ids import airflow_id
from kedro_astro.planning.plan import Plan, plan_all, shared_by_runs
from kedro_astro.planning.ui import dag_doc, display_name, form, task_doc
from kedro_astro.settings.models import Callback, Cron, OnAssets, Timetable
from kedro_astro.structure import PIPELINE_HOOKS, Pipeline, Structure, leaves, untranscoded

LONG_AGO = datetime.fromisoformat("2020-01-01T00:00:00+00:00")


class Arguments(TypedDict):
    """Arguments of a DAG or an operator.

    Attributes:
        plain: as they are.
        special: what JSON does not have, as pairs: `timedelta` and seconds, `datetime` and its ISO
            form, `callback` and a dotted path.
    """

    plain: dict[str, Any]
    special: dict[str, tuple[str, Any]]


class Work(TypedDict):
    """What a task does.

    Attributes:
        nodes: their names, in order.
        hooks: those of Kedro's pipeline hooks that it fires.
        load: a pipeline that Kedro can load by itself and that has the nodes; empty if the registry
            has to be loaded as it is written.
        producers: by versioned input that another task of the DAG saves, that task's id.
        saves: by output, its location (or None) and whether it is versioned.
    """

    nodes: list[str]
    hooks: list[str]
    load: str
    producers: dict[str, str]
    saves: dict[str, tuple[str | None, bool]]


class TaskBlueprint(TypedDict):
    """One operator.

    Attributes:
        task_id, label: the whole id, and what the UI shows; both with the group's prefix.
        group: the id of the innermost task group, or None.
        upstream: ids of tasks.
        outlets: URIs of the assets that it updates.
    """

    task_id: str
    label: str
    group: str | None
    doc: str
    upstream: list[str]
    outlets: list[str]
    arguments: Arguments
    work: Work


class Blueprint(TypedDict):
    """One DAG.

    Attributes:
        pipeline: its registered name.
        package: the project's Python package.
        source: the folder of the project's packages, relative to the project.
        label, doc: what the UI shows.
        arguments: of the DAG.
        schedule: a text, None, `{"assets": [operator, URIs and such lists]}`, or as Airflow has
            serialized a timetable, `{"encoded": ...}`. Before Airflow has accepted it, also
            `{"cron", "timezone"}` and `{"timetable", "arguments"}`.
        fields: arguments of each `Param` of the trigger form.
        parameters: what the project's own configuration says of these.
        templates: those that may hold Jinja, by dotted name.
        groups: ids of task groups with those of their parents, parents first.
    """

    dag_id: str
    pipeline: str
    package: str
    source: str
    label: str
    doc: str
    arguments: Arguments
    schedule: Any
    fields: dict[str, dict[str, Any]]
    parameters: dict[str, Any]
    templates: dict[str, Any]
    groups: list[tuple[str, str | None]]
    tasks: list[TaskBlueprint]


def blueprints(structure: Structure) -> tuple[list[Blueprint], dict[str, str]]:
    """Return what Airflow builds of a project, and by pipeline why others cannot be DAGs."""
    pipelines = {pipeline.name: pipeline for pipeline in structure.pipelines}
    made, refused = [], {}
    for name, plan in plan_all(structure).items():
        if isinstance(plan, KedroAstroError):
            refused[name] = str(plan)
        else:
            made.append(_dag(pipelines[name], plan, structure))
    return made, refused


def _dag(pipeline: Pipeline, plan: Plan, structure: Structure) -> Blueprint:
    settings = plan.settings
    shared = shared_by_runs(plan.tasks, structure.datasets)
    arguments: dict[str, Any] = {
        "description": f"Kedro pipeline {pipeline.name} of {structure.project_name}",
        "catchup": False,
        # Airflow 2 wants one for each schedule. With catchup it would be the first of many runs.
        **({} if settings.dag.get("catchup") else {"start_date": LONG_AGO}),
        # What has one place for all runs would be mixed by two runs at once.
        **({"max_active_runs": 1} if shared else {}),
        **settings.dag,
        "tags": ["kedro", structure.package_name, *settings.dag.get("tags", ())],
    }
    schedule = arguments.pop("schedule", None)
    allowed = settings.dag_id or airflow_id(pipeline.name) == pipeline.name
    alone = shared if arguments.get("max_active_runs") == 1 else []
    params = {".".join(keys): value for keys, value in leaves(settings.params)}
    fields = form(pipeline, structure.parameters, params)
    groups = _task_groups(plan.tasks)
    return {
        "dag_id": plan.dag_id,
        "pipeline": pipeline.name,
        "package": structure.package_name,
        "source": structure.sources[0],
        "label": plan.dag_id if allowed else pipeline.name,
        "doc": dag_doc(pipeline, alone, structure.left_out),
        "arguments": _arguments(arguments),
        "schedule": _schedule(schedule, structure.package_name),
        "fields": fields,
        "parameters": {n: v for n, v in structure.parameters.items() if n in fields},
        "templates": {name: text for name, text in params.items() if "{{" in str(text)},
        "groups": list(groups.items()),
        "tasks": [_task(task, pipeline, plan, structure, groups) for task in plan.tasks],
    }


def _task(
    task: Task,
    pipeline: Pipeline,
    plan: Plan,
    structure: Structure,
    groups: Mapping[str, str | None],
) -> TaskBlueprint:
    datasets = structure.datasets
    saved_by = {untranscoded(name): other.task_id for other in plan.tasks for name in other.outputs}
    lasting = {untranscoded(name) for name in task.outputs if not datasets[name].of_one_run}
    hooks = PIPELINE_HOOKS if plan.settings.pipeline_hooks == "task" else (task.hook,)
    # One folder's, or the registry's: what two folders hold besides may not go together.
    homes = {pipeline.name} if pipeline.alone else {node.home for node in task.nodes}
    return {
        "task_id": task.task_id,
        "label": display_name(task),
        "group": _group_of(task, groups),
        "doc": task_doc(task, datasets),
        "upstream": list(task.upstream),
        "outlets": sorted(asset_uri(structure.package_name, name) for name in lasting),
        "arguments": _arguments(plan.arguments[task.task_id]),
        "work": {
            "nodes": [node.name for node in task.nodes],
            "hooks": [name for name in hooks if name],
            "load": homes.pop() if len(homes) == 1 else "",
            "producers": {
                name: saved_by[untranscoded(name)]
                for name in task.inputs
                if untranscoded(name) in saved_by and datasets[name].versioned
            },
            "saves": {n: (datasets[n].location, datasets[n].versioned) for n in task.outputs},
        },
    }


def _arguments(values: Mapping[str, Any]) -> Arguments:
    plain: dict[str, Any] = {}
    special: dict[str, tuple[str, Any]] = {}
    for name, value in values.items():
        if isinstance(value, timedelta):
            special[name] = ("timedelta", value.total_seconds())
        elif isinstance(value, datetime):
            special[name] = ("datetime", value.isoformat())
        elif isinstance(value, Callback):
            special[name] = ("callback", str(value))
        else:
            plain[name] = value
    return {"plain": plain, "special": special}


def _schedule(said: Any, package: str) -> Any:
    """Return a schedule as JSON: one that is more than a text becomes a mapping."""
    if isinstance(said, OnAssets):
        return {"assets": _condition(said.assets, package)}
    if isinstance(said, Cron):
        return {"cron": said.cron, "timezone": said.timezone or "UTC"}
    if isinstance(said, Timetable):
        return {"timetable": said.timetable, "arguments": said.arguments or {}}
    return said


def _condition(assets: Any, package: str) -> list[Any]:
    (operator, of) = next(iter(assets.items())) if isinstance(assets, dict) else ("all", assets)
    return [
        operator,
        [
            asset_uri(package, part) if isinstance(part, str) else _condition(part, package)
            for part in (of if isinstance(of, list) else [of])
        ],
    ]


def asset_uri(package: str, name: str) -> str:
    """Return the URI of a dataset's asset, the same on every machine; a URI is that already."""
    if "://" in name:
        return name
    return f"kedro://{package}/{quote(untranscoded(name), safe='')}"


def _task_groups(planned: tuple[Task, ...]) -> dict[str, str | None]:
    """Return a group for each namespace that two tasks or more are in, with the group around it;
    outer ones first."""
    ids = [task.task_id for task in planned]
    namespaces = {
        ".".join(parts[:depth])
        for task in planned
        for parts in [(task.namespace or "").split(".")]
        for depth in range(1, len(parts) + 1)
    }
    groups: dict[str, str | None] = {}
    for namespace in sorted(namespaces - {"", *ids}):
        if sum(name.startswith(f"{namespace}.") for name in ids) >= 2:
            parent = namespace.rpartition(".")[0]
            groups[namespace] = parent if parent in groups else None
    return groups


def _group_of(task: Task, groups: Mapping[str, str | None]) -> str | None:
    """Return the innermost namespace that is a group and that the task's id is in."""
    parts = (task.namespace or "").split(".")
    inner_first = (".".join(parts[:depth]) for depth in range(len(parts), 0, -1))
    ids = (n for n in inner_first if n in groups and task.task_id.startswith(f"{n}."))
    return next(ids, None)
