"""One Airflow DAG for each pipeline of the project."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import (
    DAG,
    Asset,
    Param,
    TaskGroup,
    conf,
    get_parsing_context,
)

from kedro_astro.errors import BrokenProjectError, StillReadingError
from kedro_astro.manifest import STILL_READING, load
from kedro_astro.operators import KedroOperator
from kedro_astro.plan import Plan, Task, airflow_id, plan_all, shared_by_runs
from kedro_astro.settings_values import Callback
from kedro_astro.structure import (
    Dataset,
    Pipeline,
    Structure,
    is_parameter,
    leaves,
    untranscoded,
)

JSON_TYPES = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def build_dags(project: Path) -> dict[str, DAG]:
    """Return the project's DAGs by id, for `dags/kedro_dags.py` to put where Airflow finds them.

    In a task's process only the DAG of that task is built. A pipeline that cannot be a DAG is left
    out; `raise_problems` says why.

    Args:
        project: the folder that holds `pyproject.toml`.
    """
    structure = _load(project)
    pipelines = {pipeline.name: pipeline for pipeline in structure.pipelines}
    plans = plan_all(structure, wanted=get_parsing_context().dag_id)
    return {
        plan.dag_id: _dag(pipelines[name], plan, structure, project)
        for name, plan in plans.items()
        if isinstance(plan, Plan)
    }


def raise_problems(project: Path) -> None:
    """Raise what is wrong with the project, for `dags/kedro_problems.py` to show in Airflow's UI.

    It is a file of its own because Airflow drops all DAGs of a file that raises.

    Raises:
        BrokenProjectError: if pipelines could not be read, or cannot be DAGs.
        StillReadingError: if the project is being read for longer than Airflow would wait.
    """
    structure = _load(project)
    if structure.problems == (STILL_READING,):
        raise StillReadingError(kept=len(structure.pipelines))
    plans = plan_all(structure)
    refused = [f"  {plan}" for plan in plans.values() if not isinstance(plan, Plan)]
    if problems := [*structure.problems, *refused]:
        raise BrokenProjectError(problems, kept=len(plans) - len(refused))


def _load(project: Path) -> Structure:
    # Airflow stops a file that takes longer; leave it the time to build the DAGs.
    return load(project, patience=0.6 * conf.getfloat("core", "dagbag_import_timeout"))


def _dag(pipeline: Pipeline, plan: Plan, structure: Structure, project: Path) -> DAG:
    datasets, settings = structure.datasets, plan.settings
    saved_by = {untranscoded(name): task.task_id for task in plan.tasks for name in task.outputs}
    shared = shared_by_runs(plan.tasks, datasets)
    params = dict(leaves(settings.params))
    arguments: dict[str, Any] = {
        "description": f"Kedro pipeline {pipeline.name} of {structure.project_name}",
        "schedule": None,
        "catchup": False,
        # Airflow 2 wants one for each schedule. Without catchup it makes no run for the past.
        "start_date": datetime(2020, 1, 1, tzinfo=timezone.utc),
        # What has one place for all runs would be mixed by two runs at once.
        **({"max_active_runs": 1} if shared else {}),
        **settings.dag,
        "tags": ["kedro", structure.package_name, *settings.dag.get("tags", ())],
    }
    allowed = settings.dag_id or airflow_id(pipeline.name) == pipeline.name
    with DAG(
        dag_id=plan.dag_id,
        dag_display_name=plan.dag_id if allowed else pipeline.name,
        doc_md=_dag_doc(pipeline, shared if arguments.get("max_active_runs") == 1 else []),
        params=_form(pipeline, structure.parameters, params),
        **arguments,
    ) as dag:
        groups = _task_groups(plan.tasks)
        operators = {}
        for task in plan.tasks:
            group = groups.get(_group_of(task, groups))
            prefix = f"{group.group_id}." if group else ""
            operators[task.task_id] = KedroOperator(
                task_id=task.task_id.removeprefix(prefix),
                task_display_name=_display_name(task).removeprefix(prefix),
                task_group=group or dag.task_group,
                project=project,
                structure=structure,
                pipeline=pipeline,
                task=task,
                producers={
                    name: saved_by[untranscoded(name)]
                    for name in task.inputs
                    if untranscoded(name) in saved_by and datasets[name].versioned
                },
                templates={name: text for name, text in params.items() if "{{" in str(text)},
                outlets=_assets(task, structure),
                doc_md=_task_doc(task, datasets),
                **_importable(plan.arguments[task.task_id], project / structure.sources[0]),
            )
    for task in plan.tasks:
        operators[task.task_id].set_upstream([operators[before] for before in task.upstream])
    return dag


def _importable(arguments: Mapping[str, Any], source: Path) -> dict[str, Any]:
    """Return the arguments with callbacks that know where the user's packages are."""
    return {
        name: replace(value, source=str(source)) if isinstance(value, Callback) else value
        for name, value in arguments.items()
    }


