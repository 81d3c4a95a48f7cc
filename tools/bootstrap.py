"""Install what `make` needs into this checkout: `.venv` and, where there is no uv, `.uv`.

`bootstrap.py oldest` makes `.venv-oldest` instead, with Airflow 2.11 and the oldest Kedro that the
shim runs on; `astro-sdk` makes `.venv-astro-sdk`, with Airflow 2.10 and the Astro SDK; `bench`
makes `.venv-bench`, with what the shim is measured against.

Runs on whatever Python is there, however old, to say so in words: no syntax here that is newer
than Python 3.6. Nothing outside the checkout is changed but uv's own package cache.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from typing import List, NamedTuple, NoReturn, Optional, Tuple

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
UV_VENV = os.path.join(ROOT, ".uv")
THIS = sys.version_info[1] if sys.version_info[0] == 3 else None


class Venv(NamedTuple):
    """A virtual environment in the checkout, for one of pyproject.toml's dependency groups.

    Attributes:
        name: of its folder.
        group: what is installed.
        sources: files that say so: pyproject.toml, the constraints, and what overrides them.
        minors: of the Pythons 3 that it can have, those to be looked for first in front.
        holds: what needs such a Python.
    """

    name: str
    group: str
    sources: Tuple[str, ...]
    minors: Tuple[int, ...]
    holds: str


NEWEST = Venv(
    ".venv",
    "dev",
    ("pyproject.toml", "constraints.txt"),
    tuple(sorted((13, 12, 11, 10), key=lambda minor: minor != THIS)),  # this one, if it can be
    "Kedro, Airflow and the tools",
)
OLDEST = Venv(
    ".venv-oldest",
    "oldest",
    ("pyproject.toml", "constraints-oldest.txt", "overrides-oldest.txt"),
    (10, 11, 12),
    "Kedro 1.0 and Airflow 2.11",
)
BENCH = NEWEST._replace(name=".venv-bench", group="bench", holds="Kedro, Airflow, kedro-airflow")
ASTRO_SDK = Venv(
    ".venv-astro-sdk",
    "astro-sdk",
    ("pyproject.toml", "constraints-astro-sdk.txt"),
    (11, 10, 12),
    "Airflow 2.10 and the Astro SDK",
)
OTHERS = {"oldest": OLDEST, "bench": BENCH, "astro-sdk": ASTRO_SDK}


def main() -> None:
    venv = OTHERS[sys.argv[1]] if sys.argv[1:] else NEWEST
    folder = os.path.join(ROOT, venv.name)
    ready = os.path.join(folder, "ready")
    fingerprint = hash_of(venv.sources)
    if read(ready) == fingerprint:
        return
    python = os.path.join(folder, "bin", "python")
    is_there = runs([python, "--version"])
    if not is_there:
        shutil.rmtree(folder, ignore_errors=True)
        python = find_python(venv)
    uv = shutil.which("uv") or install_uv(python)
    print("Installing " + venv.holds + " into " + venv.name + " (once) ...")
    sys.stdout.flush()
    if not is_there:
        run([uv, "venv", "--quiet", "--python", python, folder], "make a virtual environment")
    project, constraints, *overrides = (os.path.join(ROOT, name) for name in venv.sources)
    command = [uv, "pip", "install", "--quiet", "--python", folder, "--compile-bytecode"]
    command += ["--group", project + ":" + venv.group, "--constraint", constraints]
    for override in overrides:
        command += ["--override", override]
    run(command, "install the packages")
    with open(ready, "w") as file:
        file.write(fingerprint)


def find_python(venv: Venv) -> str:
    """Return the first Python that the environment can have: this one, or another on the PATH."""
    for minor in venv.minors:
        name = sys.executable if minor == THIS else "python3." + str(minor)
        if runs([name, "--version"]):
            return name
    this = ".".join(str(number) for number in sys.version_info[:2])
    problem = "Python {} cannot run this: {} need 3.{} to 3.{}.".format(
        this, venv.holds, min(venv.minors), max(venv.minors)
    )
    remedy = (
        "Install one of these, for example with your system's packages, and name it:"
        " make PYTHON=python3.12 ..."
    )
    stop(problem, remedy)


def install_uv(python: str) -> str:
    """Return uv, installed into the checkout."""
    uv = os.path.join(UV_VENV, "bin", "uv")
    if not runs([uv, "--version"]):
        shutil.rmtree(UV_VENV, ignore_errors=True)
        if not runs([python, "-m", "ensurepip", "--version"]):
            stop(
                python + " cannot make virtual environments: its ensurepip is missing.",
                "Install it (Debian, Ubuntu: apt-get install python3-venv), or install uv.",
            )
        run([python, "-m", "venv", UV_VENV], "make a virtual environment for uv")
        pip = [os.path.join(UV_VENV, "bin", "python"), "-m", "pip"]
        run([*pip, "install", "--quiet", "uv"], "install uv")
    return uv


def run(command: List[str], what: str) -> None:
    """Run a command; if it fails, say what could not be done, its last words, and what to do."""
    environment = dict(os.environ, UV_PYTHON_DOWNLOADS="never")
    environment.pop("VIRTUAL_ENV", None)
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
    )
    words = child.communicate()[0].decode("utf-8", "replace").strip()
    if child.returncode:
        last = "\n".join("    " + line.strip() for line in words.splitlines()[-6:])
        stop(
            "Could not " + what + ":\n" + last,
            "If that speaks of a connection: go online (behind a proxy set HTTPS_PROXY, for a"
            " mirror UV_INDEX_URL and PIP_INDEX_URL) and run the same command again."
            " Nothing is half-done: it starts where it stopped.",
        )


def runs(command: List[str]) -> bool:
    """Whether a command can be run and succeeds."""
    try:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError:
        return False
    child.communicate()
    return child.returncode == 0


def stop(problem: str, remedy: str) -> NoReturn:
    sys.stderr.write("\n" + problem + "\n" + remedy + "\n")
    sys.exit(1)


def hash_of(names: Tuple[str, ...]) -> str:
    found = hashlib.sha256()
    for name in names:
        with open(os.path.join(ROOT, name), "rb") as file:
            found.update(file.read())
    return found.hexdigest()


def read(path: str) -> Optional[str]:
    try:
        with open(path) as file:
            return file.read()
    except (IOError, OSError):
        return None


if __name__ == "__main__":
    main()
