"""What can go wrong, each with the sentence a user reads: what, where, and what to do next."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from signal import SIGKILL, Signals
from typing import Any


class KedroAstroError(Exception):
    """Base of all errors of kedro-astro that a user can cause and mend."""


class BrokenProjectError(KedroAstroError):
    """Some or all pipelines of the project could not be read, or cannot be DAGs.

    Args:
        problems: what is wrong, one text each, with the place where it is.
        kept: how many DAGs stay in place meanwhile; None while an image is built.
    """

    def __init__(self, problems: Sequence[str], kept: int | None) -> None:
        if kept is None:
            next_ = "Mend it and build again; `kedro astro check` shows it without a build."
        else:
            next_ = (
                "Mend it and save: Airflow looks again by itself, and this message goes. `kedro "
                "astro check` shows it in a terminal, and `kedro registry list` the traceback of "
                "what cannot be imported. "
            ) + (
                f"Its {kept} DAGs that could be read, now or before, stay."
                if kept
                else "Until then it has no DAGs."
            )
        super().__init__(
            "Something is wrong with this project's pipelines or their configuration.\n"
            + "\n".join(problems)
            + f"\n{next_}"
        )


class ConfigurationError(KedroAstroError):
    """A section of the project's configuration cannot be used.

    Args:
        section: `catalog`, `parameters` or `airflow`.
        what: completes "the catalog ...".
    """

    def __init__(self, section: str, what: str) -> None:
        super().__init__(
            f"The {section} of this project {what}. Correct it in {section}*.yml or {section}/, "
            "below conf/base or in the environment's folder."
        )


class MissingEnvironmentError(KedroAstroError):
    """A folder of the configuration is not there.

    Args:
        folder: relative to the project.
    """

    def __init__(self, folder: str) -> None:
        super().__init__(
            f"The folder {folder} is not there, so nothing of the configuration can be read. Make "
            "it (it may be empty), or correct KEDRO_ENV: without that, Airflow's tasks run with "
            "conf/airflow where it exists, else with the project's own default environment."
        )


class InterpreterError(KedroAstroError):
    """The project's own interpreter is not there.

    Args:
        variable, path: the environment variable that names it, and where it should be.
    """

    def __init__(self, variable: str, path: str) -> None:
        super().__init__(
            f"{variable} says that Kedro and the project's libraries are with the interpreter "
            f"{path}, where there is none. Make it (in an image the Dockerfile does, on your "
            "machine `uv sync` makes .venv/bin/python), or correct the variable."
        )


class NoKedroError(KedroAstroError):
    """The interpreter that reads the project has no Kedro.

    Args:
        variable, python: what names the project's own interpreter, and the one that was taken.
    """

    def __init__(self, variable: str, python: str) -> None:
        super().__init__(
            f"Kedro is not installed for {python}. If this project has an interpreter of its own, "
            f"set {variable} to its path (on your machine that is .venv/bin/python of the "
            "project); otherwise install requirements.txt there."
        )


class SessionError(KedroAstroError):
    """The process in which a task's nodes ran has failed; its log lines say more.

    Args:
        what: the error that ended it.
    """


class CrossingError(KedroAstroError):
    """An in-memory dataset would have to cross from one task to another.

    Args:
        pipeline, dataset: where and what.
        producer, consumer: the nodes that save and load it.
    """

    def __init__(self, pipeline: str, dataset: str, producer: str, consumer: str) -> None:
        super().__init__(
            f"Pipeline {pipeline}: the dataset {dataset} is in memory, but node {producer}, which "
            f"makes it, and node {consumer}, which needs it, would run in two tasks. Declare "
            f"{dataset} in the catalog with a type that saves it, or group the two nodes into one "
            "task (`grouping: memory` in airflow.yml does)."
        )


class SameIdError(KedroAstroError):
    """Two pipelines would be DAGs of one id.

    Args:
        pipeline, other: the one that is left out, and the one that has the id.
        dag_id: the id.
    """

    def __init__(self, pipeline: str, other: str, dag_id: str) -> None:
        super().__init__(
            f"Pipeline {pipeline}: its DAG would be called {dag_id}, as that of the pipeline "
            f"{other} is. Rename one of the pipelines, or give one a `dag_id` in airflow.yml."
        )


class RefusedDagError(KedroAstroError):
    """Airflow does not take a pipeline's DAG.

    Args:
        pipeline: its name.
        reason: what Airflow raised.
        file: the file or files of settings.
        keys: the settings without which Airflow would take it: value and what it must be, by key.
    """

    def __init__(
        self, pipeline: str, reason: str, file: str, keys: Mapping[str, tuple[Any, str]]
    ) -> None:
        what = f"Airflow refuses the DAG of the pipeline {pipeline}: {reason.rstrip('.')}."
        said = [
            f"{key} is {shown(value)}. It must be {must_be}."
            for key, (value, must_be) in keys.items()
        ]
        remedy = (
            f"Correct it in the section {pipeline} or default."
            if said
            else (f"If {file} says it, correct it in the section {pipeline} or default.")
        )
        super().__init__(" ".join([f"{file}:" if said else "", what, *said, remedy]).strip())


class CacheError(KedroAstroError):
    """What is known of the project cannot be kept.

    Args:
        path: the manifest.
        error: what the system says.
    """

    def __init__(self, path: Path, error: OSError) -> None:
        file = error.filename2 or error.filename or path
        super().__init__(
            f"{file} cannot be used ({error.strerror or error}), so what is known of this project "
            f"may be old. Delete the folder {path.parent}, or let Airflow write there."
        )


class StillReadingError(KedroAstroError):
    """Reading the project takes longer than Airflow lets a DAG file take.

    Args:
        kept: how many DAGs are there meanwhile.
    """

    def __init__(self, kept: int) -> None:
        super().__init__(
            "Reading this project's pipelines takes longer than Airflow waits for a DAG file. It "
            "goes on in the background, and this message goes when it is done; until then "
            + (f"the {kept} DAGs of the last reading stay. " if kept else "there are no DAGs. ")
            + "If it never is: what do your pipelines do when they are imported?"
        )


class SettingsError(KedroAstroError):
    """Something in `airflow.yml` cannot be used; the message says what, where and the remedy."""


class ManifestError(KedroAstroError):
    """The compiled manifest that `KEDRO_ASTRO_MANIFEST` names cannot be used.

    Args:
        path: the file.
        reason: what is wrong with it.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"The compiled manifest {path} cannot be used: {reason}. "
            "Build the image anew, with `kedro astro compile` in its Dockerfile (`astro deploy` "
            "without --dags, if only dags/ was deployed), or unset KEDRO_ASTRO_MANIFEST to have "
            "the project itself read."
        )


