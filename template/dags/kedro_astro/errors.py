"""What can go wrong, each with the sentence a user reads: what, where, and what to do next."""

import platform
import re
import reprlib
from collections.abc import Iterable
from datetime import date, timedelta
from signal import SIGKILL, Signals


class KedroAstroError(Exception):
    """Base of all errors of kedro-astro that a user can cause and mend.

    The docstring of each is what the user reads, unless it is given another text.

    Args:
        text: to read instead.
        values: what stands in braces in the docstring, by name.
    """

    def __init__(self, *text: str, **values: object) -> None:
        super().__init__(*text or [" ".join(str(self.__doc__).split()).format(**values)])


class BrokenProjectError(KedroAstroError):
    """Something is wrong with this project's pipelines or their configuration.{problems}Mend it and
    save, and this message goes. `kedro registry list` has the traceback of what is not imported.
    {dags}"""


class BrokenBuildError(KedroAstroError):
    """Something is wrong with this project's pipelines or their configuration.{problems}Mend it and
    build again; `kedro astro check` shows it without a build. If it is a file that the build lacks:
    does .dockerignore leave it out?"""


class ConfigurationError(KedroAstroError):
    """The {section} of this project {what}. Correct it in {where}."""


class NoEnvironmentError(KedroAstroError):
    """The folder {folder} is not there. Make it (it may be empty), or correct KEDRO_ENV."""


class NoProjectError(KedroAstroError):
    """{folder} is in no project: neither it nor a folder above it has pyproject.toml and
    dags/kedro_dags.py, which the template brings. Change into your project; in an image look into
    .dockerignore, whether it leaves one of them out."""


class InterpreterError(KedroAstroError):
    """{why}. Install the requirements for it (`uv sync`), or set KEDRO_ASTRO_PYTHON to the one that
    has Kedro and the project's libraries."""


class SessionError(KedroAstroError):
    """The process in which a task's nodes ran has failed; its log lines say more."""


class KilledError(SessionError):
    """The process of this task's nodes was killed (SIGKILL). If you did not stop it, there was no
    memory left: give the task less to hold, or a larger worker."""


class EndedError(SessionError):
    """The process of this task's nodes did not run to its end: it ended with {ending}. Its last
    lines may say why."""


class ContainerError(SessionError):
    """The {place} container of this task, of the image {image}, has failed: {why}. Its image,
    resources and access are under `{place}` in airflow.yml."""


class NoSharedDiskError(KedroAstroError):
    """If a task has saved it on another worker, that shares no disk with this one, {worker}: set
    data_root to an object store (such as s3://bucket/data) in globals.yml, or by the variable
    KEDRO_DATA_ROOT."""


class RemovedError(KedroAstroError):
    """It is of this run alone, and is removed when the run has succeeded. Clear the task that saves
    it, too (Upstream)."""


class NoStoreError(KedroAstroError):
    """Is there such a place (`data_root` in globals.yml, the variable KEDRO_DATA_ROOT, or the path
    in the catalog)? Does its store answer here (AWS_ENDPOINT_URL)? Do the keys let this task in
    (credentials.yml, variables such as AWS_ACCESS_KEY_ID, a connection named in airflow.yml, or a
    role)?"""


class TooLargeError(SessionError):
    """The parameters of this run take {size:,} bytes, and a container is given no more than
    {most:,}. Save what is large, and load it as a dataset."""


class CrossingError(KedroAstroError):
    """Pipeline {pipeline}: the dataset {dataset} is in memory, or confirmed, and would have to go
    from the task of node {producer} to that of node {consumer}. Declare it in the catalog as a type
    that saves it, or keep the two together (`grouping: memory` does)."""


class SameIdError(KedroAstroError):
    """Pipeline {pipeline}: its DAG would be called {dag_id}, as that of pipeline {other}. Rename
    one of the two, or give one a `dag_id` in airflow.yml."""


class RefusedDagError(KedroAstroError):
    """{place}Airflow refuses the DAG of the pipeline {pipeline}: {why}. {then} it in the section
    {section} or default."""


class CacheError(KedroAstroError):
    """{file} cannot be used ({why}), so what is known of this project may be old. Delete the folder
    {folder}, or let Airflow write there."""


class StillReadingError(KedroAstroError):
    """Reading this project's pipelines takes longer than Airflow waits for a DAG file. Until it is
    done, in the background, {there}. What do they do when imported?"""


class CredentialsError(KedroAstroError):
    """airflow.yml takes the credentials {name} from the Airflow connection {conn_id}, which {why}.
    Make or mend it in Airflow (Admin, Connections) or wherever your connections are kept, or name
    another one under `credentials` in airflow.yml."""


class NoDatasetError(KedroAstroError):
    """No pipeline of this project has a dataset {name}. {meant}"""


