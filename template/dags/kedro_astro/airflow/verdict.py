"""Airflow's own word on DAGs: built, validated, bagged and serialized, in a fork of this process.

What a user's timetable or a cluster's policy does there (raise, exit, hang, crash) it does in the
fork.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from airflow.models import DagBag

from kedro_astro.airflow.dags import build_dag, imported
from kedro_astro.airflow.trial import EACH, in_fork
from kedro_astro.planning import Blueprint

AIRFLOW_2 = version("apache-airflow") < "3"

# Here, and not in the fork, which would import it again each time.
serialized_objects: Any = import_module("airflow.serialization.serialized_objects")
serialization = getattr(serialized_objects, "SerializedDAG" if AIRFLOW_2 else "DagSerialization")


class Verdict(NamedTuple):
    """Airflow's word on a DAG.

    Attributes:
        blueprint: the DAG as it takes it; None if it does not.
        refusals: what it raises, each in one line; by that the settings without which it would not,
            with their values.
    """

    blueprint: Blueprint | None
    refusals: Mapping[str, Mapping[str, Any]]


def judge(blueprints: Sequence[Blueprint], project: Path) -> list[Verdict]:
    """Return each blueprint as Airflow takes it, or why it does not.

    The schedule of one that is taken is no longer a user's timetable, but what Airflow serializes
    of it: a parse imports none of the user's code.

    Args:
        blueprints: in any order.
        project: the folder that holds `pyproject.toml`.
    """
    found: list[Verdict] = []
    while left := blueprints[len(found) :]:
        verdicts, why = in_fork((_judge(one, project) for one in left), EACH)
        found += verdicts
        if len(found) < len(blueprints):
            # It did so with the first that there is no verdict on.
            schedule = blueprints[len(found)]["schedule"]
            found.append(Verdict(None, {f"it {why}": {"schedule": schedule}}))
    return found


def _judge(blueprint: Blueprint, project: Path) -> Verdict:
    taken, reason = _asked(blueprint, project)
    refusals: dict[str, Mapping[str, Any]] = {}
    rest, said = blueprint, _said(blueprint)
    while reason and reason not in refusals:
        others = {key: _asked(_without(rest, key), project)[1] for key in said}
        refusals[reason] = {key: said[key] for key in said if others[key] != reason}
        # What else is wrong shows only without it.
        for key in [*refusals[reason]][:1]:
            rest, reason = _without(rest, key), others[key]
            del said[key]
    return Verdict(taken, refusals)


def _asked(blueprint: Blueprint, project: Path) -> tuple[Blueprint | None, str]:
    """Return the blueprint, its schedule as a parse can have it, or None and why Airflow does not
    take its DAG."""
    schedule = blueprint["schedule"]
    try:
        if isinstance(schedule, Mapping) and not {"assets", "encoded"} & schedule.keys():
            encoded = {"encoded": _encoded(schedule, blueprint, project)}
            blueprint = {**blueprint, "schedule": encoded}
        dag = build_dag(blueprint, project)
        dag.validate()  # type: ignore[no-untyped-call]
        # Cycles, template files, the cluster's policies.
        of_airflow_2 = {"root_dag": dag} if AIRFLOW_2 else {}
        DagBag(os.devnull, collect_dags=False).bag_dag(dag, **of_airflow_2)
        json.dumps(serialization.to_dict(dag))
        return blueprint, ""
    except BaseException as error:
        said = re.sub(" at 0x[0-9a-f]+", "", " ".join(str(error).split()))
        if isinstance(error, ImportError) and "airflow.providers" in said:
            said += ". Add apache-airflow-providers-docker or -cncf-kubernetes to the requirements"
        known = isinstance(error, ValueError) or "Airflow" in type(error).__name__
        return None, said if known and said else f"{type(error).__name__}: {said}".rstrip(": ")


def _encoded(schedule: Mapping[str, Any], blueprint: Blueprint, project: Path) -> Any:
    """Return what Airflow serializes of a timetable that `airflow.yml` names or describes."""
    if "cron" in schedule:
        from airflow.timetables.trigger import CronTriggerTimetable

        timetable = CronTriggerTimetable(schedule["cron"], timezone=schedule["timezone"] or "UTC")
    else:
        found = imported(schedule["timetable"], str(project / blueprint["source"]), "timetable")
        timetable = found(**(schedule["arguments"] or {})) if callable(found) else found
    return serialized_objects.encode_timetable(timetable)


def _said(blueprint: Blueprint) -> dict[str, Any]:
    """Return the settings that a DAG is made with, those of its tasks as well, and their values."""
    given = [*(task["arguments"] for task in blueprint["tasks"]), blueprint["arguments"]]
    said = {key: value for arguments in given for key, (_, value) in arguments.items()}
    return {"schedule": blueprint["schedule"], "params": [*blueprint["fields"]], **said}


def _without(blueprint: Blueprint, key: str) -> Blueprint:
    """Return the blueprint as it would be if `airflow.yml` did not say `key`."""
    nothing: dict[str, Blueprint] = {"schedule": {"schedule": None}, "params": {"fields": {}}}
    dag, *tasks = (
        {**part, "arguments": {k: said for k, said in part["arguments"].items() if k != key}}
        for part in (blueprint, *blueprint["tasks"])
    )
    return {**dag, **nothing.get(key, {}), "tasks": tasks}
