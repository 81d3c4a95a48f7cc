"""The Airflow operator: one task, in the worker's process or in an interpreter of its own."""

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from kedro_astro.airflow import sdk
from kedro_astro.airflow.sdk import AirflowFailException, BaseOperator, Context

if TYPE_CHECKING:
    from kedro_astro.planning import Blueprint, Work
    from kedro_astro.running.protocol import Session


class KedroTask(BaseOperator):
    """What every operator of a Kedro task has, wherever its nodes run.

    All tasks of a DAG run save versioned datasets under one version, and load what the run itself
    saved, whatever other runs save meanwhile. The task's return value says what it saved:
    `{dataset: {"location": path or URL or None, "version": version or None}}`.

    Parameters that `airflow.yml` sets may hold Jinja. Those of a trigger form are never rendered:
    whoever may start a run may not read connections.

    Attributes:
        made_of: the folder that holds `pyproject.toml`, the DAG's blueprint, what the task does.
        updates: the assets that are not in `outlets` before it has run.
    """

    ui_color = "#ffe366"
    shallow_copy_attrs = ("made_of",)

    # No argument: an operator with an `__init__` of its own costs Airflow a tenth more.
    made_of: "tuple[str, Blueprint, Work]"
    updates: Iterable[Any] = ()

    def session(self, context: Context) -> "Session":
        """Return what the task has to run.

        Raises:
            AirflowFailException: if that cannot be known, and why.
        """
        # Not at the top, as elsewhere here: a parse has no need of it.
        from kedro_astro.planning.ids import folder_of_run, version_of_run
        from kedro_astro.running.protocol import Session
        from kedro_astro.structure import RUN_PARAMETER, nested

        run: Any = context["dag_run"]
        # When it was due stays as it is when it is cleared. Airflow 2 has no `run_after`. There a
        # scheduled run is due at the end of its interval; that of a manual run may have ended long
        # before, and be a scheduled run's as well.
        due = getattr(run, "run_after", None) or max(run.logical_date, run.data_interval_end)
        folder = folder_of_run(due, run.dag_id, run.run_id)
        ids = run.dag_id, run.run_id, run.start_date, context["ti"].try_number
        version = version_of_run(due, *ids)
        project, blueprint, work = self.made_of
        given: dict[str, Any] = {}
        if blueprint["credentials"]:
            from kedro_astro.airflow.connections import credentials

            given = credentials(blueprint["credentials"])
        own = {name: version for name, versioned in work["saves"].items() if versioned}
        return Session(
            project=project,
            pipeline=blueprint["pipeline"],
            run_id=version,
            load_versions=own | self._upstream_versions(context, work["producers"]),
            runtime_params=nested(self._changed(context, blueprint)) | {RUN_PARAMETER: folder},
            credentials=given,
            code=blueprint["code"],
            **{n: work[n] for n in ("nodes", "hooks", "removes", "retention") if n in work},
        )

    def done(self, session: "Session", saved: Mapping[str, str | None]) -> dict[str, Any]:
        """Return what the task returns when its session has ended well."""
        self.outlets += self.updates
        own = {True: session.run_id, False: None}
        saves = self.made_of[2]["saves"].items()
        return {n: {"location": saved.get(n), "version": own[versioned]} for n, versioned in saves}

    def _changed(self, context: Context, blueprint: "Blueprint") -> dict[str, Any]:
        """Return the run's parameters that are not what the project's own configuration says.

        Raises:
            AirflowFailException: if a parameter is none of the DAG's. Airflow lets whoever starts a
                run give any name, and a misspelt one would change nothing. And if one has no value
                that only the run could know.
        """
        from kedro_astro.errors import NoValueError

        form = context["dag"].params
        templates, parameters = blueprint["templates"], blueprint["parameters"]
        changed = {}
        for name, value in context["params"].items():
            if name not in form:
                raise _unknown(name, form)
            if name in templates and value == templates[name]:
                value = self._rendered(name, value, context)  # noqa: PLW2901
            if value is None and name in blueprint["run_parameters"]:
                raise AirflowFailException(NoValueError(name=name))
            if name not in parameters or value != parameters[name]:
                changed[name] = value
        return changed

    def _rendered(self, name: str, template: str, context: Context) -> Any:
        try:
            return self.render_template(template, context)
        except Exception as error:
            from kedro_astro.errors import TemplateError

            said = TemplateError(name=name, template=template, why=error)
            raise AirflowFailException(said) from error

    def _upstream_versions(self, context: Context, producers: Mapping[str, str]) -> dict[str, str]:
        """Return the versions that this run's earlier tasks saved."""
        from kedro_astro.structure import untranscoded

        versions = {}
        for name, task_id in producers.items():
            pulled = context["ti"].xcom_pull(task_ids=task_id) or {}
            # Both spellings of a transcoded dataset are the same data.
            saved = {untranscoded(dataset): said["version"] for dataset, said in pulled.items()}
            if version := saved.get(untranscoded(name)):
                versions[name] = version
            else:
                what = f"Task {task_id} did not say which version of {name} it saved in this run"
                why = "was it marked as success by hand?"
                self.log.warning(f"{what} ({why}): the latest version is loaded.")
        return versions


class KedroOperator(KedroTask):
    """Run the nodes of one task in the worker's process, or in another interpreter.

    Attributes:
        end: ends the process of the other interpreter; None where there is none.
    """

    end: Callable[[], None] | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        from kedro_astro.airflow.manifest import own_python
        from kedro_astro.running import places

        session, place = self.session(context), self.made_of[2].get("run_in")
        python = own_python()
        if place == "venv" or (python and place != "worker"):
            end = partial(setattr, self, "end")
            saved = places.venv(session, sdk.mask_secret, python or sys.executable, end)
        else:
            saved = places.worker(session, sdk.mask_secret)
        return self.done(session, saved)

    def on_kill(self) -> None:
        """End the process of another interpreter, too."""
        if self.end:
            self.end()


def _unknown(name: str, form: Iterable[str]) -> Exception:
    from kedro_astro.errors import UnknownParameterError, choice, shown

    # The parts of a nested parameter are named with dots.
    parts = ", ".join(part for part in form if part.startswith(f"{name}."))
    meant = f"Give its parts by their own names: {parts}." if parts else choice(name, form)
    return AirflowFailException(UnknownParameterError(name=shown(name), meant=meant))