class StandaloneError(KedroAstroError):
    """The local Airflow could not be started, reached or driven."""


def of_permission(error: BaseException | None, user: int) -> str:
    """Return what to do where a file's permissions are behind an error; nothing if they are not.

    Args:
        error: what was raised, with its causes.
        user: the number of the user that we are.
    """
    while error:
        if isinstance(error, PermissionError) and error.filename:
            return (
                f"{error.filename} may not be read or written by the user {user}, who runs this "
                "task. Under `astro dev start`, `astro dev restart` opens all that is in data/ to "
                "tasks; anywhere else let that user into the folder, or give the dataset another "
                "path."
            )
        error = error.__cause__ or error.__context__
    return ""


def shown(value: object) -> str:
    """Return a value as a message shows it: short and on one line, whatever it is."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, date | timedelta):
        return str(value)
    try:
        return _REPR.repr(value)
    except ValueError:  # Python refuses to write an integer of more than 4300 digits.
        return "a very large number"


_REPR = reprlib.Repr()
_REPR.maxlevel = 3
_REPR.maxstring = _REPR.maxother = 70


def nearest(name: object, names: Iterable[str]) -> str:
    """Return "Did you mean x?" with the one of `names` most like `name`, or an empty text."""
    # Not at the top: a parse of a project that is well has no need of it.
    from difflib import get_close_matches

    close = get_close_matches(name[:100], list(names), 1) if isinstance(name, str) else []
    return f"Did you mean {close[0]}?" if close else ""


def choice(name: object, names: Iterable[str]) -> str:
    """Return the nearest of the names, and which there are."""
    names = sorted(names)
    return f"{nearest(name, names)} Known here: {listed(names) or 'none'}.".strip()


def listed(names: Iterable[str]) -> str:
    names = [label(name) for name in names]
    more = f" and {len(names) - 40} more" if len(names) > 40 else ""
    return ", ".join(names[:40]) + more


def label(name: object) -> str:
    """Return a name as it stands in a path, quoted if a path would not be clear with it."""
    plain = isinstance(name, str) and re.fullmatch(r"[\w.@-]{1,100}", name)
    return str(name) if plain else shown(name)


def of_status(status: int) -> str:
    """Return what the end of a process means that had a task's nodes to run.

    Args:
        status: of the process; minus the number of the signal that ended it.
    """
    if status == -SIGKILL:
        return (
            "The process of this task's nodes was killed (SIGKILL). If you did not stop the task, "
            "the machine had no memory left: give the task less to hold, or a larger worker."
        )
    name = f"signal {Signals(-status).name}" if status < 0 else f"status {status}"
    return (
        f"The process of this task's nodes did not run to its end: it ended with {name}. Its last "
        "lines may say why."
    )
