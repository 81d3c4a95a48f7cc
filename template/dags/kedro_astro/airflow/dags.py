"""One Airflow DAG for each pipeline of the project, built from the manifest's blueprints.

Airflow runs this at each parse and in each task: what is not needed every time is imported where it
is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import (
    DAG,
    Asset,
    Param,
    TaskGroup,
    conf,
    get_parsing_context,
)

from kedro_astro.airflow.manifest import Manifest, read
from kedro_astro.airflow.operators import KedroOperator

if TYPE_CHECKING:
    from kedro_astro.planning.blueprint import Arguments, Blueprint


def build_dags(project: Path) -> dict[str, DAG]:
    """Return the project's DAGs by id, for `dags/kedro_dags.py` to put where Airflow finds them.

    In a task's process only the DAG of that task is built. A pipeline that cannot be a DAG is left
    out; `raise_problems` says why.

    Args:
        project: the folder that holds `pyproject.toml`.
    """
    built = _built(_read(project), project, wanted=get_parsing_context().dag_id)
    return {dag.dag_id: dag for dag in built if isinstance(dag, DAG)}


def raise_problems(project: Path) -> Manifest:
    """Raise what is wrong with the project; return its manifest if nothing is.

    Raises:
        BrokenProjectError: if pipelines could not be read, or cannot be DAGs.
        StillReadingError: if the project is being read for longer than Airflow would wait.
    """
    from kedro_astro.errors import BrokenProjectError, StillReadingError

    manifest = _read(project)
    built = list(_built(manifest, project))
    refused = [f"  {dag}" for dag in built if not isinstance(dag, DAG)]
    kept = len(built) - len(refused)
    if manifest.still_reading:
        raise StillReadingError(kept=kept)
    if problems := [*manifest.problems, *refused]:
        raise BrokenProjectError(problems, kept=kept)
    return manifest


def _read(project: Path) -> Manifest:
    # Airflow stops a file that takes longer; leave it the time to build the DAGs.
    return read(project, lambda: 0.6 * conf.getfloat("core", "dagbag_import_timeout"))


def _built(
    manifest: Manifest, project: Path, wanted: str | None = None
) -> Iterator[DAG | Exception]:
    """Yield each pipeline's DAG, or why Airflow refuses it: one must not take the others along."""
    for blueprint in manifest.blueprints(wanted):
        try:
            dag = build_dag(blueprint, project)
            dag.validate()  # type: ignore[no-untyped-call]
        except Exception as error:
            from kedro_astro.errors import KedroAstroError, RefusedDagError

            own = isinstance(error, KedroAstroError)
            yield error if own else RefusedDagError(blueprint["pipeline"], error)
        else:
            yield dag


def build_dag(blueprint: Blueprint, project: Path) -> DAG:
    """Return the DAG of a blueprint.

    Args:
        blueprint: of one pipeline.
        project: the folder that holds `pyproject.toml`.

    Raises:
        Exception: whatever Airflow has against it.
    """
    source = str(project / blueprint["source"])
    package = blueprint["package"]
    dag = DAG(
        dag_id=blueprint["dag_id"],
        dag_display_name=blueprint["label"],
        doc_md=blueprint["doc"],
        schedule=_schedule(blueprint["schedule"], package, source),
        # `kedro_dags.py` says which DAGs there are; `kedro_problems.py` builds them to see.
        auto_register=False,
        **_arguments(blueprint["arguments"], source),
    )
    groups: dict[str | None, TaskGroup] = {None: dag.task_group}
    for group_id, parent in blueprint["groups"]:
        last = group_id.removeprefix(f"{parent}.") if parent else group_id
        groups[group_id] = TaskGroup(group_id=last, parent_group=groups[parent], dag=dag)
    operators = {}
    for task in blueprint["tasks"]:
        prefix = f"{task['group']}." if task["group"] else ""
        operators[task["task_id"]] = operator = KedroOperator(
            task_id=task["task_id"].removeprefix(prefix),
            task_display_name=task["label"].removeprefix(prefix),
            task_group=groups[task["group"]],
            dag=dag,
            doc_md=task["doc"],
            outlets=[_asset(name, package) for name in task["outlets"]],
            **_arguments(task["arguments"], source),
        )
        operator.project = str(project)
        operator.blueprint = blueprint
        operator.work = task["work"]
    for task in blueprint["tasks"]:
        if task["upstream"]:
            operator = operators[task["task_id"]]
            operator.set_upstream([operators[before] for before in task["upstream"]])
    # Not before the tasks are made: each would copy all of them, twice, and serialize its copy.
    dag.params.update({name: Param(**field) for name, field in blueprint["fields"].items()})
    return dag


def _arguments(given: Arguments, source: str) -> dict[str, Any]:
    """Return arguments as Airflow takes them; callbacks know where the user's packages are."""
    arguments = dict(given["plain"])
    for name, (kind, value) in given["special"].items():
        if kind == "timedelta":
            arguments[name] = timedelta(seconds=value)
        elif kind == "datetime":
            arguments[name] = datetime.fromisoformat(value)
        else:
            from kedro_astro.airflow.callback import Callback

            arguments[name] = Callback(value, source)
    return arguments


def _schedule(said: str | Mapping[str, Any] | None, package: str, source: str) -> Any:
    """Return what Airflow takes as a schedule.

    Raises:
        SettingsError: if the timetable that `airflow.yml` names is none.
    """
    if said is None or isinstance(said, str):
        return said
    if said["cron"]:
        from airflow.timetables.trigger import CronTriggerTimetable

        return CronTriggerTimetable(said["cron"], timezone=said["timezone"] or "UTC")
    if said["assets"]:
        return _condition(said["assets"], package)
    return _timetable(said["timetable"], said["arguments"], source)


def _timetable(path: str, arguments: Mapping[str, Any], source: str) -> Any:
    from kedro_astro.airflow.callback import imported
    from kedro_astro.errors import SettingsError

    found = imported(path, source, "timetable")
    try:
        return found(**arguments) if callable(found) else found
    except TypeError as error:
        raise SettingsError(
            f"airflow.yml names the timetable {path}, which cannot be made of the arguments "
            f"{', '.join(arguments) or 'none'}: {error}. Correct them under `arguments`."
        ) from error


def _condition(assets: tuple[str, list[Any]], package: str) -> Any:
    from airflow.providers.common.compat.sdk import AssetAll, AssetAny

    operator, of = assets
    parts = [
        _asset(part, package) if isinstance(part, str) else _condition(part, package) for part in of
    ]
    return (AssetAll if operator == "all" else AssetAny)(*parts)


def _asset(name: str, package: str) -> Asset:
    """Return a dataset's asset, whose URI is the same on every machine; or that of a URI."""
    if "://" in name:
        return Asset(uri=name)
    return Asset(uri=f"kedro://{package}/{quote(name.partition('@')[0], safe='')}")
