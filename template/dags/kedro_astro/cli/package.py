"""`kedro astro package mwaa`: the project as Amazon MWAA takes it, with no byte of this machine."""

import hashlib
import io
import os
import shlex
import shutil
import subprocess
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from kedro_astro.__main__ import content
from kedro_astro.airflow.manifest import COMPILED, Manifest, to_bytes
from kedro_astro.planning import mwaa
from kedro_astro.planning.deployment import ignoring
from kedro_astro.project import OWN_REQUIREMENTS, PROJECT, SHIM, relative, write
from kedro_astro.structure import Structure

IGNORED = "**/__pycache__\n**/*.egg-info\n**/.env*\n{conf}/**/*credentials*\n{rules}\n{conf}/local"
"""What MWAA does not get: `.dockerignore` has a say, but not about the last line."""


class Bundle:
    """What goes to MWAA, read and not yet written.

    Args:
        project: the folder that holds `pyproject.toml`.
        structure: of the project.
        files: texts of `adoption.LOOKED_AT`, by path.

    Attributes:
        problems: why it cannot go there, and what to do.
        requirements: the text of the file.
    """

    def __init__(self, project: Path, structure: Structure, files: Mapping[str, str]) -> None:
        self._structure = structure
        self._paths, self.problems = _paths(project, structure)
        self.requirements, wrong = mwaa.requirements(files, ["requirements.txt", OWN_REQUIREMENTS])
        texts = {name: content(path) or "" for name, path in self._paths.items()}
        wrong += mwaa.literal_keys({**texts, "requirements.txt": self.requirements})
        if structure.env in ("", "local"):
            what = "tasks would read conf/local, which MWAA does not get. Make the folder"
            wrong.append(f"{what} conf/airflow (it may be empty), or set KEDRO_ENV to another.")
        self.problems += wrong

    def write(self, folder: Path, manifest: Manifest) -> None:
        """Write it with the project's manifest, in the place of what is there."""
        compiled = to_bytes(manifest.structure(), [*manifest.blueprints()])
        name = f"dags/kedro_manifest-{hashlib.sha256(compiled).hexdigest()[:12]}.jsonl"
        says = {PROJECT: f"plugins/{mwaa.PROJECT}", COMPILED: name}
        exports = [f'export {key}="$AIRFLOW_HOME/{value}"' for key, value in says.items()]
        exports.append(f"export KEDRO_ENV={shlex.quote(self._structure.env)}")
        made = {
            name: compiled,
            "plugins.zip": self._zip(),
            "requirements.txt": self.requirements.encode(),
            "startup.sh": "\n".join(["# MWAA sources this.", *exports, ""]).encode(),
            "deploy.sh": (SHIM / "cli/deploy-to-mwaa.sh").read_bytes(),
            "policy.json": mwaa.policy(self._structure.datasets.values()).encode(),
        }
        made |= {n: p.read_bytes() for n, p in self._paths.items() if n.startswith("dags/")}
        # All of it is made by now: what was there goes for nothing less than the new.
        if folder.exists():
            shutil.rmtree(folder)
        for name, data in made.items():
            write(folder / name, data)

    def _zip(self) -> bytes:
        # To Kedro a folder of an environment that is not there is an error.
        ignore, local = ".airflowignore", f"{self._structure.sources[1]}/local/.gitkeep"
        inside = {ignore: b"", f"{mwaa.PROJECT}/{local}": b""}
        for name, path in self._paths.items():
            if not name.startswith("dags/"):
                own = name.startswith("plugins/")
                inside[name[8:] if own else f"{mwaa.PROJECT}/{name}"] = path.read_bytes()
        inside[ignore] += f"\n{mwaa.PROJECT}/\n".encode()
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in sorted(inside.items()):
                entry = zipfile.ZipInfo(name)  # of 1980, whatever the file's time
                entry.create_system, entry.external_attr = 3, 0o100644 << 16
                archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
        return made.getvalue()


def _paths(project: Path, structure: Structure) -> tuple[dict[str, Path], list[str]]:
    """Return the files that go to MWAA, by their names in the project, and what is wrong."""
    source, conf, *others = structure.sources
    ignored = ignoring(IGNORED.format(conf=conf, rules=content(project / ".dockerignore") or ""))
    found, wrong = {}, []
    if source == ".":  # Most of the project is no package then.
        source = structure.package_name
    for root in ("dags", "plugins", source, conf, *others):
        for path in [project / root, *sorted((project / root).rglob("*"))]:
            name = relative(path, project)
            if ignored(name):
                continue
            if path.is_symlink() or not name.isprintable() or name.startswith(("/", "..")):
                what = f"{name} is a link, outside of the project, or has no name for a zip"
                wrong.append(f"{what}, so MWAA cannot get it. Put a copy in its place.")
            elif path.is_file():
                found[name] = path
    if (size := sum(path.stat().st_size for path in found.values())) > mwaa.LIMIT:
        what = f"the bundle would have {size / 1e9:.1f} GB, and MWAA takes 1 GB. Put data into the"
        wrong.append(f"{what} bucket, and leave what tasks do not need out in .dockerignore.")
    return found, wrong


def unresolved(requirements: str, constraints: str | None) -> Iterator[tuple[str, str, str]]:
    """Yield a finding's level, an empty place, and why requirements do not resolve beside MWAA's
    Airflow, or why that was not tried.

    Args:
        requirements: the text of the file.
        constraints: file or address of MWAA's constraints; those of Airflow's project if None.
    """
    from airflow import __version__ as airflow

    theirs = mwaa.VERSIONS.get(".".join(airflow.split(".")[:2]))
    if not theirs:
        there = ", ".join(mwaa.VERSIONS.values())
        yield "error", "", f"MWAA has no Airflow like {airflow}, which is here. It has {there}."
        return
    address = "https://raw.githubusercontent.com/apache/airflow/constraints-{}/constraints-{}.txt"
    pins = constraints or address.format(theirs, mwaa.PYTHON)
    pins = os.path.abspath(pins) if os.path.exists(pins) else pins
    uv = f"uv pip compile --quiet - --python-platform linux --python-version {mwaa.PYTHON}".split()
    asked = f"apache-airflow=={theirs}\n{requirements}".encode()
    env = {**os.environ, mwaa.CONSTRAINTS: pins}
    try:
        # At the root no project has settings for uv.
        done = subprocess.run(uv, cwd="/", env=env, input=asked, capture_output=True, check=False)
        status, why = done.returncode, done.stderr.decode(errors="replace").strip()
    except OSError as error:
        status, why = 2, f"uv cannot be run ({error.strerror})"
    if status == 1:
        what = f"the requirements do not go with MWAA's Airflow {theirs} and {pins}:\n{why}\n"
        yield "error", "", f"{what}Loosen the requirement, or take fewer extras."
    elif status:
        what = f"whether the requirements go with MWAA's Airflow {theirs} was not tried: {why}.\n"
        yield "warning", "", f"{what}Try it with uv and `--constraints <a copy of {pins}>`."
