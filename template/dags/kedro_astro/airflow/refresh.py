"""A project read anew: one at a time, in a process of its own, and accepted by Airflow."""

import fcntl
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import psutil

from kedro_astro.airflow.manifest import Manifest, fingerprint_of, kept_at, own_python, to_bytes
from kedro_astro.errors import CacheError, RefusedDagError, shown
from kedro_astro.planning import Blueprint
from kedro_astro.planning.blueprint import blueprints
from kedro_astro.project import command, start, write
from kedro_astro.settings.models import section_name
from kedro_astro.settings.read import must_be, wrong_settings
from kedro_astro.structure import Structure, from_json, nothing


def refresh(project: Path, path: Path, patience: float | None) -> Manifest:
    """Have the project read if it has changed, and return its manifest.

    Where files of the cache cannot be read or written, the last good DAGs stay and `problems` says
    why.

    Args:
        project: the folder that holds `pyproject.toml`.
        path: of the manifest.
        patience: seconds to wait, forever if None.
    """
    end = time.monotonic() + (math.inf if patience is None else patience)
    last = kept_at(path)
    try:
        with path.with_name("lock").open("a") as lock:
            if _acquire(lock, project, path, end):
                # Somebody else may have read the project while we waited.
                last = kept_at(path)
                if last.fresh(project):
                    return last
                if read := _read(project, path, last.sources, lock, end):
                    last = Manifest(_accepted(*read, last, project))
                    write(path, last.content)
                    return last
        last.still_reading = True
    except OSError as error:
        file, why = error.filename2 or error.filename or path, error.strerror or error
        last.problems += (f"  {CacheError(file=file, why=why, folder=path.parent)}",)
    return last


def compile(project: Path, path: Path) -> Manifest:
    """Read the project, whatever is known of it already, and write its manifest to a file.

    Args:
        project: the folder that holds `pyproject.toml`.
        path: is replaced; with problems it is not left.

    Raises:
        OSError: if its folder cannot be made, or the file that was there not be deleted.
    """
    path.unlink(missing_ok=True)
    # What a reading leaves beside its manifest is not for where this one goes.
    with tempfile.TemporaryDirectory() as folder:
        made = refresh(project, Path(folder, path.name), None)
    if not made.problems:
        write(path, made.content)
        # For whoever runs Airflow where it is brought; there is nothing secret in it.
        path.chmod(0o644)
    return made


def _acquire(lock: IO[str], project: Path, path: Path, end: float) -> bool:
    """Take the lock that a reading holds, waiting for it until `end`; return whether we have it.

    A reading of what is no longer there, such as of an import that hung and is mended, is ended.
    """
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > end:
                return False
        pid, _, of = path.with_name("lock").read_text().partition(" ")
        if of and of != fingerprint_of(project, kept_at(path).sources):
            with suppress(psutil.Error, ProcessLookupError):
                # In another container it would be the number of another process.
                if of in psutil.Process(int(pid)).cmdline():
                    os.killpg(int(pid), signal.SIGKILL)
        time.sleep(0.1)


