"""Tasks start warm: the process that forks them imports once what the pipelines import.

Only what is installed, never the project's own modules: an edit counts from the next task on.
Whatever happens here, Airflow starts; its log says in a line what was left cold, and why.

The process that forks for each parse, the DAG processor, imports the shim and no more.
"""

from __future__ import annotations

import gc
import inspect
import logging
import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kedro_astro.airflow.inherited import hand_on
from kedro_astro.airflow.manifest import load as load_structure
from kedro_astro.airflow.memory import available
from kedro_astro.airflow.probe import load, probe, reason_of
from kedro_astro.errors import KedroAstroError
from kedro_astro.project import own_python, prepare_kedro
from kedro_astro.reading.libraries import requirements

SWITCH = "KEDRO_ASTRO_WARM_START"
"""`off` turns the warm start off."""

PATIENCE = 20.0
"""Seconds to wait for a project that is being read."""

MB = 1 << 20

log = logging.getLogger("kedro_astro.airflow.warm")


def warm_up(project: Path, component: str, executor: str, new_interpreter: bool) -> None:
    """Import what tasks and parses import, and log a line of it. Call it before the first fork.

    Args:
        project: the folder that holds `pyproject.toml`.
        component: `scheduler`, Celery's `worker`, or `dag-processor`, which forks for parses alone.
        executor: Airflow's setting of that name.
        new_interpreter: whether each task gets an interpreter of its own by Airflow's setting.
    """
    value = os.environ.get(SWITCH, "").strip().lower()
    if value not in ("", "on", "off"):
        log.warning("%s is %r, which counts as on. Write on or off.", SWITCH, value)
    parses = component == "dag-processor"
    what = "Parses" if parses else "Tasks"
    try:
        if value == "off":
            log.info("%s start cold: %s is off.", what, SWITCH)
        elif parses:
            hand_on(project)
            log.info("Parses start warm.")
        elif reason := _never_warm(component, executor, new_interpreter):
            log.info("Tasks start cold: %s.", reason)
        else:
            _warm(project)
            what = "Parses in tasks"
            hand_on(project)
    except KedroAstroError as error:
        log.warning("%s start cold: %s", what, error)
    except Exception as error:
        # Airflow would print a traceback. It is not Airflow's fault, and nothing is broken.
        log.warning("%s start cold: %s.", what, reason_of(error))


def _never_warm(component: str, executor: str, new_interpreter: bool) -> str:
    """Return why nothing can be handed on to tasks; empty text if it can."""
    if component == "scheduler" and "LocalExecutor" not in executor:
        return f"with the {executor} this process forks none"
    # Celery's pool forks whatever Python's own method is.
    if component == "scheduler" and (method := multiprocessing.get_start_method()) != "fork":
        fork = "AIRFLOW__CORE__MP_START_METHOD=fork"
        return f"Airflow starts them by {method}, so they inherit nothing; {fork} changes that"
    if new_interpreter:
        return "[core] execute_tasks_new_python_interpreter is on"
    if own_python():
        return "they have an interpreter of their own, KEDRO_ASTRO_PYTHON"
    return ""


def _warm(project: Path) -> None:
    structure = load_structure(project, PATIENCE)
    if not structure.libraries:
        log.warning("Tasks start cold: the project could not be read yet.")
        return
    cold = _different(structure.libraries)
    room = available() // 2
    with _prepared():
        found = probe([name for name in structure.libraries if name not in cold], room)
        cold.update(found.bad)
        if found.too_large:
            log.warning(
                "Tasks start cold: the libraries take more than %d MB, half of the memory that is "
                "left to this process. Give it more, or set %s=off.",
                room // MB,
                SWITCH,
            )
            return
        started, warm = time.monotonic(), 0
        for name in found.good:
            try:
                load(name)
                warm += 1
            except (Exception, SystemExit) as error:
                cold[name] = reason_of(error)
    # Kedro's settings look at the stack, for which `inspect` finds out the file of every module: a
    # tenth of a second in each task, were it not known by then.
    inspect.stack()
    gc.collect()
    log.info(
        "Tasks start warm: %d modules imported in %.1f s, %d MB, after a trial of %.1f s.",
        warm,
        time.monotonic() - started,
        found.grown // MB,
        found.seconds,
    )
    if cold:
        log.warning("Left cold, so that each task imports it anew: %s.", said(cold))


def said(cold: Mapping[str, str]) -> str:
    """Return in one line what was left cold and why, one reason once."""
    reasons: dict[str, list[str]] = {}
    for name, reason in sorted(cold.items()):
        reasons.setdefault(reason, []).append(name)
    return "; ".join(f"{', '.join(names)} ({reason})" for reason, names in reasons.items())


def _different(libraries: Mapping[str, str]) -> dict[str, str]:
    """Return which modules are not here as discovery found them, and how they are."""
    here = requirements(libraries)
    cold = {}
    for name, then in libraries.items():
        if name not in here:
            cold[name] = f"was {then} when the project was read and is not installed here"
        elif here[name] != then:
            cold[name] = f"was {then} when the project was read and is {here[name]} here"
    return cold


@contextmanager
def _prepared() -> Iterator[None]:
    """Let Kedro be imported without a line in the log, and without a trace in the environment that
    all tasks inherit."""
    names = ("KEDRO_LOGGING_CONFIG", "KEDRO_DISABLE_TELEMETRY")
    before = {name: os.environ.pop(name, None) for name in names}
    disabled = logging.root.manager.disable
    prepare_kedro()
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(disabled)
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
