"""The documentation's samples: they are valid, and Airflow takes them."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from pathlib import Path

import yaml
from kedro_astro.structure import Structure
from pages import BLOCKS, Block, put
from scaffold import succeed

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
            print(place, verdict.refusal)
"""


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