def _read(
    project: Path, path: Path, sources: tuple[str, ...], lock: IO[str], end: float
) -> tuple[Structure, str] | None:
    """Return the project's structure and the fingerprint of what it is of; None if the process that
    reads it is still at it at `end`.

    That process holds the lock, and it goes on if we are stopped, as Airflow stops a DAG file that
    takes too long: the next one to ask finds what it has left.
    """
    # Taken before the reading: an edit made meanwhile makes the manifest stale, not wrong.
    fingerprint = fingerprint_of(project, sources)
    file, log = path.with_name("structure.json"), path.with_name("reading.log")
    if not (structure := _left(file, fingerprint)):
        python = own_python() or sys.executable
        log.unlink(missing_ok=True)  # Whatever it is: a pipe would never be opened.
        with log.open("w") as output:
            reads = command(python, "read", str(project), str(file), fingerprint)
            child = start(reads, project, output, pass_fds=[lock.fileno()])
        path.with_name("lock").write_text(f"{child.pid} {fingerprint}")
        # It takes as long as Airflow, which is imported meanwhile where it is not yet.
        import_module("kedro_astro.airflow.verdict")
        with suppress(subprocess.TimeoutExpired):
            child.wait(max(0, end - time.monotonic()))
        if child.returncode is None:
            return None
        structure = _left(file, fingerprint)
    if not structure:
        # By `_acquire`, unless memory ran out.
        if child.returncode == -signal.SIGKILL and fingerprint_of(project, sources) != fingerprint:
            return _read(project, path, sources, lock, end)
        last = "\n    ".join(log.read_text(errors="replace").strip().splitlines()[-3:])
        what = f"The process that read the project ended with status {child.returncode}."
        structure = nothing(f"  {what}\n    {last}", sources)
    if structure.sources != sources:
        fingerprint = fingerprint_of(project, structure.sources)
    return structure, fingerprint


def _left(file: Path, fingerprint: str) -> Structure | None:
    """Return the structure that a reading has left, if it is of this fingerprint."""
    try:
        found = json.loads(file.read_bytes())
        return from_json(found["structure"]) if found["fingerprint"] == fingerprint else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _accepted(structure: Structure, fingerprint: str, old: Manifest, project: Path) -> bytes:
    """Return the manifest of a structure: of each pipeline the DAG that Airflow takes, or else the
    last that it took, if need be without its schedule."""
    from kedro_astro.airflow.verdict import judge

    wrong = wrong_settings(structure)
    if wrong:
        # Airflow may have something against the rest of the file as well.
        rest, unplanned = blueprints(structure)
        wrong += unplanned.values()
        for blueprint, verdict in zip(rest, judge(rest, project), strict=True):
            wrong += _refusals(blueprint["pipeline"], verdict.refusals, structure.settings_file)
        structure = replace(structure, settings=old.structure().settings)
    made, unplanned = blueprints(structure)
    refused = {name: [why] for name, why in unplanned.items()}
    trials = {blueprint["pipeline"]: [blueprint] for blueprint in made}
    here = {pipeline.name for pipeline in structure.pipelines}
    for last in old.blueprints():
        name = last["pipeline"]
        if name in trials or name in refused or (structure.problems and name not in here):
            trials.setdefault(name, []).extend([last, {**last, "schedule": None}])
    taken: dict[str, Blueprint] = {}
    while trials:
        verdicts = judge([tried[0] for tried in trials.values()], project)
        for name, verdict in zip(list(trials), verdicts, strict=True):
            _, *others = trials.pop(name)
            if verdict.blueprint:
                taken.setdefault(verdict.blueprint["dag_id"], verdict.blueprint)
            elif others:
                trials[name] = others
            why = [*_refusals(name, verdict.refusals, structure.settings_file)]
            refused.setdefault(name, why)
    wrong += [text for texts in refused.values() for text in texts]
    in_order = sorted(taken.values(), key=lambda blueprint: blueprint["pipeline"])
    problems = [*structure.problems, *(f"  {text}" for text in dict.fromkeys(wrong))]
    return to_bytes(structure, in_order, problems, fingerprint)


def _refusals(pipeline: str, refusals: Mapping[str, Mapping[str, Any]], file: str) -> Iterator[str]:
    """Yield a sentence for each thing that Airflow has against a pipeline's DAG."""
    for reason, said in refusals.items():
        wrong = [f"{k} is {shown(value)}. It must be {must_be(k)}." for k, value in said.items()]
        place, then = (f"{file}: ", "Correct") if wrong else ("", f"If {file} says it, correct")
        what = {"why": reason.rstrip("."), "place": place, "then": " ".join([*wrong, then])}
        yield str(RefusedDagError(pipeline=pipeline, section=section_name(pipeline), **what))
