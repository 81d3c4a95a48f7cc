"""Which third-party modules a project's text and catalog name."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from kedro_astro.reading.libraries import KEDRO, imported, installed
from projects import CATALOG, SALES, MakeProject, load


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import a", {"a"}),
        ("import a.b as c, d", {"a.b", "d"}),
        ("from a.b import c, d", {"a.b", "a.b.c", "a.b.d"}),
        ("from . import a\nfrom .a import b\nfrom ..c import d", set()),
        ("def node(x):\n    import a\n    return a.f(x)", {"a"}),
        ("try:\n    import a\nexcept ImportError:\n    from b import c", {"a", "b", "b.c"}),
        ("if TYPE_CHECKING:\n    import a\nelse:\n    import b", {"b"}),
        ("if typing.TYPE_CHECKING:\n    import a", set()),
        ("# -*- coding: latin-1 -*-\nimport a  # é".encode("latin-1"), {"a"}),
    ],
)
def test_what_a_file_imports(source: str | bytes, names: set[str]) -> None:
    assert imported(source) == names


def test_only_what_was_installed_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site-packages"
    (site / "package").mkdir(parents=True)
    (site / "package/__init__.py").touch()
    (site / "package/part.py").touch()
    (site / "bare").mkdir()
    (site / "single.py").touch()
    (tmp_path / "editable").mkdir()
    (tmp_path / "editable/mine.py").touch()
    monkeypatch.setattr(sys, "path", [str(site), str(tmp_path / "editable"), *sys.path])
    names = ["package", "package.part", "package.nothing", "single:x", "bare", "mine"]
    found = installed([*names, "json", "sys", "nowhere", "nowhere.else"])
    assert found == ["package", "package.part", "single:x"]
    assert not {name.partition(":")[0] for name in names} & set(sys.modules)


def test_what_each_task_needs_is_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a library that hangs, with a name like this one, would keep Kedro from being reached."""
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages/hangs.py").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site-packages"), *sys.path])
    assert installed(["pandas", "hangs", *KEDRO]) == [*KEDRO, "hangs", "pandas"]


def test_a_project_knows_its_libraries(make_project: MakeProject) -> None:
    """Of what its pipelines import, lazily as well, of its datasets, wrapped ones as well, and of
    where they are."""
    nodes = "def f(x):\n    import yaml\n    from shop import nothing\n"
    catalog = CATALOG + (
        "doubled: {type: partitions.PartitionedDataset, path: s3://lake/parts, "
        "dataset: {type: yaml.YAMLDataset}}\n"
    )
    project = make_project(
        {
            "src/shop/pipelines/sales/__init__.py": SALES + "from shop.nodes import f\n",
            "src/shop/nodes.py": nodes,
            "src/shop/not_imported.py": "import pytest\n",
            "conf/base/catalog.yml": catalog,
        }
    )
    structure = load(project)
    assert structure.problems == ()
    libraries = structure.libraries
    assert set(libraries) == {
        *KEDRO,
        *(point.module for point in entry_points(group="kedro.hooks")),
        "kedro.framework.project",  # of pipeline_registry.py
        *("kedro.pipeline", "kedro.pipeline.node", "kedro.pipeline.pipeline", "yaml"),
        *("kedro_datasets.json.json_dataset:JSONDataset",),
        "kedro_datasets.yaml.yaml_dataset:YAMLDataset",
        *("fsspec", *installed(["s3fs"])),
        "kedro_datasets.partitions.partitioned_dataset:PartitionedDataset",
    }
    assert "kedro_telemetry.plugin" in libraries


def test_a_wrapped_dataset_without_a_type_is_no_problem(make_project: MakeProject) -> None:
    catalog = CATALOG + "doubled: {type: partitions.PartitionedDataset, dataset: {x: 1}}\n"
    structure = load(make_project({"conf/base/catalog.yml": catalog}))
    where = "kedro_datasets.partitions.partitioned_dataset"
    assert f"{where}:PartitionedDataset" in structure.libraries
