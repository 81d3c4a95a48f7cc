"""What is left to merge by hand where a project was there before kedro-astro. Pure functions."""

import re
from collections.abc import Iterator, Mapping

from kedro_astro.planning.requirements import BUILT, UNKNOWN, lacking, named, whole
from kedro_astro.project import IN_DAGS, OWN_REQUIREMENTS

COMPILE = """\
ENV KEDRO_ASTRO_MANIFEST=/usr/local/airflow/.kedro-astro/manifest.jsonl
RUN PYTHONPATH=dags python -m kedro_astro compile"""

OWN_PYTHON = """\
COPY requirements-kedro.txt .
RUN python -m venv /opt/kedro \\
 && PIP_CONSTRAINT= /opt/kedro/bin/pip install --no-cache-dir --requirement requirements-kedro.txt
ENV KEDRO_ASTRO_PYTHON=/opt/kedro/bin/python"""

FROM = "FROM astrocrpublic.azurecr.io/runtime:3.3-8-python-3.12"

Files = Mapping[str, str]
"""Texts of those files of `LOOKED_AT` that there are, by path; empty if unreadable."""

LOOKED_AT = """
.astro/config.yaml .dockerignore .gitignore airflow_settings.yaml conf/**/credentials*.y*ml
dags/*.py dags/kedro_astro/__init__.py Dockerfile packages.txt pyproject.toml requirements*.txt
requirements*/*.txt
""".split()
"""Files, as patterns, whose texts `check.findings` takes."""


def left_to_merge(files: Files, airflow: str, deployed: bool) -> Iterator[tuple[str, str]]:
    """Yield what your own files lack: `error` or `warning`, and what it is and how to mend it.

    Args:
        files: of the project.
        airflow: the version that is installed.
        deployed: whether `astro deploy` is to take the project, which stops at another image.
    """
    if "Dockerfile" in files:
        yield from _in_the_image(files, airflow, deployed)
    if "conf/local" not in files.get(".dockerignore", "conf/local"):
        what = ".dockerignore lets conf/local, with its credentials, into the image."
        yield "error", f"{what} Add these two lines:\nconf/local/*\n!conf/local/.gitkeep"
    if "conf/local" not in files.get(".gitignore", "conf/local"):
        what = ".gitignore lets conf/local and other credentials into git. Add these three lines:"
        yield "error", f"{what}\nconf/local/**\n!conf/local/.gitkeep\nconf/**/*credentials*"
    if (name := "airflow_settings.yaml") in files and name not in files.get(".gitignore", name):
        yield "error", f".gitignore lets {name} and its passwords into git. Add:\n{name}"
    if not IN_DAGS and "dags/kedro_astro/__init__.py" in files:
        what = "kedro_astro is installed, and Airflow takes it rather than dags/kedro_astro."
        yield "error", f"{what} Uninstall kedro-astro, or delete the folder."
    for path, text in files.items():
        own = path.startswith("dags/")
        if own and re.search(r"\bKedroSession\b", text):
            what = f"{path} runs Kedro by itself, as what kedro-airflow generates does."
            yield "warning", f"{what} Delete it, or its pipelines run twice: they have DAGs now."
        if own and airflow >= "2.11" and re.search(r"(?m)^\s*(?:from|import)\s+astro\b", text):
            what = f"{path} imports the Astro SDK, which no Airflow after 2.10 can have."
            yield "error", f"{what} kedro-astro's docs show the same without it: ingest-data.md."


def libraries_file(files: Files) -> str:
    """Return the name of the file that lists Kedro and the libraries of the pipelines."""
    return OWN_REQUIREMENTS if OWN_REQUIREMENTS in files else "requirements.txt"


def airflow_of(dockerfile: str) -> str | None:
    """Return the Airflow of a Dockerfile's Runtime, such as `3.3`; empty if that cannot be seen,
    None if it starts from another image."""
    image = r"(?:\S*/)?(astro-)?(?:runtime|ap-airflow)(?::(\d{1,3})(\.\d{1,3}))?"
    found = re.findall(rf"(?mi)^\s*FROM\s+(?:--\S+\s+)*{image}", dockerfile)
    if not found:
        return None
    old, major, minor = found[-1]
    # astro-runtime 13.0 has Airflow 2.11, 12.0 has 2.10.
    return f"2.{max(0, int(major) - 2)}" if old and major else major + minor


def _in_the_image(files: Files, airflow: str, deployed: bool) -> Iterator[tuple[str, str]]:
    dockerfile, libraries = files["Dockerfile"], libraries_file(files)
    own, here = libraries == OWN_REQUIREMENTS, ".".join(airflow.split(".")[:2])
    there = airflow_of(dockerfile)
    if there is None:
        level = "error" if deployed else "warning"
        what = "the Dockerfile does not start from Astro's Runtime, so the Astro CLI cannot use it."
        yield level, f"{what} Give your own another name, and this one the line:\n{FROM}"
    elif there and [*map(int, there.split("."))] < [2, 10]:
        what = f"the Dockerfile's Runtime has Airflow {there}, and kedro-astro needs 2.10 or later."
        yield "error", f"{what} Let the Dockerfile begin with this line:\n{FROM}"
    elif there and there != here:
        what = f"the Dockerfile's Runtime has Airflow {there}, and here {airflow} is installed."
        yield "warning", f"{what} Install the same here:\napache-airflow~={there}.0"
    if there is not None and "kedro_astro compile" not in dockerfile:
        lines = COMPILE.replace("python -m", "/opt/kedro/bin/python -m") if own else COMPILE
        what = "the Dockerfile does not read the project while the image is built, so each parse"
        yield "warning", f"{what} has to look for changes. Add these two lines:\n{lines}"
    for name in dict.fromkeys(("Dockerfile", libraries, "requirements.txt")):
        found = re.search(BUILT, whole(files, name))
        # In a file of requirements an address, or what the image has, is a library.
        if found and (name == "Dockerfile" or not re.search("^/|://", found[2])):
            level = "warning" if name == "Dockerfile" or there is None else "error"
            what = f"{name} installs {found[2]}. If that is this project, tasks do not use it: they"
            yield level, f"{what} run what is in the folder of your packages. Delete that line."
    if own and "KEDRO_ASTRO_PYTHON" not in dockerfile:
        what = f"the Dockerfile does not install {libraries}, so the image would have no Kedro."
        yield "error", f"{what} As root, add these lines:\n{OWN_PYTHON}"
    shim = () if IN_DAGS else dict.fromkeys((libraries, "requirements.txt"), "kedro-astro").items()
    for name, library in ((libraries, "kedro"), *shim):
        if name not in files or not {library, UNKNOWN} & named(files, name):
            what = f"{name} does not name {library}, so the image would not have it."
            yield "error", f"{what} Add the line that `pip freeze` prints for it."
    if missing := lacking(files, libraries):
        what = f"pyproject.toml names libraries that {libraries} lacks, and so would the image."
        yield "error", "\n".join([f"{what} Add to it:", *missing])
    if own and "kedro" in named(files, "requirements.txt"):
        what = "requirements.txt names kedro and would install it beside Airflow."
        yield "error", f"{what} Move it and the libraries of your pipelines to {libraries}."
