"""The example as its tasks run in containers: data in an object store, and an image of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from s3 import Store
from scaffold import scaffold

DATA = "s3://bucket/data"
RESULTS = ("metrics.json", "species_summary.json", "penguin_plot.png")


def example(folder: Path, store: Store) -> Path:
    """Make the example in a folder, with its raw data in a bucket."""
    project = scaffold(folder / "penguins", project_name="Penguins", data_root=DATA)
    shutil.copytree(project / "data/01_raw", store.folder / "bucket/data/01_raw")
    return project


def says(project: Path, env: str = "airflow", **said: object) -> None:
    """Have airflow.yml say this of all pipelines, and nothing else."""
    (project / f"conf/{env}/airflow.yml").write_text(json.dumps({"default": said}))


def same_as(after_kedro_run: Path, store: Store) -> bool:
    """Whether the store has the results that `kedro run` leaves, which are then removed from it."""
    there, here = (
        f / "08_reporting" for f in (store.folder / "bucket/data", after_kedro_run / "data")
    )
    same = [(there / name).read_bytes() == (here / name).read_bytes() for name in RESULTS]
    shutil.rmtree(there)
    return all(same)