def _form(
    pipeline: Pipeline, parameters: Mapping[str, Any], said: Mapping[str, Any]
) -> dict[str, Param]:
    """Return the parameters that the pipeline's nodes use, and those that `airflow.yml` says for
    it, typed by their value."""
    inputs = {name for node in pipeline.nodes for name in node.inputs if is_parameter(name)}
    used = {name.partition(":")[2] for name in inputs}
    shown = {
        name: value
        for name, value in parameters.items()
        if "parameters" in inputs
        or any(name == part or name.startswith(f"{part}.") for part in used)
    }
    return {
        name: Param(
            value,
            type=_json_types(value, parameters.get(name, value)),
            section=name.rpartition(".")[0] or None,
        )
        for name, value in sorted({**shown, **said}.items())
    }


def _json_types(*values: Any) -> str | list[str]:
    """Return the JSON type that all values have, or all their types: `airflow.yml` may say a
    template, which is text, for a number."""
    types = sorted({JSON_TYPES.get(type(value), "null") for value in values})
    if types == ["null"]:
        return ["null", "string"]
    return types[0] if len(types) == 1 else types


def _task_groups(planned: Iterable[Task]) -> dict[str, TaskGroup]:
    """Make a TaskGroup of each namespace that two tasks or more are in, outer ones first."""
    ids = [task.task_id for task in planned]
    namespaces = {
        ".".join(parts[:depth])
        for task in planned
        for parts in [(task.namespace or "").split(".")]
        for depth in range(1, len(parts) + 1)
    }
    groups: dict[str, TaskGroup] = {}
    for namespace in sorted(namespaces - {"", *ids}):
        if sum(name.startswith(f"{namespace}.") for name in ids) < 2:
            continue
        parent, _, last = namespace.rpartition(".")
        outer = groups.get(parent)
        groups[namespace] = TaskGroup(
            group_id=last if outer else namespace,
            parent_group=outer,
        )
    return groups


def _group_of(task: Task, groups: Mapping[str, TaskGroup]) -> str:
    """Return the innermost namespace that is a group and that the task's id is in."""
    parts = (task.namespace or "").split(".")
    inner_first = (".".join(parts[:depth]) for depth in range(len(parts), 0, -1))
    return next((n for n in inner_first if n in groups and task.task_id.startswith(f"{n}.")), "")


def _display_name(task: Task) -> str:
    """Return the task's id, or the node's own name where Airflow does not allow that as an id."""
    name = task.nodes[0].name
    return name if len(task.nodes) == 1 and task.task_id == airflow_id(name) else task.task_id


def _assets(task: Task, structure: Structure) -> list[Asset]:
    """Return what the task saves for all runs, under URIs that stay the same on every machine."""
    lasting = {
        untranscoded(name) for name in task.outputs if not structure.datasets[name].of_one_run
    }
    return [
        Asset(uri=f"kedro://{structure.package_name}/{quote(name, safe='')}")
        for name in sorted(lasting)
    ]


def _dag_doc(pipeline: Pipeline, shared: list[str]) -> str:
    nodes = "\n".join(
        f"- `{node.name}`" + (f": {node.doc.partition(chr(10))[0]}" if node.doc else "")
        for node in pipeline.nodes
    )
    alone = (
        "One run at a time: these datasets have one place for all runs. "
        "Make them `versioned`, or put `${runtime_params:airflow_run}` into their path: "
        + ", ".join(f"`{name}`" for name in shared)
    )
    parts = [pipeline.doc, f"**Nodes**\n\n{nodes}", alone if shared else ""]
    return "\n\n".join(filter(None, parts))


def _task_doc(task: Task, datasets: Mapping[str, Dataset]) -> str:
    """Return what a task runs, loads and saves, as Markdown."""

    def listed(names: tuple[str, ...]) -> str:
        return "\n".join(
            f"- `{name}` ({datasets[name].type}"
            + (f", `{datasets[name].location}`)" if datasets[name].location else ")")
            for name in names
        )

    parts = {
        "Nodes": "\n\n".join(f"`{node.name}`\n\n{node.doc}".strip() for node in task.nodes),
        "Loads": listed(task.inputs),
        "Saves": listed(task.outputs),
    }
    return "\n\n".join(f"**{title}**\n\n{text}" for title, text in parts.items() if text)
