"""The Airflow operator: one task, in the worker's process."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import BaseOperator, Context

from kedro_astro.plan import Task
from kedro_astro.run import folder_of_run, nested, run_nodes, version_of_run
from kedro_astro.structure import (
    RUN_FOLDER,
    RUN_PARAMETER,
    Pipeline,
    Structure,
    untranscoded,
)


class KedroOperator(BaseOperator):
    """Run the nodes of one task in one Kedro session.

    All tasks of a DAG run save versioned datasets under one version, and load what the run itself
    saved, whatever other runs save meanwhile. The task's return value says what it saved:
    `{dataset: {"location": path or URL or None, "version": version or None}}`.

    Args:
        project: the folder that holds `pyproject.toml`.
        structure: the project's datasets and parameters.
        pipeline: the one the task is of.
        task: the nodes to run.
        producers: for versioned inputs that another task of the DAG saves, that task's id.
        templates: parameters from `airflow.yml` that may hold Jinja, by dotted name. Those of a
            trigger form are never rendered: whoever may start a run may not read connections.
    """

    ui_color = "#ffe366"

    def __init__(
        self,
        *,
        project: Path,
        structure: Structure,
        pipeline: Pipeline,
        task: Task,
        producers: Mapping[str, str],
        templates: Mapping[str, Any],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.project = project
        self.pipeline = pipeline
        self.nodes = [node.name for node in task.nodes]
        self.saves = {name: structure.datasets[name] for name in task.outputs}
        self.parameters = structure.parameters
        self.producers = dict(producers)
        self.templates = dict(templates)

    def execute(self, context: Context) -> dict[str, dict[str, str | None]]:
        run = context["dag_run"]
        due = _due(run)
        folder = folder_of_run(due, run.dag_id, run.run_id)
        version = version_of_run(due, self.pipeline.name, context["ti"].try_number)
        own = {name: version for name, dataset in self.saves.items() if dataset.versioned}
        run_nodes(
            self.project,
            self.pipeline,
            self.nodes,
            save_version=version,
            load_versions=own | self._upstream_versions(context),
            runtime_params=nested({**self._changed_parameters(context), RUN_PARAMETER: folder}),
        )
        return {
            name: {
                "location": dataset.location and dataset.location.replace(RUN_FOLDER, folder),
                "version": version if dataset.versioned else None,
            }
            for name, dataset in self.saves.items()
        }

    def _changed_parameters(self, context: Context) -> dict[str, Any]:
        """Return the run's parameters that are not what the project's own configuration says."""
        changed = {}
        for name, value in context["params"].items():
            if name in self.templates and value == self.templates[name]:
                value = self.render_template(value, context)  # noqa: PLW2901
            if name not in self.parameters or value != self.parameters[name]:
                changed[name] = value
        return changed

    def _upstream_versions(self, context: Context) -> dict[str, str]:
        """Return the versions that this run's earlier tasks saved."""
        versions = {}
        for name, task_id in self.producers.items():
            pulled = context["ti"].xcom_pull(task_ids=task_id) or {}
            saved = {untranscoded(dataset): said for dataset, said in pulled.items()}
            if version := saved.get(untranscoded(name), {}).get("version"):
                versions[name] = version
            else:
                self.log.warning(
                    "Task %s did not say which version of %s it saved in this run (was it marked "
                    "as success by hand?): the latest version is loaded.",
                    task_id,
                    name,
                )
        return versions


def _due(run: Any) -> datetime:
    """Return when a DAG run was due, which stays as it is when the run is cleared.

    Airflow 2 has no `run_after`. There a scheduled run is due at the end of its interval; the
    interval of a manual run may have ended long before, and be a scheduled run's as well.
    """
    due: datetime | None = getattr(run, "run_after", None)
    return due or max(run.logical_date, run.data_interval_end)
