"""One Airflow DAG for each pipeline of the project."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import (
    DAG,
    Asset,
    AssetAll,
    AssetAny,
    Param,
    TaskGroup,
    conf,
    get_parsing_context,
)

from kedro_astro.dotted import Callback, imported
from kedro_astro.errors import (
    BrokenProjectError,
    KedroAstroError,
    RefusedDagError,
    SettingsError,
    StillReadingError,
)
from kedro_astro.grouping import Task, airflow_id
from kedro_astro.manifest import STILL_READING, load
from kedro_astro.operators import KedroOperator
from kedro_astro.parameters import leaves
from kedro_astro.plan import Plan, plan_all, shared_by_runs
from kedro_astro.run import PIPELINE_HOOKS
from kedro_astro.settings_times import Assets, Schedule
from kedro_astro.structure import Pipeline, Structure, untranscoded
from kedro_astro.ui import dag_doc, display_name, form, task_doc


def build_dags(project: Path) -> dict[str, DAG]:
    """Return the project's DAGs by id, for `dags/kedro_dags.py` to put where Airflow finds them.

    In a task's process only the DAG of that task is built. A pipeline that cannot be a DAG is left
    out; `raise_problems` says why.

    Args:
        project: the folder that holds `pyproject.toml`.
    """
    built = _built(_load(project), project, wanted=get_parsing_context().dag_id)
    return {dag.dag_id: dag for dag in built if isinstance(dag, DAG)}


def raise_problems(project: Path) -> Structure:
    """Raise what is wrong with the project; return its structure if nothing is.

    Raises:
        BrokenProjectError: if pipelines could not be read, or cannot be DAGs.
        StillReadingError: if the project is being read for longer than Airflow would wait.
    """
    structure = _load(project)
    if structure.problems == (STILL_READING,):
        raise StillReadingError(kept=len(structure.pipelines))
    built = list(_built(structure, project))
    refused = [f"  {dag}" for dag in built if isinstance(dag, KedroAstroError)]
    if problems := [*structure.problems, *refused]:
        raise BrokenProjectError(problems, kept=len(built) - len(refused))
    return structure


def _built(
    structure: Structure, project: Path, wanted: str | None = None
) -> Iterator[DAG | KedroAstroError]:
    """Yield each pipeline's DAG, or why it has none: one that fails must not take the others."""
    pipelines = {pipeline.name: pipeline for pipeline in structure.pipelines}
    for name, plan in plan_all(structure, wanted).items():
        if not isinstance(plan, Plan):
            yield plan
            continue
        try:
            dag = _dag(pipelines[name], plan, structure, project)
            dag.validate()  # type: ignore[no-untyped-call]
        except KedroAstroError as error:
            yield error
        except Exception as error:
            yield RefusedDagError(name, error)
        else:
            yield dag


def _load(project: Path) -> Structure:
    # Airflow stops a file that takes longer; leave it the time to build the DAGs.
    return load(project, patience=0.6 * conf.getfloat("core", "dagbag_import_timeout"))


