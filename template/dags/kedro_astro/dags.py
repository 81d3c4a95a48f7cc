"""One Airflow DAG for each pipeline of the project."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG, get_parsing_context

from kedro_astro.errors import BrokenProjectError
from kedro_astro.manifest import load
from kedro_astro.operators import KedroOperator
from kedro_astro.plan import Task, dag_id, tasks
from kedro_astro.structure import Dataset, Pipeline, Structure


def build_dags(project: Path) -> dict[str, DAG]:
    """Return the project's DAGs by id, for `dags/kedro_dags.py` to put where Airflow finds them.

    In a task's process only the DAG of that task is built.

    Args:
        project: the folder that holds `pyproject.toml`.
    """
    structure = load(project)
    wanted = get_parsing_context().dag_id
    ids = {dag_id(structure.package_name, p.name): p for p in structure.pipelines}
    return {
        name: _dag(name, pipeline, structure, project)
        for name, pipeline in ids.items()
        if wanted in (None, name)
    }


def raise_problems(project: Path) -> None:
    """Raise what is wrong with the project, for `dags/kedro_problems.py` to show in Airflow's UI.

    It is a file of its own because Airflow drops all DAGs of a file that raises.

    Raises:
        BrokenProjectError: if pipelines could not be read.
    """
    structure = load(project)
    if structure.problems:
        raise BrokenProjectError(structure.problems, kept=len(structure.pipelines))


def _dag(name: str, pipeline: Pipeline, structure: Structure, project: Path) -> DAG:
    planned = tasks(pipeline, structure.datasets)
    saved_by = {dataset: task.task_id for task in planned for dataset in task.outputs}
    with DAG(
        dag_id=name,
        description=f"Kedro pipeline {pipeline.name} of {structure.project_name}",
        schedule=None,
        catchup=False,
        # Intermediate files have one place each: two runs at once would mix their data.
        max_active_runs=1,
        tags=["kedro", structure.package_name],
    ) as dag:
        operators = {
            task.task_id: KedroOperator(
                task_id=task.task_id,
                project=project,
                pipeline=pipeline.name,
                task=task,
                datasets=structure.datasets,
                producers={
                    dataset: saved_by[dataset]
                    for dataset in task.inputs
                    if dataset in saved_by and structure.datasets[dataset].versioned
                },
                doc_md=_doc(task, structure.datasets),
            )
            for task in planned
        }
    for task in planned:
        operators[task.task_id].set_upstream([operators[before] for before in task.upstream])
    return dag


def _doc(task: Task, datasets: Mapping[str, Dataset]) -> str:
    """Return what a task runs, loads and saves, as Markdown."""

    def listed(names: tuple[str, ...]) -> str:
        return "\n".join(
            f"- `{name}` ({datasets[name].type}"
            + (f", `{datasets[name].location}`)" if datasets[name].location else ")")
            for name in names
        )

    parts = {
        "Nodes": "\n".join(f"- `{node.name}`" for node in task.nodes),
        "Loads": listed(task.inputs),
        "Saves": listed(task.outputs),
    }
    return "\n\n".join(f"**{title}**\n\n{text}" for title, text in parts.items() if text)
