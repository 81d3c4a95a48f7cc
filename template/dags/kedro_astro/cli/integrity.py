"""What is wrong with the files of the template: conflicts, damage, what would hurt an update."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from kedro_astro.__main__ import content, damage

# The whole words, not to be found in this file itself.
MARKERS = (b"<" * 7 + b" before updating", b">" * 7 + b" after updating")

FOLDERS = "conf dags include plugins src tests .astro .github".split()
"""Where the template writes, besides the project's own folder and `data`."""

MANAGED = """
.astro/*.yaml .astro/*.txt .astro/*.py .copier-answers.yml .dockerignore Dockerfile *compose*.yml
dags/.airflowignore dags/*.json dags/kedro_*.py dags/kedro_astro/**/*.py packages.txt
plugins/kedro_astro*.py requirements*.txt tests/dags/test_dags.py tests/test_template.py
""".split()
"""Files that an update writes in every project."""


def conflicts(project: Path) -> list[str]:
    """Return where `copier update` left both versions: `file:line`, relative to the project."""
    return [
        f"{file.relative_to(project).as_posix()}:{number}"
        for pattern in ("*", *(f"{folder}/**/*" for folder in FOLDERS))
        for file in sorted(project.glob(pattern))
        for number, line in enumerate((content(file) or b"").splitlines(), start=1)
        if line.startswith(MARKERS)
    ]


def wrong_files(project: Path) -> Iterator[tuple[str, str]]:
    """Yield `error` or `warning`, and what is wrong with the files of the template."""
    if places := conflicts(project):
        what = f"copier update left two versions at {', '.join(places)}. Decide and delete one."
        yield "error", what
    if damaged := damage():
        yield "error", damaged
    if os.path.exists(project / ".copier-answers.yml"):
        for what in _in_the_way(project):
            yield "warning", f"{what} before the next copier update."


def _in_the_way(project: Path) -> Iterator[str]:
    """Yield what an update would lose and Copier cannot see, and what to do."""
    managed = [path for each in MANAGED for path in sorted(project.glob(each))]
    for path in managed:
        if "\ufffd" in (content(path) or b"").decode(errors="replace"):
            name = path.relative_to(project)
            yield f"{name} has bytes that are no UTF-8; an update drops them. Save it as UTF-8"
    for ignored in _ignored(project):
        if any(project / ignored in (path, *path.parents) for path in managed):
            what = f"git ignores {ignored}, so an update overwrites or deletes what you changed"
            yield f"{what}. Do `git add --force {ignored}`"


def _ignored(project: Path) -> list[str]:
    """Return what git ignores in the project: files, and folders in which it ignores everything."""
    command = "git ls-files --others --ignored --exclude-standard --directory -z".split()
    with suppress(OSError, subprocess.TimeoutExpired):  # There may be no git.
        done = subprocess.run(command, cwd=project, capture_output=True, timeout=20, check=False)
        found = os.fsdecode(done.stdout).split("\0")[:-1]
        return [] if "./" in found else found
    return []