class NoPlaceError(KedroAstroError):
    """Nothing from outside can be put where the dataset {name} is: it is in memory, of one run
    alone, or of a type that has no path and no table. Give it another type in the catalog."""


class OnlyAirflowsError(KedroAstroError):
    """The credentials {name} are the Airflow connection {conn_id}, says {file}. Tasks on Airflow
    have it, and `kedro run` does not: put your own into conf/local/credentials.yml."""


class SettingsError(KedroAstroError):
    """Something in `airflow.yml` cannot be used; the message says what, where and the remedy."""


class TwoValuesError(SettingsError):
    """airflow.yml says of {key} {other} for {first} and {value} for {second}, which run in one
    task. Give them the same value, say it for single nodes (`nodes`), or group the nodes apart
    (`grouping`)."""


class NoSuchNameError(SettingsError):
    """airflow.yml names the {what} {path}, which cannot be imported: {why}. Correct the name there,
    or add it to your project."""


class ManifestError(KedroAstroError):
    """The compiled manifest {path} cannot be used: {why}. Build the image anew, with `kedro astro
    compile` in its Dockerfile (`astro deploy` without --dags). Where dags/ is deployed by itself,
    do `kedro astro compile dags/manifest.jsonl` before. Or unset KEDRO_ASTRO_MANIFEST."""


class ParameterError(KedroAstroError):
    """A parameter of this run is ???, which to Kedro's configuration is no value. Start the run
    again with another one."""


class UnknownParameterError(ParameterError):
    """This run was started with the parameter {name}, which the DAG does not have. {meant} To pass
    it on all the same, name it under `params` in airflow.yml."""


class NoValueError(ParameterError):
    """This run needs a value for {name}, which the project's configuration takes from it. Start it
    with one, or put `{name}` under `params` in airflow.yml."""


class TemplateError(ParameterError):
    """airflow.yml sets the parameter {name} to {template!r}, which cannot be rendered: {why}. A run
    without a logical date has no ds and no data interval: start it with one, or with a value for
    that parameter."""


class StandaloneError(KedroAstroError):
    """The local Airflow could not be started, reached or driven."""


class RunningError(StandaloneError):
    """It is already running at {where}. Ctrl-C in its terminal stops it."""


class PortError(StandaloneError):
    """Port {port} is taken by another program. Name another."""


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
_REPR.maxlevel, _REPR.maxstring, _REPR.maxother = 3, 70, 70


def nearest(name: object, names: Iterable[str]) -> str:
    """Return "Did you mean x?" with the one of `names` most like `name`, or an empty text."""
    # Not at the top: a parse of a project that is well has no need of it.
    from difflib import get_close_matches

    close = get_close_matches(name[:100], list(names), 1) if isinstance(name, str) else []
    return f"Did you mean {close[0]}?" if close else ""


def choice(name: object, names: Iterable[str]) -> str:
    """Return the nearest of the names, and which there are."""
    names = sorted(names)
    known = ", ".join(map(label, names[:40])) or "none"
    return f"{nearest(name, names)} Known here: {known}{', ...' * (len(names) > 40)}.".strip()


def label(name: object) -> str:
    """Return a name as it stands in a path, quoted if a path would not be clear with it."""
    plain = isinstance(name, str) and re.fullmatch(r"[\w.@-]{1,100}", name)
    return str(name) if plain else shown(name)


def of_status(status: int) -> SessionError:
    """Return the error that the end of a process is which had a task's nodes to run.

    Args:
        status: of the process; minus the number of the signal that ended it.
    """
    return KilledError() if status == -SIGKILL else EndedError(ending=ending(status))


def ending(status: int) -> str:
    """Return how a process has ended, in words; `status` as above."""
    return f"signal {Signals(-status).name}" if status < 0 else f"status {status}"


def not_had(
    name: str, where: str | None, done: str, cause: BaseException, own: bool, on_a_disk: bool
) -> str:
    """Return what a task says of a dataset that it cannot load, save or remove.

    Args:
        name, where: of the dataset, and its path or URL if it has one.
        done: completes "could not be ...".
        cause: what the system or a library says.
        own: whether it is of the DAG run alone, and not there.
        on_a_disk: whether another worker need not find it there.
    """
    place = f", at {where}," if where else ""
    said = [f"{name}{place} could not be {done}: {type(cause).__name__}: {cause}."]
    if on_a_disk and done == "loaded":
        said.append(str(NoSharedDiskError(worker=platform.node())))
    if own:
        said.append(str(RemovedError()))
    elif not on_a_disk:
        said.append(str(NoStoreError()))
    if done == "removed":
        said.append("The run's results are whole.")
    if own or done == "removed":
        said.append("`retention: forever` in airflow.yml removes nothing.")
    return " ".join(said)
