"""The documentation's samples: they are valid, and Airflow takes them."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from kedro_astro.planning.plan import plan_all
from kedro_astro.reading.parameters import plain
from kedro_astro.settings.read import wrong_settings
from kedro_astro.structure import Structure, from_json
from omegaconf import OmegaConf
from pages import BLOCKS, PAGES, SETTINGS, Block, put, read
from scaffold import python, succeed

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it

BUILD = """
import json, sys
from pathlib import Path
from kedro_astro.airflow.verdict import judge
from kedro_astro.planning.blueprint import blueprints
from kedro_astro.structure import from_json
for place, structure in json.load(sys.stdin):
    made, refused = blueprints(from_json(structure))
    for verdict in judge(made, Path.cwd()):
        if not verdict.blueprint:
            print(place, verdict.refusals)
"""


def shown_settings(folder: Path, fresh: Path) -> Iterator[tuple[Block, Structure]]:
    """Yield each sample of airflow.yml with the structure of the project it is shown for."""
    structures: dict[str, Structure] = {}
    for page in PAGES:
        project = folder / page / "my-project"
        shutil.copytree(fresh, project)
        for block in BLOCKS:
            if block.page != page or not block.file or block.language == "toml":
                continue
            if block.file == SETTINGS:
                # Read once for all pages that have changed nothing of it so far.
                files = [*project.glob("conf/*/catalog.yml"), *project.glob("src/**/*.py")]
                key = repr(sorted((str(f.relative_to(project)), read(f)) for f in files))
                if key not in structures:
                    structures[key] = structure_of(project)
                yield block, structures[key]
                continue
            put(block, project)
            if block.file.endswith("/pipeline.py"):  # Kedro has made the rest of the folder.
                init = (project / block.file).with_name("__init__.py")
                init.write_text("from .pipeline import create_pipeline\n")


def structure_of(project: Path) -> Structure:
    file = project / "structure.json"
    succeed(python("dags/kedro_astro", "read", project, file, "any"), project)
    return from_json(json.loads(file.read_text())["structure"])


@pytest.fixture(scope="session")
def samples(fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Block, Structure]]:
    """Each sample of airflow.yml with the structure that its project has with it."""
    found = []
    for block, structure in shown_settings(tmp_path_factory.mktemp("samples"), fresh):
        settings = plain(OmegaConf.to_container(OmegaConf.create(block.text)))
        with_them = dataclasses.replace(structure, settings=settings, settings_file=SETTINGS)
        said = " ".join(what_is_wrong(with_them))
        if refused := re.match("refused: (.+)", block.mark):
            assert refused[1] in said, f"{block} is refused otherwise: {said or 'it is valid'}"
        else:
            assert not said, f"{block}: {said}"
            found.append((block, with_them))
    return found


def what_is_wrong(structure: Structure) -> list[str]:
    """What `kedro astro check` would say of the settings, but for what Airflow says of them."""
    wrong = wrong_settings(structure)
    return wrong or [*plan_all(structure)[1].values()]


def test_settings_that_are_shown_are_valid(samples: list[tuple[Block, Structure]]) -> None:
    assert len(samples) > 10


def test_airflow_takes_the_settings_that_are_shown(
    samples: list[tuple[Block, Structure]], fresh: Path, tmp_path: Path
) -> None:
    """In one process, because it is Airflow that takes its time to be imported."""
    project = tmp_path / "my-project"
    shutil.copytree(fresh, project)
    for block in BLOCKS:
        if block.language == "python" and block.file:
            put(block, project)
    (tmp_path / "samples.json").write_text(
        json.dumps([(str(block), dataclasses.asdict(structure)) for block, structure in samples])
    )
    env = {"AIRFLOW_HOME": str(tmp_path / "airflow"), "PYTHONPATH": str(project / "dags")}
    command = [
        "sh",
        "-c",
        'exec "$0" -c "$1" <"$2"',
        sys.executable,
        BUILD,
        tmp_path / "samples.json",
    ]
    assert succeed(command, project, env) == ""


def test_other_samples_can_be_read() -> None:
    for block in BLOCKS:
        if block.language == "python":
            compile(block.text, str(block), "exec")
        elif block.language == "yaml":
            assert block.file, f"{block}: name the file in a comment in the first line"
            content = yaml.safe_load(block.text)
            if block.file.endswith("catalog.yml"):
                assert all("type" in entry for entry in content.values()), str(block)
        elif block.language == "toml":
            tomllib.loads(block.text)