def _dag(pipeline: Pipeline, plan: Plan, structure: Structure, project: Path) -> DAG:
    datasets, settings = structure.datasets, plan.settings
    saved_by = {untranscoded(name): task.task_id for task in plan.tasks for name in task.outputs}
    shared = shared_by_runs(plan.tasks, datasets)
    params = dict(leaves(settings.params))
    source = str(project / structure.sources[0])
    arguments: dict[str, Any] = {
        "description": f"Kedro pipeline {pipeline.name} of {structure.project_name}",
        "catchup": False,
        # Airflow 2 wants one for each schedule. Without catchup it makes no run for the past.
        "start_date": datetime(2020, 1, 1, tzinfo=timezone.utc),
        # What has one place for all runs would be mixed by two runs at once.
        **({"max_active_runs": 1} if shared else {}),
        **settings.dag,
        "schedule": _schedule(settings.dag.get("schedule"), structure.package_name, source),
        "tags": ["kedro", structure.package_name, *settings.dag.get("tags", ())],
    }
    allowed = settings.dag_id or airflow_id(pipeline.name) == pipeline.name
    alone = shared if arguments.get("max_active_runs") == 1 else []
    fields = form(pipeline, structure.parameters, params)
    with DAG(
        dag_id=plan.dag_id,
        dag_display_name=plan.dag_id if allowed else pipeline.name,
        doc_md=dag_doc(pipeline, alone, structure.left_out),
        # `kedro_dags.py` says which DAGs there are; `kedro_problems.py` builds them to see.
        auto_register=False,
        **arguments,
    ) as dag:
        groups = _task_groups(plan.tasks)
        operators = {}
        for task in plan.tasks:
            group = groups.get(_group_of(task, groups))
            prefix = f"{group.group_id}." if group else ""
            operators[task.task_id] = KedroOperator(
                task_id=task.task_id.removeprefix(prefix),
                task_display_name=display_name(task).removeprefix(prefix),
                task_group=group or dag.task_group,
                project=project,
                structure=structure,
                pipeline=pipeline,
                task=task,
                hooks=PIPELINE_HOOKS if settings.pipeline_hooks == "task" else (task.hook,),
                producers={
                    name: saved_by[untranscoded(name)]
                    for name in task.inputs
                    if untranscoded(name) in saved_by and datasets[name].versioned
                },
                templates={name: text for name, text in params.items() if "{{" in str(text)},
                outlets=_assets(task, structure),
                doc_md=task_doc(task, datasets),
                **_importable(plan.arguments[task.task_id], source),
            )
    for task in plan.tasks:
        operators[task.task_id].set_upstream([operators[before] for before in task.upstream])
    # Not before the tasks are made: each would copy all of them, twice, and serialize its copy.
    dag.params.update({name: Param(**field) for name, field in fields.items()})
    return dag


def _schedule(said: str | Schedule | None, package: str, source: str) -> Any:
    """Return what Airflow takes as a schedule.

    Raises:
        SettingsError: if the timetable that `airflow.yml` names is none.
    """
    if not isinstance(said, Schedule):
        return said
    if said.cron:
        # Not at the top: a task's process has no other need of it.
        from airflow.timetables.trigger import CronTriggerTimetable

        return CronTriggerTimetable(said.cron, timezone=said.timezone or "UTC")
    if said.assets:
        return _condition(said.assets, package)
    path = said.timetable or ""
    found = imported(path, source, "timetable")
    try:
        return found(**said.arguments) if callable(found) else found
    except TypeError as error:
        raise SettingsError(
            f"airflow.yml names the timetable {path}, which cannot be made of the arguments "
            f"{', '.join(said.arguments) or 'none'}: {error}. Correct them under `arguments`."
        ) from error


def _condition(assets: Assets, package: str) -> Any:
    parts = [
        _condition(part, package) if isinstance(part, Assets) else _asset(part, package)
        for part in assets.of
    ]
    return (AssetAll if assets.operator == "all" else AssetAny)(*parts)


def _asset(name: str, package: str) -> Asset:
    """Return a dataset's asset, whose URI is the same on every machine; or that of a URI."""
    if "://" in name:
        return Asset(uri=name)
    return Asset(uri=f"kedro://{package}/{quote(untranscoded(name), safe='')}")


def _importable(arguments: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return the arguments with callbacks that know where the user's packages are."""
    return {
        name: replace(value, source=source) if isinstance(value, Callback) else value
        for name, value in arguments.items()
    }


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


def _assets(task: Task, structure: Structure) -> list[Asset]:
    """Return what the task saves for all runs."""
    lasting = {
        untranscoded(name) for name in task.outputs if not structure.datasets[name].of_one_run
    }
    return [_asset(name, structure.package_name) for name in sorted(lasting)]
