"""What is left to merge by hand where a project was there before kedro-astro. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

COMPILE = """\
ENV KEDRO_ASTRO_MANIFEST=/usr/local/airflow/.kedro-astro/manifest.json
RUN PYTHONPATH=dags python -m kedro_astro compile"""

FROM = "FROM astrocrpublic.azurecr.io/runtime:3.3-8-python-3.12"

LOOKED_AT = (
    *("requirements.txt", "Dockerfile", ".dockerignore", ".gitignore", "dags/*.py"),
    "docker-compose.override.yml",
)
"""Files, as patterns, whose texts `left_to_merge` and `check.findings` take."""


def left_to_merge(files: Mapping[str, str], deployed: bool = False) -> Iterator[tuple[str, str]]:
    """Yield what your own files lack: `error` or `warning`, and what it is and how to mend it.

    Args:
        files: texts of the files of `LOOKED_AT` that there are, by path in the project.
        deployed: whether `astro deploy` is to take the project, which stops at another image.
    """
    dockerfile = files.get("Dockerfile")
    if dockerfile is not None:
        yield from _in_the_image(dockerfile, files.get("requirements.txt", ""), deployed)
    if "conf/local" not in files.get(".dockerignore", "conf/local"):
        yield (
            "error",
            ".dockerignore lets conf/local, with its credentials, into the image. Add these two "
            "lines:\nconf/local/*\n!conf/local/.gitkeep",
        )
    if "conf/local" not in files.get(".gitignore", "conf/local"):
        yield (
            "error",
            ".gitignore lets conf/local and other credentials into git. Add these three lines:\n"
            "conf/local/**\n!conf/local/.gitkeep\nconf/**/*credentials*",
        )
    for path, text in files.items():
        if path.startswith("dags/") and re.search(r"\bKedroSession\b", text):
            yield (
                "warning",
                f"{path} runs Kedro by itself, as what kedro-airflow generates does. The pipelines "
                "have DAGs without it now: delete the file, or both will run.",
            )


def _in_the_image(dockerfile: str, requirements: str, deployed: bool) -> Iterator[tuple[str, str]]:
    if not re.search(r"(?m)^FROM \S*/(?:astro-)?runtime:", dockerfile):
        yield (
            "error" if deployed else "warning",
            "the Dockerfile does not start from Astro's Runtime, so the Astro CLI cannot use it. "
            f"Give your own another name, and this one the line:\n{FROM}",
        )
    elif "kedro_astro compile" not in dockerfile:
        yield (
            "warning",
            "the Dockerfile does not read the project while the image is built, so each parse has "
            f"to look for changes. Add these two lines:\n{COMPILE}",
        )
    if not re.search(r"(?mi)^\s*kedro\s*(?:[\[<>=~!;@#]|$)", requirements):
        yield (
            "error",
            "requirements.txt does not name kedro, so the image would not have it. Add kedro and "
            "the libraries of your pipelines.",
        )
