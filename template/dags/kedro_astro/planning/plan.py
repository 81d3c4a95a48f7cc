"""What becomes of each pipeline: id, settings and tasks of its DAG. Pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from kedro_astro.errors import KedroAstroError, SameIdError
from kedro_astro.planning.grouping import Task, tasks
from kedro_astro.planning.ids import airflow_id, hashed
from kedro_astro.settings.models import groups
from kedro_astro.settings.read import read
from kedro_astro.settings.use import Said, for_pipeline, for_task, selected
from kedro_astro.structure import PIPELINE_HOOKS, Dataset, Pipeline, Structure, untranscoded

CLEAN_UP = "clean_up"
"""The id of the task that removes what a run alone needed."""


@dataclass(frozen=True)
class Plan:
    """What becomes of a pipeline.

    Attributes:
        pipeline: the one it is of.
        dag_id: of its DAG.
        settings: what `airflow.yml` says of it.
        tasks: in topological order.
        arguments: of each task's operator, by its id.
    """

    pipeline: Pipeline
    dag_id: str
    settings: Said
    tasks: tuple[Task, ...]
    arguments: Mapping[str, Mapping[str, Any]]

    @cached_property
    def saved_by(self) -> dict[str, str]:
        """The id of the task that saves each dataset, both spellings of a transcoded one as one."""
        return {untranscoded(name): task.task_id for task in self.tasks for name in task.outputs}


def dag_id(package: str, name: str) -> str:
    """Return the id of a pipeline's DAG: the package's name, with the pipeline's behind a dot.

    `__default__`, the whole project, is the package's name alone. A package name is an
    identifier and has no dot, so one pipeline's id is never another's.
    """
    return package if name == "__default__" else f"{package}.{airflow_id(name)}"


def chosen(structure: Structure) -> Structure:
    """Return the structure without the pipelines that `airflow.yml` leaves out, and without the
    datasets that no other has."""
    settings, _ = read(structure.settings)
    names = selected(settings, [pipeline.name for pipeline in structure.pipelines])
    pipelines = tuple(pipeline for pipeline in structure.pipelines if pipeline.name in names)
    used = {name for each in pipelines for node in each.nodes for name in node.datasets}
    datasets = {name: each for name, each in structure.datasets.items() if name in used}
    return replace(structure, pipelines=pipelines, datasets=datasets)


def plan_all(structure: Structure) -> tuple[dict[str, Plan], dict[str, str]]:
    """Return the plans of the pipelines that are to become DAGs, and why others cannot, by name.

    One without nodes becomes none, nor does what `airflow.yml` leaves out.
    """
    settings, _ = read(structure.settings)
    plans: dict[str, Plan] = {}
    refused: dict[str, str] = {}
    taken: dict[str, str] = {}
    pipelines = {pipeline.name: pipeline for pipeline in structure.pipelines if pipeline.nodes}
    for name in selected(settings, pipelines):
        try:
            said = for_pipeline(settings, name)
            own_id = said.get("dag_id", dag_id(structure.package_name, name))
            if (other := taken.setdefault(own_id, name)) != name:
                raise SameIdError(pipeline=name, other=other, dag_id=own_id)
            plans[name] = _plan(pipelines[name], structure, own_id, said)
        except KedroAstroError as error:
            refused[name] = str(error)
    return plans, refused


def _plan(pipeline: Pipeline, structure: Structure, name: str, settings: Said) -> Plan:
    grouping = settings.get("grouping", "memory")
    if not isinstance(grouping, str):
        # A group from the file's default may name nodes that only other pipelines have.
        here = {node.name for node in pipeline.nodes}
        there = [(title, [n for n in group if n in here]) for title, group in groups(grouping)]
        grouping = {title or "__".join(group): group for title, group in there if group}
    planned = tasks(pipeline, structure.datasets, grouping)
    if settings.get("pipeline_hooks") == "run":
        planned = _with_pipeline_hooks(planned)
    if settings.get("retention") != "forever":
        planned = _with_clean_up(planned, structure.datasets)
    arguments = {task.task_id: for_task(settings, task.nodes) for task in planned}
    return Plan(pipeline, name, settings, planned, arguments)


def _with_pipeline_hooks(planned: Sequence[Task]) -> tuple[Task, ...]:
    """Return the tasks with one before all of them and one behind, for Kedro's pipeline hooks."""
    ids = {task.task_id for task in planned}
    first, last = (n if n not in ids else hashed(n, *sorted(ids)) for n in PIPELINE_HOOKS)
    # What the run saved is an input of the last one: a hook that loads it must get this run's.
    saved = tuple(sorted({name for task in planned for name in task.outputs}))
    return (
        Task(first, (), (), (), (), hook="before_pipeline_run"),
        *(replace(task, upstream=task.upstream or (first,)) for task in planned),
        Task(last, (), _leaves(planned), saved, (), hook="after_pipeline_run"),
    )


def _with_clean_up(planned: Sequence[Task], datasets: Mapping[str, Dataset]) -> tuple[Task, ...]:
    """Return the tasks with one behind all of them that removes what the run alone needed, if it
    saves any such thing."""
    own = sorted(n for task in planned for n in task.outputs if datasets[n].of_one_run)
    ids = {task.task_id for task in planned}
    name = CLEAN_UP if CLEAN_UP not in ids else hashed(CLEAN_UP, *sorted(ids))
    last = Task(name, (), _leaves(planned), (), (), removes=tuple(own))
    return (*planned, last) if own else tuple(planned)


def _leaves(planned: Sequence[Task]) -> tuple[str, ...]:
    """Return the ids of the tasks that no other waits for."""
    before = {task_id for task in planned for task_id in task.upstream}
    return tuple(sorted({task.task_id for task in planned} - before))


def shared_by_runs(planned: Sequence[Task], datasets: Mapping[str, Dataset]) -> list[str]:
    """Return what the tasks save to one place for all runs: two runs at once would mix it."""
    saved = {name for task in planned for name in task.outputs}
    return sorted(n for n in saved if not (datasets[n].versioned or datasets[n].of_one_run))
