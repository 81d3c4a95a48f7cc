"""A Docker engine for the tests, and the image that stands in for Astronomer's Runtime on it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from scaffold import ROOT, run, succeed

RUNTIME = ROOT / "tests/runtime"
DEBIAN = "kedro-astro/debian"
AIRFLOW_2 = {"12": "constraints-astro-sdk.txt", "13": "constraints-oldest.txt"}
"""By the major version of the Runtime, what pins its Airflow 2."""
KEPT = "apache-airflow|flask|sqlalchemy|werkzeug|connexion|pendulum|marshmallow"
"""What is taken from there; the Runtime itself does not pin Kedro, nor what it needs."""
POSTGRES = "postgres:12.6"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
PACKAGES = "ca-certificates,python3,python3-pip,python3-venv,tini"


@cache
def missing() -> str:
    """Return what the tests of the image lack on this machine; nothing if they can run."""
    if shutil.which("docker") is None or run(["docker", "info"], ROOT).returncode:
        return "no Docker engine answers: start one, as root or as a member of its group"
    if not compose():
        return "there is no Docker Compose: install it as the client's plugin or as docker-compose"
    if os.environ.get("KEDRO_ASTRO_RUNTIME") == "real":
        return ""
    if os.geteuid() or shutil.which("debootstrap") is None:
        return (
            "the stand-in for the Runtime is made by root with Debian's debootstrap. Where "
            "Astronomer's registry is reachable, set KEDRO_ASTRO_RUNTIME=real instead"
        )
    return ""


def compose() -> list[str]:
    """Return the command of Docker Compose; nothing if there is none."""
    if run(["docker", "compose", "version"], ROOT).returncode == 0:
        return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else []


def build(
    context: Path, tag: str, dockerfile: str = "Dockerfile", *options: str
) -> subprocess.CompletedProcess[str]:
    """Build an image as `docker build .` does; the output is in `stdout`."""
    # Debian has no BuildKit plugin for the client; without one only the old builder works.
    buildx = run(["docker", "buildx", "version"], context).returncode == 0
    env = {} if buildx else {"DOCKER_BUILDKIT": "0"}
    return run(["docker", "build", *options, "--file", dockerfile, "--tag", tag, "."], context, env)


def in_image(image: str, *command: str, options: tuple[str, ...] = ()) -> str:
    """Run a command in a container that can write to /tmp and to no other file."""
    closed = ("--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp")
    return succeed(["docker", "run", *closed, *options, image, *command], ROOT)


def layers(image: str) -> list[str]:
    """Return the ids of an image's layers, the lowest first."""
    shown = ["docker", "image", "inspect", "--format", "{{ json .RootFS.Layers }}", image]
    found: list[str] = json.loads(succeed(shown, ROOT))
    return found


@contextmanager
def image_of(project: Path, tag: str, dockerfile: str = "Dockerfile") -> Iterator[str]:
    """Have the engine build an image of a project; remove it when the block ends."""
    {"Dockerfile": provide_runtime, "Dockerfile.tasks": provide_python}[dockerfile](project)
    done = build(project, tag, dockerfile)
    assert done.returncode == 0, done.stdout
    yield tag
    run(["docker", "image", "rm", "--force", tag], ROOT)


def provide_runtime(project: Path) -> None:
    """See to it that the engine has the image that the project's Dockerfile starts from."""
    tag = (project / "Dockerfile").read_text().split()[1]
    runtime = tag.rpartition(":")[2]
    pins, suite = (ROOT / "constraints.txt").read_text(), "trixie"
    if two := AIRFLOW_2.get(runtime.partition(".")[0]):
        lines = (ROOT / two).read_text().splitlines()
        # Airflow 2 does not run on trixie's Python.
        pins, suite = "\n".join(line for line in lines if re.match(KEPT, line)), "bookworm"
    (airflow,) = re.findall(r"(?m)^apache-airflow==(\S+)", pins)
    version = runtime.partition("-python")[0]
    said = (f"AIRFLOW={airflow}", f"RUNTIME={version}", f"DEBIAN={DEBIAN}:{suite}")
    _provide(tag, RUNTIME, {"pip-constraints.txt": pins}, suite, said)


def provide_python(project: Path) -> None:
    """See to it that the engine has the image that the project's Dockerfile.tasks starts from."""
    image = re.findall(r"(?m)^FROM (\S+)", (project / "Dockerfile.tasks").read_text())[0]
    _provide(
        image,
        ROOT / "tests/python",
        {"pip-constraints.txt": (ROOT / "constraints.txt").read_text()},
    )


def provide_postgres() -> str:
    """See to it that the engine has the database of `astro dev start`; return the image's name."""
    _provide(POSTGRES, ROOT / "tests/postgres", {})
    return POSTGRES


def _provide(
    tag: str,
    folder: Path,
    more: Mapping[str, str],
    suite: str = "trixie",
    arguments: Sequence[str] = (),
) -> None:
    """Have the engine build the stand-in for a public image.

    It is built once for each state of what it is made of, and kept by the engine.

    Args:
        tag: the public image's name.
        folder: the Dockerfile and what it copies.
        more: texts of files that it copies beside these, by name.
        suite: of Debian, which it is made on.
        arguments: of the build, each `NAME=value`.
    """
    if os.environ.get("KEDRO_ASTRO_RUNTIME") == "real":
        return
    (ROOT / "build").mkdir(exist_ok=True)
    with (ROOT / "build/images.lock").open("w") as lock:
        # Whoever needs the image while another process makes it waits for that.
        fcntl.flock(lock, fcntl.LOCK_EX)
        _make(tag, folder, {CERTIFICATES.name: CERTIFICATES.read_text(), **more}, suite, arguments)


def _make(
    tag: str, folder: Path, more: Mapping[str, str], suite: str, arguments: Sequence[str]
) -> None:
    files = [*(file.read_text() for file in sorted(folder.iterdir())), *more.values()]
    made_of = "".join([*files, suite, *arguments])
    state = hashlib.sha256(made_of.encode()).hexdigest()
    label = ["docker", "image", "inspect", "--format", '{{ index .Config.Labels "state" }}', tag]
    if run(label, ROOT).stdout.strip() == state:
        return
    _provide_debian(suite)
    with tempfile.TemporaryDirectory() as temporary:
        context = Path(temporary)
        shutil.copytree(folder, context, dirs_exist_ok=True)
        for name, text in more.items():
            (context / name).write_text(text)
        dockerfile = context / "Dockerfile"
        text = dockerfile.read_text() + f"LABEL state={state}\n"
        if tag.endswith("-base"):
            # The same image without what it would do to a project by itself.
            text = re.sub(r"(?m)^ONBUILD .*\n", "", text)
        dockerfile.write_text(text)
        options = [f"--build-arg={argument}" for argument in arguments]
        done = build(context, tag, "Dockerfile", *options)
        assert done.returncode == 0, done.stdout


def _provide_debian(suite: str) -> None:
    image = f"{DEBIAN}:{suite}"
    if run(["docker", "image", "inspect", image], ROOT).returncode == 0:
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "root")
        succeed(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, root], ROOT)
        archive = Path(folder, "root.tar")
        succeed(["tar", "--directory", root, "--create", "--file", archive, "."], ROOT)
        succeed(["docker", "import", archive, image], ROOT)
