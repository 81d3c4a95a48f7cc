"""What a deployment would lack that this machine has. Pure functions."""

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress

from kedro_astro.planning.adoption import Files, libraries_file
from kedro_astro.planning.grouping import Task
from kedro_astro.planning.requirements import UNKNOWN, named
from kedro_astro.project import IN_DAGS
from kedro_astro.reading.libraries import of_store
from kedro_astro.structure import Dataset, Structure, untranscoded

Exists = Callable[[str], bool]
"""Whether there is something at a path in the project."""

SECRET = {".env": ".env*", "conf/base/credentials.yml": "**/*credentials*"}
"""Files that no image may have, and the lines of `.dockerignore` that leave them out."""

Connections = Mapping[str, str]
"""By name of Kedro's credentials, the id of the Airflow connection that they come from."""

CONNECT = "name an Airflow connection for them under `credentials` in airflow.yml"
"""How credentials need no file."""

THEIR_OWN_READERS = ("spark.", "ibis.", "databricks.", "pandas.DeltaTableDataset")
"""How types of datasets begin that need no such library."""


def not_shared(
    structure: Structure, tasks: Iterable[Task], exists: Exists, ignored: str
) -> Iterator[str]:
    """Yield what tasks could not hand over, load or leave behind if each had a disk of its own.

    What one task alone saves and loads, in a folder of the run, may stay on its disk.

    Args:
        structure: the project.
        tasks: of all pipelines that are DAGs.
        exists: asks the project.
        ignored: the text of `.dockerignore`.
    """
    # Those for hooks alone load what the others saved, if they load anything.
    of_nodes = [task for task in tasks if task.nodes]
    saved = {untranscoded(n): task.task_id for task in reversed(of_nodes) for n in task.outputs}
    loaded = {untranscoded(n): task.task_id for task in reversed(of_nodes) for n in task.inputs}
    within = {untranscoded(n) for task in of_nodes for node in task.nodes for n in node.inputs}
    for name, dataset in {untranscoded(n): d for n, d in structure.datasets.items()}.items():
        if not dataset.on_a_disk:
            continue
        place = str(dataset.location)
        ready = dataset.of_one_run or (exists(place) and in_image(place, ignored))
        if name in saved and name in loaded:
            why = f"task {saved[name]} saves it, task {loaded[name]} loads it"
        elif name in saved and not (dataset.of_one_run and name in within):
            why = f"what task {saved[name]} saves is lost with its worker"
        elif name in loaded and not ready:
            why = f"task {loaded[name]} loads it, no task makes it, and the image has no such file"
        else:
            continue
        what = f"{name} is at {place}, on a disk that workers or containers do not share: {why}."
        root = "Set data_root to an object store (such as s3://bucket/data)"
        file = f"conf/{structure.env or 'base'}/globals.yml"
        yield f"{what} {root} in {file}, or give it such a path in the catalog."


def no_library(datasets: Mapping[str, Dataset], files: Files) -> Iterator[str]:
    """Yield which libraries for object stores the image would lack.

    Args:
        datasets: of the project.
        files: those of `adoption.LOOKED_AT`.
    """
    file = libraries_file(files)
    there = {"fsspec", *named(files, file)}
    lacking: dict[str, str] = {}
    for dataset in datasets.values():
        library = of_store(dataset.location).replace("_", "-")
        if not {library, UNKNOWN} & there and not dataset.type.startswith(THEIR_OWN_READERS):
            lacking.setdefault(library, str(dataset.location))
    for library, place in lacking.items():
        what = f"{file} does not name the library that reads {place}, among others."
        yield f"{what} Add the line:\n{library}"


