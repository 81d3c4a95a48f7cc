"""Install what `make` needs into this checkout: `.venv` and, where there is no uv, `.uv`.

Runs on whatever Python is there, however old, to say so in words: no syntax here that is newer
than Python 3.6. Nothing outside the checkout is changed but uv's own package cache.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from typing import List, NoReturn, Optional, Tuple

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
UV_VENV = os.path.join(ROOT, ".uv")
READY = os.path.join(VENV, "ready")
SOURCES = ("pyproject.toml", "constraints.txt", os.path.join("template", "requirements.txt"))
OLDEST, NEWEST = (3, 10), (3, 13)


def main() -> None:
    fingerprint = hash_of(SOURCES)
    if read(READY) == fingerprint:
        return
    python = find_python()
    uv = shutil.which("uv") or install_uv(python)
    print("Installing Kedro, Airflow and the tools into .venv (once) ...")
    sys.stdout.flush()
    if not runs([os.path.join(VENV, "bin", "python"), "--version"]):
        shutil.rmtree(VENV, ignore_errors=True)
        run([uv, "venv", "--quiet", "--python", python, VENV], "make a virtual environment")
    files = [os.path.join(ROOT, name) for name in SOURCES]
    run(
        [
            *(uv, "pip", "install", "--quiet", "--python", VENV, "--compile-bytecode"),
            *("--group", files[0] + ":dev", "--constraint", files[1], "--requirement", files[2]),
        ],
        "install the packages",
    )
    with open(READY, "w") as file:
        file.write(fingerprint)


def find_python() -> str:
    """Return a Python that Airflow and Kedro run on: this one, or another on the PATH."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return sys.executable
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        name = "python3." + str(minor)
        if runs([name, "--version"]):
            return name
    version = ".".join(str(number) for number in sys.version_info[:2])
    stop(
        "Python " + version + " cannot run this: Airflow and Kedro need 3.10 to 3.13.",
        "Install one of these, for example with your system's packages, and name it:"
        " make PYTHON=python3.12 ...",
    )


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
