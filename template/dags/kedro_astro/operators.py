"""The Airflow operator: one task, in the worker's process or in an interpreter of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator, Context

try:
    from airflow.sdk.log import mask_secret
except ImportError:  # Airflow 2. The common name is in no common-compat that Python 3.10 can have.
    from airflow.utils.log.secrets_masker import mask_secret  # type: ignore[no-redef]

from kedro_astro.child import Child
from kedro_astro.grouping import Task
from kedro_astro.parameters import nested
from kedro_astro.project import own_python
from kedro_astro.run import Session, folder_of_run, run, version_of_run
from kedro_astro.settings_read import choice
from kedro_astro.settings_values import shown
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
        hooks: those of Kedro's pipeline hooks that the task fires.
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
        hooks: Collection[str | None],
        producers: Mapping[str, str],
        templates: Mapping[str, Any],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.project = str(project)
        self.pipeline = pipeline
        self.hooks = tuple(name for name in hooks if name)
        self.nodes = tuple(node.name for node in task.nodes)
        self.saves = {name: structure.datasets[name] for name in task.outputs}
        self.parameters = structure.parameters
        self.producers = dict(producers)
        self.templates = dict(templates)
        self.child: Child | None = None

    def execute(self, context: Context) -> dict[str, dict[str, str | None]]:
        dag_run = context["dag_run"]
        due = _due(dag_run)
        folder = folder_of_run(due, dag_run.dag_id, dag_run.run_id)
        version = version_of_run(due, self.pipeline.name, context["ti"].try_number)
        own = {name: version for name, dataset in self.saves.items() if dataset.versioned}
        session = Session(
            project=self.project,
            pipeline=self.pipeline.name,
            alone=self.pipeline.alone,
            nodes=self.nodes,
            run_id=version,
            hooks=self.hooks,
            load_versions=own | self._upstream_versions(context),
            runtime_params=nested({**self._changed_parameters(context), RUN_PARAMETER: folder}),
        )
        if python := own_python():
            self.child = Child(python, session)
            self.child.run(mask_secret)
        else:
            run(session, mask_secret)
        return {
            name: {
                "location": dataset.location and dataset.location.replace(RUN_FOLDER, folder),
                "version": version if dataset.versioned else None,
            }
            for name, dataset in self.saves.items()
        }

    def on_kill(self) -> None:
        """End the task's own process with it, if it has one."""
        if self.child:
            self.child.terminate()

    def _changed_parameters(self, context: Context) -> dict[str, Any]:
        """Return the run's parameters that are not what the project's own configuration says.

        Raises:
            AirflowFailException: if a parameter is none of the DAG's. Airflow lets whoever starts a
                run give any name, and a misspelt one would change nothing.
        """
        form = context["dag"].params
        changed = {}
        for name, value in context["params"].items():
            if name not in form:
                raise AirflowFailException(
                    f"This run was started with the parameter {shown(name)}, which the DAG does "
                    f"not have. {_choice(name, form)} To pass it on all the same, name it under "
                    "`params` in airflow.yml. Start the run again."
                )
            if name in self.templates and value == self.templates[name]:
                value = self._rendered(name, context)  # noqa: PLW2901
            if name not in self.parameters or value != self.parameters[name]:
                changed[name] = value
        return changed

    def _rendered(self, name: str, context: Context) -> Any:
        from jinja2 import TemplateError

        try:
            return self.render_template(self.templates[name], context)
        except TemplateError as error:
            raise AirflowFailException(
                f"airflow.yml sets the parameter {name} to {shown(self.templates[name])}, which "
                f"cannot be rendered for this run: {error}. A run without a logical date has no ds "
                "and no data interval: start it with one, or with a value for that parameter."
            ) from error

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


def _choice(name: str, form: Iterable[str]) -> str:
    """Return which parameter was meant: the parts of a nested one are named with dots."""
    if parts := [part for part in form if part.startswith(f"{name}.")]:
        return f"Give its parts by their own names: {', '.join(parts)}."
    return choice(name, form)


def _due(run: Any) -> datetime:
    """Return when a DAG run was due, which stays as it is when the run is cleared.

    Airflow 2 has no `run_after`. There a scheduled run is due at the end of its interval; the
    interval of a manual run may have ended long before, and be a scheduled run's as well.
    """
    due: datetime | None = getattr(run, "run_after", None)
    return due or max(run.logical_date, run.data_interval_end)