def not_deployed(
    structure: Structure, files: Files, exists: Exists, given: Iterable[Connections]
) -> Iterator[str]:
    """Yield what would stop `astro deploy`, give secrets away, or be missing in its image.

    Args:
        structure: the project.
        files: those of `adoption.LOOKED_AT`.
        exists: asks the project.
        given: the connections of each DAG.
    """
    ignored = files.get(".dockerignore", "")
    if let_in := [name for name in SECRET if in_image(name, ignored)]:
        lines = "\n".join(SECRET[name] for name in let_in)
        what = f".dockerignore would let {' and '.join(let_in)} into the image."
        yield f"{what} Add to its beginning:\n{lines}"
    dockerfile = files.get("Dockerfile", "")
    said = re.search(r"(?mi)^\s*ENV\s+KEDRO_ENV[=\s]\s*[\"']?([\w.-]+)", dockerfile)
    there = exists("conf/airflow") and in_image("conf/airflow/catalog.yml", ignored)
    theirs = said[1] if said else "airflow" if there else "local"
    if dockerfile and theirs != (mine := structure.env or "local"):
        what = f"this check has read conf/{mine}, and the image reads conf/{theirs}. Check with"
        next_ = f"KEDRO_ENV={theirs}, or write `ENV KEDRO_ENV={mine}` into the Dockerfile, above"
        yield f"{what} {next_} the line that compiles."
    folders = tuple(f"conf/{name}/" for name in ("base", structure.env or "local"))
    for name, text in files.items():
        if name.startswith(folders) and "credentials" in name and not in_image(name, ignored):
            keys = re.findall(r"(?m)^[\"']?([\w.-]+)[\"']?\s*:", text)
            keys = [key for key in keys if not all(key in connections for connections in given)]
            if keys:
                what = f"{name} is left out of the image, and with it the credentials"
                yield f"{what} {', '.join(keys)}. {how_to_provide(structure.env)}"


def left_out(structure: Structure, files: Files) -> Iterator[str]:
    """Yield which files `.dockerignore` leaves out without which the image has no DAGs.

    Args:
        structure: the project.
        files: those of `adoption.LOOKED_AT`.
    """
    source, conf = structure.sources[:2]
    package = posixpath.normpath(f"{source}/{structure.package_name}/pipeline_registry.py")
    of_conf = [f"{conf}/{name}/catalog.yml" for name in ("base", structure.env) if name]
    shim = ["dags/kedro_astro/__main__.py"] * IN_DAGS
    needed = ("pyproject.toml", package, *of_conf, "dags/kedro_dags.py", *shim)
    ignored = files.get(".dockerignore", "").splitlines()
    if lost := [name for name in needed if not in_image(name, "\n".join(ignored))]:
        lines = [line for line in ignored if any(not in_image(name, line) for name in lost)]
        what = f".dockerignore leaves {', '.join(lost)} out of the image, which then has no DAGs."
        yield "\n".join([f"{what} Correct these lines:", *lines])


def how_to_provide(env: str) -> str:
    """Return how tasks get credentials where nobody brings them a file with secrets."""
    file = f"conf/{env or 'base'}/credentials.yml"
    what = f"Have {file} name variables instead of secrets, such as ${{oc.env:STORE_PASSWORD}}, let"
    where = f"(the line `!{file}` at the end of .gitignore and of .dockerignore)"
    then = f"git and the image have it {where}, and set the variables there"
    return f"{what} {then}. Or {CONNECT}."


def in_image(path: str, dockerignore: str) -> bool:
    """Whether the image has a file of the project, by the rules of `.dockerignore`.

    Args:
        path: relative to the project.
        dockerignore: the text of `.dockerignore`.
    """
    return not ignoring(dockerignore)(path)


def ignoring(dockerignore: str) -> Callable[[str], bool]:
    """Return what says whether the rules of a `.dockerignore` leave out a path in the project."""
    from pathspec import GitIgnoreSpec  # Airflow brings it

    rules = []
    for back, pattern in re.findall(r"(?m)^(?!#)[ \t]*(!?)[ \t]*/*(.*\S)", dockerignore):
        # To git a pattern without a slash is one for all folders, to Docker for the root alone.
        rule = f"{back}/{posixpath.normpath(pattern)}"
        with suppress(ValueError, re.error):  # Docker refuses such a line as well.
            GitIgnoreSpec.from_lines([rule])
            rules.append(rule)
    return GitIgnoreSpec.from_lines(rules).match_file
