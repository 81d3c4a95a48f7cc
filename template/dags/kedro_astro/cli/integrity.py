"""What is wrong with the files of the template: conflicts, damage, what would hurt an update."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from kedro_astro.__main__ import content, damage

MANAGED = """
.astro/*.yaml .astro/*.txt .astro/*.py .copier-answers.yml .dockerignore Dockerfile* *compose*.yml
dags/.airflowignore dags/*.json dags/kedro_*.py dags/kedro_astro/**/*.py packages.txt
plugins/kedro_astro*.py requirements*.txt tests/dags/test_dags.py tests/test_template.py
""".split()
"""Files that an update writes in every project."""


def conflicts(project: Path) -> list[str]:
    """Return where `copier update` left both versions: `file:line`, relative to the project."""
    marks = "^(<{7} before|>{7} after) updating"
    said = _git(project, "grep", "--no-index", "--exclude-standard", "-anzE", marks, "--", ":!data")
    return [":".join(line.split("\0")[:2]) for line in said.split("\n")[:-1]]


def wrong_files(project: Path) -> Iterator[tuple[str, str]]:
    """Yield `error` or `warning`, and what is wrong with the files of the template."""
    if places := conflicts(project):
        what = f"copier update left two versions at {', '.join(places)}. Decide and delete one."
        yield "error", what
    if damaged := damage():
        yield "error", damaged
    if not os.path.exists(project / ".copier-answers.yml"):
        return
    managed = [path for each in MANAGED for path in sorted(project.glob(each))]
    for path in managed:
        if "\ufffd" in (content(path) or ""):
            what = f"{path.relative_to(project)} has bytes that are no UTF-8; an update drops them."
            yield "warning", f"{what} Save it as UTF-8 before the next copier update."
    names = [str(path.relative_to(project)) for path in managed]
    ignored = _git(project, "check-ignore", *names).splitlines()
    # Where all of them are, git knows nothing of the project.
    if 0 < len(ignored) < len(names):
        what = f"git ignores {', '.join(ignored)}, so an update overwrites or deletes what you"
        yield "warning", f"{what} changed. Do `git add --force` with each before the next."


def _git(project: Path, *command: str) -> str:
    """Return what git says in the project; nothing if there is none, or it takes too long."""
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(
            ["git", *command], cwd=project, capture_output=True, timeout=20, check=False
        )
        return os.fsdecode(done.stdout)
    return ""
