"""The files of a small real Kedro project called `shop`, as the shim's tests write it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from kedro.framework.project import pipelines
from kedro_astro.airflow.manifest import read
from kedro_astro.structure import Structure

KEDRO_LOADS_ONE_ALONE = pytest.mark.skipif(
    not hasattr(pipelines, "set_requested"),
    reason="Before 1.5 Kedro loads all pipelines or none: its registry has no `set_requested`",
)

PYPROJECT = """
[tool.kedro]
package_name = "shop"
project_name = "Shop"
kedro_init_version = "1.0.0"
source_dir = "src"
"""
REGISTRY = """
from kedro.framework.project import find_pipelines
def register_pipelines():
    pipelines = find_pipelines(raise_errors=True)
    pipelines["__default__"] = sum(pipelines.values())
    return pipelines
"""
SALES = """
from kedro.pipeline import node, pipeline
def double(x):
    return x * 2
def create_pipeline(**kwargs):
    return pipeline([
        node(double, "raw", "doubled", name="first"),
        node(double, "doubled", "total", name="second"),
    ])
"""
OTHER = SALES
for _old, _new in {"first": "one", "second": "two", "doubled": "d", "total": "t"}.items():
    OTHER = OTHER.replace(f'"{_old}"', f'"{_new}"')
CATALOG = """
raw: {type: json.JSONDataset, filepath: data/raw.json}
total: {type: json.JSONDataset, filepath: data/total.json, versioned: true}
"""

TELLING = """
import os
from pathlib import Path
from kedro.framework.hooks import hook_impl
class Telling:
    def tell(self, what):
        with Path(os.environ["TOLD"]).open("a") as file:
            file.write(what + "\\n")
"""
"""Where hooks begin that tell the file `TOLD` when they fire."""

MakeProject = Callable[..., Path]

FILES = {
    "pyproject.toml": PYPROJECT,
    "src/shop/__init__.py": "",
    "src/shop/settings.py": "",
    "src/shop/pipeline_registry.py": REGISTRY,
    "src/shop/pipelines/__init__.py": "",
    "src/shop/pipelines/sales/__init__.py": SALES,
    "conf/base/catalog.yml": CATALOG,
    "conf/local/.gitkeep": "",
}


def load(project: Path) -> Structure:
    """Return what is known of a project."""
    return read(project).structure()


def write(project: Path, files: dict[str, str]) -> Path:
    """Write the project `shop`, with files added or replaced, and return where it is."""
    for name, text in {**FILES, **files}.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    return project.resolve()
