"""One Airflow DAG for each pipeline of the project, built from the manifest's blueprints.

Airflow runs this at each parse and in each task. Nothing is checked or caught here: a manifest
holds only what Airflow has accepted, see `verdict`.
"""

import pkgutil
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro_astro.airflow import sdk
from kedro_astro.airflow.manifest import patience, read
from kedro_astro.airflow.operators import KedroOperator, KedroTask
from kedro_astro.project import CONTAINERS

if TYPE_CHECKING:
    from kedro_astro.planning import Arguments, Blueprint


def build_dags(project: Path) -> dict[str, sdk.DAG]:
    """Return the project's DAGs by id, for `dags/kedro_dags.py` to put where Airflow finds them.

    In a task's process only the DAG of that task is built. A pipeline that cannot be a DAG is left
    out, or as it last could be; `problems` says why.

    Args:
        project: the folder that holds `pyproject.toml`.
    """
    wanted = sdk.get_parsing_context().dag_id
    found = read(project, patience, wanted).blueprints(wanted)
    dags = {blueprint["dag_id"]: build_dag(blueprint, project) for blueprint in found}
    for dag in dags.values() if wanted else ():
        for task in dag.tasks:
            # Airflow starts no task of an asset that a newer commit has no more, and lets one end.
            task.updates, task.outlets = task.outlets, []  # type: ignore[union-attr]
    return dags


def build_dag(blueprint: "Blueprint", project: Path) -> sdk.DAG:
    """Return the DAG of a blueprint.

    Args:
        blueprint: of one pipeline.
        project: the folder that holds `pyproject.toml`.

    Raises:
        Exception: whatever Airflow has against it.
    """
    source = str(project / blueprint["source"])
    dag = sdk.DAG(
        dag_id=blueprint["dag_id"],
        dag_display_name=blueprint["label"],
        doc_md=blueprint["doc"],
        schedule=_schedule(blueprint["schedule"]),
        **_arguments(blueprint["arguments"], source),
    )
    groups: dict[str | None, sdk.TaskGroup] = {None: dag.task_group}
    for group_id, parent in blueprint["groups"]:
        last = group_id.removeprefix(f"{parent}.") if parent else group_id
        groups[group_id] = sdk.TaskGroup(group_id=last, parent_group=groups[parent], dag=dag)
    for task in blueprint["tasks"]:
        prefix = f"{task['group']}." if task["group"] else ""
        given = {
            "task_id": task["task_id"].removeprefix(prefix),
            "task_display_name": task["label"].removeprefix(prefix),
            "task_group": groups[task["group"]],
            "dag": dag,
            "doc_md": task["doc"],
            "outlets": [sdk.Asset(uri=uri) for uri in task["outlets"]],
        }
        given |= _arguments(task["arguments"], source)
        operator = _operator(task, given, blueprint["pipeline"])
        operator.made_of = str(project), blueprint, task["work"]
        # A teardown's failure is shown, and fails no run. It keeps the rule that all before it must
        # have succeeded: with that of `as_teardown` a retry would find nothing.
        if "removes" in task["work"]:
            operator.is_teardown, operator.depends_on_past = True, False
        # As Airflow links what it has serialized: `set_upstream` looks at all tasks for each edge.
        operator.upstream_task_ids.update(task["upstream"])
        for before in task["upstream"]:
            dag.task_dict[before].downstream_task_ids.add(task["task_id"])
    # Not before the tasks are made: each would copy all of them, twice, and serialize its copy.
    dag.params.update({name: sdk.Param(**field) for name, field in blueprint["fields"].items()})
    return dag


def _operator(task: "Blueprint", given: dict[str, Any], pipeline: str) -> KedroTask:
    """Return a task's operator. The providers of others are imported where a task needs them."""
    place, config = task["work"].get("run_in"), given.get("executor_config") or {}
    if "pod_override" in config:
        from kedro_astro.airflow.kubernetes import as_object

        pod = as_object(config["pod_override"], "V1Pod", "executor_config.pod_override")
        given["executor_config"] = {**config, "pod_override": pod}
    if place not in CONTAINERS:
        return KedroOperator(**given)
    names = {"kedro/pipeline": pipeline, "kedro/nodes": ", ".join(task["work"]["nodes"])}
    made = import_module(f"kedro_astro.airflow.{place}").operator
    return made(names, task["work"]["container"], given)  # type: ignore[no-any-return]


def _arguments(given: "Arguments", source: str) -> dict[str, Any]:
    """Return arguments as Airflow takes them; callbacks know where the user's packages are."""
    kinds: dict[str, Callable[[Any], Any]] = {
        "": lambda value: value,
        "timedelta": lambda seconds: timedelta(seconds=seconds),
        "datetime": datetime.fromisoformat,
        "callback": lambda path: Callback(path, source),
    }
    return {name: kinds[kind](value) for name, (kind, value) in given.items()}


def _schedule(said: Any) -> Any:
    """Return what Airflow takes as a schedule: a text, assets, or a timetable it has serialized."""
    if said is None or isinstance(said, str):
        return said
    if "assets" in said:
        return _condition(said["assets"])
    # There in Airflow 2 and 3; most DAGs have no need of it.
    from airflow.serialization import serialized_objects

    return serialized_objects.decode_timetable(said["encoded"])  # type: ignore[attr-defined]


def _condition(assets: tuple[str, list[Any]]) -> Any:
    operator, of = assets
    parts = [sdk.Asset(uri=part) if isinstance(part, str) else _condition(part) for part in of]
    return (sdk.AssetAll if operator == "all" else sdk.AssetAny)(*parts)


def imported(path: str, source: str, what: str) -> Any:
    """Return the object at `package.module.name`.

    Args:
        path: where it is.
        source: the folder of the user's packages, for a process that has not loaded them.
        what: the setting that names it, for the error.

    Raises:
        NoSuchNameError: if there is no such module or name.
    """
    if source not in sys.path:
        sys.path.insert(0, source)
    try:
        return pkgutil.resolve_name(path)
    except (ImportError, AttributeError) as error:
        from kedro_astro.errors import NoSuchNameError

        raise NoSuchNameError(what=what, path=path, why=error) from error


class Callback:
    """A function of the user's, imported only when Airflow calls it.

    Args:
        path: `package.module.function`.
        source: as `imported` takes it.
    """

    # No dataclass: each parse would pay the making of one.
    def __init__(self, path: str, source: str) -> None:
        self.path, self.source = path, source

    def __repr__(self) -> str:
        return self.path

    def __call__(self, context: Any) -> Any:
        """Call the function with Airflow's context.

        Raises:
            NoSuchNameError: if there is no such module or function.
        """
        return imported(self.path, self.source, "callback")(context)
