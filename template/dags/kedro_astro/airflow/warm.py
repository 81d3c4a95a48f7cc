"""Tasks start warm: the process that forks them imports once what the pipelines import.

Only what is installed, never the project's own modules: an edit counts from the next task on.
Whatever happens here, Airflow starts; its log says in a line what was left cold, and why.
"""

import inspect
import json
import logging
import multiprocessing
import os
import sys
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

from kedro_astro.airflow.manifest import own_python, read
from kedro_astro.airflow.trial import ALL, load, memory, memory_left, trial
from kedro_astro.project import cache_folder, prepare_kedro, write
from kedro_astro.reading.libraries import installed

SWITCH = "KEDRO_ASTRO_WARM_START"
"""Whatever it says turns the warm start off, but for `on`."""

PATIENCE = 60.0
"""Seconds to wait for a project that is being read. Later is too late: the processes that fork the
tasks are then there. Kubernetes ends a scheduler that does not answer for five minutes."""

NAME = "warm.json"
"""The file beside the manifest that says what came of the last trial, of which libraries, and how
many bytes the process had then."""

log = logging.getLogger("kedro_astro.warm")


def warm_up(project: Path, component: str, executor: str, new_interpreter: bool) -> None:
    """Import what tasks import, and log a line of it. Call it before the first fork.

    Args:
        project: the folder that holds `pyproject.toml`.
        component: `scheduler`, or Celery's `worker`.
        executor: Airflow's setting of that name.
        new_interpreter: whether each task gets an interpreter of its own by Airflow's setting.
    """
    value = os.environ.get(SWITCH, "").strip().lower()
    try:
        off = "" if value in ("", "on") else f"{SWITCH} is {value}"
        if reason := off or _never_warm(component, executor, new_interpreter):
            log.info("Tasks start cold: %s.", reason)
            return
        # Tasks inherit the environment, those of others as well.
        with patch.dict(os.environ):
            prepare_kedro()
            _warm(project)
    except Exception as error:
        # Airflow would print a traceback. It is not Airflow's fault, and nothing is broken.
        log.warning("Tasks start cold: %s: %s", type(error).__name__, error)


def _never_warm(component: str, executor: str, new_interpreter: bool) -> str:
    """Return why nothing can be handed on to tasks; empty text if it can."""
    # Celery's pool forks whatever Python's own method is.
    if component == "scheduler" and "LocalExecutor" not in executor:
        return f"with the {executor} this process forks none"
    if component == "scheduler" and (method := multiprocessing.get_start_method()) != "fork":
        return f"by {method} they inherit nothing; AIRFLOW__CORE__MP_START_METHOD=fork changes that"
    if new_interpreter:
        return "[core] execute_tasks_new_python_interpreter is on"
    return "they have an interpreter of their own, KEDRO_ASTRO_PYTHON" if own_python() else ""


def _warm(project: Path) -> None:
    libraries = read(project, lambda: PATIENCE).structure().libraries
    if not libraries:
        log.warning("Tasks start cold: the project could not be read yet.")
        return
    file = cache_folder(project) / NAME
    versions = sorted(str(each) for folder in sys.path for each in Path(folder).glob("*-info"))
    known: dict[str, str] = {}
    with suppress(OSError, ValueError, TypeError):
        of, there, needed = json.loads(file.read_bytes())
        # Half of the memory that is left is for these libraries, as in a trial.
        known = {**there} if of == versions and 2 * needed < memory_left() else {}
        file.unlink()  # Should an import end this process after all, the next start tries it.
    names, started = installed(libraries), time.monotonic()
    found = trial(names, known)
    found |= dict.fromkeys({*libraries}.difference(names), "is not installed here")
    tried = time.monotonic()
    cold = defaultdict(list)
    for name in libraries:
        cold[found.get(name, f"was not reached in {ALL:.0f} s") or load(name)].append(name)
    said = f"{len(cold.pop('', ()))} modules imported in {time.monotonic() - tried:.1f} s"
    # Kedro's settings look at the stack, for which `inspect` finds out the file of every module: a
    # tenth of a second in each task, were it not known by then.
    inspect.stack()
    log.info("Tasks start warm: %s, after a trial of %.1f s.", said, tried - started)
    if cold:
        why = "; ".join(f"{', '.join(names)} ({reason})" for reason, names in cold.items())
        log.warning("Left cold, so each task imports it: %s. To try again, delete %s.", why, file)
    with suppress(OSError):
        write(file, json.dumps([versions, found, memory()]).encode())
