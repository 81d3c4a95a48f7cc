"""Tasks start warm: the process that forks them imports once what the pipelines import.

Only what is installed, never the project's own modules: an edit counts from the next task on.
Whatever happens here, Airflow starts; its log says in a line what was left cold, and why.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from kedro_astro.airflow.manifest import load as load_structure
from kedro_astro.airflow.manifest import own_python
from kedro_astro.airflow.trial import ALL, MB, Tried, load, memory_left, reason_of, trial
from kedro_astro.errors import KedroAstroError
from kedro_astro.project import CACHE, cache_folder, prepare_kedro
from kedro_astro.reading.libraries import installed

SWITCH = "KEDRO_ASTRO_WARM_START"
"""`off` turns the warm start off."""

PATIENCE = 20.0
"""Seconds to wait for a project that is being read."""

NAME = "warm.json"
"""The file in the cache folder with what came of modules, by name, under the key of it all."""

NOT_REACHED = Tried(f"was not reached in {ALL:.0f} s", 0)

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
    if value not in ("", "on", "off"):
        log.warning("%s is %r, which counts as on. Write on or off.", SWITCH, value)
    try:
        if value == "off":
            log.info("Tasks start cold: %s is off.", SWITCH)
        elif reason := _never_warm(component, executor, new_interpreter):
            log.info("Tasks start cold: %s.", reason)
        else:
            _warm(project)
    except Exception as error:
        # Airflow would print a traceback. It is not Airflow's fault, and nothing is broken.
        ours = isinstance(error, KedroAstroError)
        log.warning("Tasks start cold: %s", error if ours else f"{reason_of(error)}.")


def _never_warm(component: str, executor: str, new_interpreter: bool) -> str:
    """Return why nothing can be handed on to tasks; empty text if it can."""
    if component == "scheduler":  # Celery's pool forks whatever Python's own method is.
        if "LocalExecutor" not in executor:
            return f"with the {executor} this process forks none"
        if (method := multiprocessing.get_start_method()) != "fork":
            fork = "AIRFLOW__CORE__MP_START_METHOD=fork"
            return f"Airflow starts them by {method}, so they inherit nothing; {fork} changes that"
    if new_interpreter:
        return "[core] execute_tasks_new_python_interpreter is on"
    return "they have an interpreter of their own, KEDRO_ASTRO_PYTHON" if own_python() else ""


def _warm(project: Path) -> None:
    libraries = load_structure(project, PATIENCE).libraries
    if not libraries:
        log.warning("Tasks start cold: the project could not be read yet.")
        return
    names, key = installed(libraries), _key(libraries)
    found, tried = _recall(project, key), "as tried before"
    started, room = time.monotonic(), memory_left() // 2
    cold = dict.fromkeys({*libraries}.difference(names), "is not installed here")
    with _prepared():
        if {*names} - found.keys() or sum(it.size for it in found.values()) > room:
            found = {name: it for name, it in found.items() if it.reason}
            found |= trial([name for name in names if name not in found], room)
            tried = f"after a trial of {time.monotonic() - started:.1f} s"
        started = time.monotonic()
        for name in names:
            reason, _ = found.get(name, NOT_REACHED)
            try:
                if not reason:
                    load(name)
            except (Exception, SystemExit) as error:
                reason = reason_of(error)
            if reason:
                cold[name] = reason
    _remember(project, key, found)
    # Kedro's settings look at the stack, for which `inspect` finds out the file of every module: a
    # tenth of a second in each task, were it not known by then.
    inspect.stack()
    warm = [name for name in names if name not in cold]
    seconds, size = time.monotonic() - started, sum(found[name].size for name in warm) // MB
    said = f"{len(warm)} modules imported in {seconds:.1f} s, {size} MB, {tried}"
    log.info("Tasks start warm: %s.", said)
    if cold:
        why = "; ".join(
            f"{', '.join(sorted(name for name in cold if cold[name] == reason))} ({reason})"
            for reason in dict.fromkeys(cold[name] for name in sorted(cold))
        )
        again = f"To have all tried again, delete {CACHE}/{NAME}."
        log.warning("Left cold, so that each task imports it anew: %s. %s", why, again)


def _key(libraries: Iterable[str]) -> str:
    """Return a hash of what a trial depends on: Python, and all that is installed, by version."""
    there = sorted(str(info) for path in sys.path for info in Path(path).glob("*-info"))
    return hashlib.sha256(repr((sys.version, *libraries, *there)).encode()).hexdigest()


def _recall(project: Path, key: str) -> dict[str, Tried]:
    """Return what an earlier start found, or nothing, and take it away: should an import end this
    process after all, the next start tries it again."""
    with suppress(KedroAstroError, OSError, ValueError, LookupError, TypeError):
        file = cache_folder(project) / NAME
        kept = json.loads(file.read_bytes())[key]
        file.unlink()
        return {name: Tried(*it) for name, it in kept.items()}
    return {}


def _remember(project: Path, key: str, found: Mapping[str, Tried]) -> None:
    """Keep what came of modules, but of those that were too large: memory is looked at anew."""
    kept = {name: it for name, it in found.items() if not (it.reason and it.size)}
    with suppress(KedroAstroError, OSError):
        (cache_folder(project) / NAME).write_text(json.dumps({key: kept}), encoding="utf-8")


@contextmanager
def _prepared() -> Iterator[None]:
    """Let Kedro be imported without a line in the log, and without a trace in the environment that
    all tasks inherit."""
    names = ("KEDRO_LOGGING_CONFIG", "KEDRO_DISABLE_TELEMETRY")
    before = {name: os.environ[name] for name in names if name in os.environ}
    disabled = logging.root.manager.disable
    prepare_kedro()
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(disabled)
        for name in names:
            os.environ.pop(name, None)
        os.environ.update(before)
