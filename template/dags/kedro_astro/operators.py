"""The Airflow operator: one task, in the worker's process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import BaseOperator, Context

from kedro_astro.plan import Task
from kedro_astro.run import run_nodes, version_of_run
from kedro_astro.structure import Dataset


class KedroOperator(BaseOperator):
    """Run the nodes of one task in one Kedro session.

    All tasks of a DAG run save versioned datasets under one version, and load what the run itself
    saved, whatever other runs save meanwhile. The task's return value says what it saved:
    `{dataset: {"location": path or URL or None, "version": version or None}}`.

    Args:
        project: the folder that holds `pyproject.toml`.
        pipeline: the name it is registered under.
        task: the nodes to run.
        datasets: the project's datasets, by name.
        producers: for versioned inputs that another task of the DAG saves, that task's id.
    """

    ui_color = "#ffe366"

    def __init__(
        self,
        *,
        project: Path,
        pipeline: str,
        task: Task,
        datasets: Mapping[str, Dataset],
        producers: Mapping[str, str],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.project = project
        self.pipeline = pipeline
        self.nodes = [node.name for node in task.nodes]
        self.saves = {name: datasets[name] for name in task.outputs}
        self.producers = dict(producers)

    def execute(self, context: Context) -> dict[str, dict[str, str | None]]:
        version = version_of_run(context["dag_run"].run_after, context["ti"].try_number)
        saved = {
            name: {
                "location": dataset.location,
                "version": version if dataset.versioned else None,
            }
            for name, dataset in self.saves.items()
        }
        own = {name: version for name, dataset in self.saves.items() if dataset.versioned}
        run_nodes(
            self.project, self.pipeline, self.nodes, version, own | self._upstream_versions(context)
        )
        return saved

    def _upstream_versions(self, context: Context) -> dict[str, str]:
        """Return the versions that this run's earlier tasks saved."""
        versions = {}
        for name, task_id in self.producers.items():
            saved = context["ti"].xcom_pull(task_ids=task_id) or {}
            if version := saved.get(name, {}).get("version"):
                versions[name] = version
            else:
                self.log.warning(
                    "Task %s did not say which version of %s it saved in this run (was it marked "
                    "as success by hand?): the latest version is loaded.",
                    task_id,
                    name,
                )
        return versions
