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
from collections.abc import Mapping
from pathlib import Path

import yaml
from scaffold import ROOT, run, succeed

RUNTIME = ROOT / "tests/runtime"
DEBIAN = "kedro-astro/debian"
POSTGRES = "postgres:12.6"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
PACKAGES = "ca-certificates,python3,python3-pip,python3-venv,tini"


def missing() -> str:
    """Return what the tests of the image lack on this machine; nothing if they can run.

    Raises:
        RuntimeError: if it is CI's machine, where none of them may be left out.
    """
    reason = _missing()
    if reason and os.environ.get("CI"):
        raise RuntimeError(f"CI leaves no test out, and {reason}")
    return reason


def _missing() -> str:
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
    context: Path, tag: str, dockerfile: str = "Dockerfile"
) -> subprocess.CompletedProcess[str]:
    """Build an image as `docker build .` does; the output is in `stdout`."""
    # Debian has no BuildKit plugin for the client; without one only the old builder works.
    buildx = run(["docker", "buildx", "version"], context).returncode == 0
    env = {} if buildx else {"DOCKER_BUILDKIT": "0"}
    return run(["docker", "build", "--file", dockerfile, "--tag", tag, "."], context, env)


def in_image(image: str, *command: str, options: tuple[str, ...] = ()) -> str:
    """Run a command in a container that can write to /tmp and to no other file."""
    closed = ("--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp")
    return succeed(["docker", "run", *closed, *options, image, *command], ROOT)


def layers(image: str) -> list[str]:
    """Return the ids of an image's layers, the lowest first."""
    shown = ["docker", "image", "inspect", "--format", "{{ json .RootFS.Layers }}", image]
    found: list[str] = json.loads(succeed(shown, ROOT))
    return found


def provide_runtime(tag: str) -> None:
    """See to it that the engine has the image that the project's Dockerfile starts from."""
    _provide(tag, RUNTIME, {"pip-constraints.txt": ROOT / "constraints.txt"})


def provide_python(project: Path) -> None:
    """See to it that the engine has the image that the project's Dockerfile.tasks starts from."""
    image = re.findall(r"(?m)^FROM (\S+)", (project / "Dockerfile.tasks").read_text())[0]
    _provide(image, ROOT / "tests/python", {"pip-constraints.txt": ROOT / "constraints.txt"})


def provide_postgres() -> str:
    """See to it that the engine has the database of `astro dev start`; return the image's name."""
    _provide(POSTGRES, ROOT / "tests/postgres", {})
    return POSTGRES


def _provide(tag: str, folder: Path, more: Mapping[str, Path]) -> None:
    """Have the engine build the stand-in for a public image.

    It is built once for each state of what it is made of, and kept by the engine.

    Args:
        tag: the public image's name.
        folder: the Dockerfile and what it copies.
        more: files that it copies from elsewhere, by the names that they have there.
    """
    if os.environ.get("KEDRO_ASTRO_RUNTIME") == "real":
        return
    (ROOT / "build").mkdir(exist_ok=True)
    with (ROOT / "build/images.lock").open("w") as lock:
        # Whoever needs the image while another process makes it waits for that.
        fcntl.flock(lock, fcntl.LOCK_EX)
        _make(tag, folder, more)


def _make(tag: str, folder: Path, more: Mapping[str, Path]) -> None:
    more = {CERTIFICATES.name: CERTIFICATES, **more}
    sources = [*sorted(folder.iterdir()), *more.values()]
    state = hashlib.sha256(b"".join(file.read_bytes() for file in sources)).hexdigest()
    label = ["docker", "image", "inspect", "--format", '{{ index .Config.Labels "state" }}', tag]
    if run(label, ROOT).stdout.strip() == state:
        return
    _provide_debian()
    with tempfile.TemporaryDirectory() as temporary:
        context = Path(temporary)
        shutil.copytree(folder, context, dirs_exist_ok=True)
        for name, file in more.items():
            shutil.copy(file, context / name)
        dockerfile = context / "Dockerfile"
        text = dockerfile.read_text() + f"LABEL state={state}\n"
        if tag.endswith("-base"):
            # The same image without what it would do to a project by itself.
            text = re.sub(r"(?m)^ONBUILD .*\n", "", text)
        dockerfile.write_text(text)
        done = build(context, tag)
        assert done.returncode == 0, done.stdout


def _provide_debian() -> None:
    if run(["docker", "image", "inspect", DEBIAN], ROOT).returncode == 0:
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "root")
        succeed(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "trixie", root], ROOT)
        archive = Path(folder, "root.tar")
        succeed(["tar", "--directory", root, "--create", "--file", archive, "."], ROOT)
        succeed(["docker", "import", archive, DEBIAN], ROOT)


if __name__ == "__main__":
    # CI makes them while the tests run that need none.
    runtime = yaml.safe_load((ROOT / "copier.yml").read_text())["runtime"]["default"]
    provide_runtime(runtime)
    provide_runtime(f"{runtime}-base")
    provide_postgres()
