"""What is known of datasets, and which of them Kedro cannot make."""

from __future__ import annotations

import pytest
from kedro_astro.airflow.manifest import read
from kedro_astro.structure import Dataset
from projects import CATALOG, SALES, MakeProject, load

OWN = """
from kedro.io import AbstractDataset, MemoryDataset as Memory
class Kept(Memory):
    pass
class Passing(AbstractDataset):
    def __init__(self):
        self._EPHEMERAL = True
    def _load(self): pass
    def _save(self, data): pass
    def _describe(self): return {}
class MemoryDataset(AbstractDataset):
    def __init__(self, filepath):
        self.filepath = filepath
    def _load(self): pass
    def _save(self, data): pass
    def _describe(self): return {}
class Untold(type(AbstractDataset)):
    @property
    def __signature__(cls):
        raise ValueError("no signature found")
class Silent(Passing, metaclass=Untold):
    pass
"""
EXTRA = "Add this line to the requirements:\nkedro-datasets[tensorflow-tensorflowmodeldataset]"


@pytest.mark.parametrize(
    ("entry", "persistent"),
    [
        ("{type: MemoryDataset}", False),
        ("{type: kedro.io.MemoryDataset}", False),
        ("{type: CachedDataset, dataset: {type: json.JSONDataset, filepath: x.json}}", True),
        ("{type: CachedDataset, dataset: {type: MemoryDataset}}", False),
        ("{type: CachedDataset, dataset: MemoryDataset}", False),
        ("{type: not.installed.Dataset, filepath: x}", True),
        ("{type: shop.own.Kept}", False),
        ("{type: shop.own.Passing}", False),
        ("{type: shop.own.MemoryDataset, filepath: x}", True),
        ("{type: CachedDataset, dataset: {type: shop.own.Kept}}", False),
        ("{type: json.JSONDataset, filepath: x, credentials: nobody_has_these}", True),
    ],
)
def test_what_is_in_memory(make_project: MakeProject, entry: str, persistent: bool) -> None:
    catalog = CATALOG + f"doubled: {entry}\n"
    structure = load(make_project({"conf/base/catalog.yml": catalog, "src/shop/own.py": OWN}))
    assert structure.problems == ()
    assert structure.datasets["doubled"].persistent is persistent


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("{filepath: x}", ["its `type` is no text"]),
        ("{type: CachedDataset, dataset: {filepath: x}}", ["its `type` is no text"]),
        ("{type: json.JSONDatset, filepath: x}", ["JSONDatset", "not found in 'json'"]),
        ("{type: tensorflow.TensorFlowModelDataset, filepath: x}", [EXTRA]),
        ("{type: no_such.Dataset, filepath: x}", ["No module named 'no_such'"]),
        ("{type: shop.broken.Dataset}", ["division by zero"]),
        ("{type: shop.ended.Dataset}", ["shop.ended.Dataset"]),
        ("{type: json.JSONDataset}", ["missing", "'filepath'"]),
        ("{type: json.JSONDataset, filepath: x, colour: red}", ["unexpected", "'colour'"]),
        ("{type: shop.own.Kept, filepath: x, credentials: a}", ["unexpected", "'filepath'"]),
        ("{type: 3}", ["its `type` is no text"]),
        ("{type: partitions.PartitionedDataset, path: x, dataset: no.Such}", ["No module"]),
        ("{type: json.JSONDataset, filepath: x, versioned: true, credentials: a}", []),
        ("{type: shop.own.Kept, metadata: {a: 1}}", []),
        ("{type: json.JSONDataset, filepath: x, version: 3}", []),
        ("{type: shop.own.Silent, anything: 3}", []),
    ],
)
def test_datasets_that_kedro_cannot_make(
    make_project: MakeProject, entry: str, says: list[str]
) -> None:
    files = {"src/shop/broken.py": "1 / 0", "src/shop/ended.py": "raise SystemExit(0)"}
    catalog = CATALOG + f"doubled: {entry}\n"
    files |= {"conf/base/catalog.yml": catalog, "src/shop/own.py": OWN}
    structure = load(make_project(files))
    assert structure.problems == () and len(structure.pipelines) == 2
    problem = structure.datasets["doubled"].problem
    assert bool(problem) == bool(says)
    for part in says:
        assert part in problem


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("https://user:hunter2@example.org/x.json?signature=hunter2", "https://example.org/x.json"),
        ("s3://key:hunt/er2@bucket/x.json", "s3://bucket/x.json"),
        ("s3://key:hunter2@x@bucket/x.json", "s3://bucket/x.json"),
        ("s3://key:hunter2?#@bucket/x.json", "s3://bucket/x.json"),
        ("s3://hunter2@bucket/x.json", "s3://bucket/x.json"),
        ("https://example.org/x.json;token=hunter2", "https://example.org/x.json"),
        ("https://example.org/x.json#hunter2", "https://example.org/x.json"),
        ("zip://x.json::s3://key:hunter2@bucket/x.zip", "zip://bucket/x.zip"),
        ("s3://bucket/a@b/x.json", "s3://bucket/a@b/x.json"),
    ],
)
@pytest.mark.slow
def test_a_location_shows_no_credentials(
    make_project: MakeProject, url: str, location: str
) -> None:
    catalog = CATALOG + f'doubled: {{type: json.JSONDataset, filepath: "{url}"}}\n'
    structure = load(make_project({"conf/base/catalog.yml": catalog}))
    assert structure.datasets["doubled"].location == location


def test_an_incremental_dataset_that_another_node_confirms(make_project: MakeProject) -> None:
    text = SALES.replace('name="second")', 'name="second", confirms="raw")')
    catalog = CATALOG + "doubled: {type: json.JSONDataset, filepath: data/doubled.json}\n"
    catalog = catalog.replace(
        "raw: {type: json.JSONDataset, filepath: data/raw.json}",
        "raw: {type: partitions.IncrementalDataset, path: data/raw, dataset: json.JSONDataset}",
    )
    files = {"src/shop/pipelines/sales/__init__.py": text, "conf/base/catalog.yml": catalog}
    (sales,) = (b for b in read(make_project(files)).blueprints() if b["pipeline"] == "sales")
    (task,) = sales["tasks"]
    assert task["work"]["nodes"] == ["first", "second"]
    project = make_project({**files, "conf/base/airflow.yml": "sales: {grouping: node}"})
    (problem,) = read(project).problems
    assert "the dataset raw" in problem and "node first" in problem and "node second" in problem


def test_a_dataset_of_one_run_is_told_from_a_lasting_one(make_project: MakeProject) -> None:
    catalog = CATALOG + (
        "doubled: {type: json.JSONDataset, "
        "filepath: 'data/${runtime_params:airflow_run,local}/doubled.json'}\n"
    )
    datasets = load(make_project({"conf/base/catalog.yml": catalog})).datasets
    assert datasets["doubled"].of_one_run and not datasets["total"].of_one_run
    assert datasets["doubled"].location == "data/<run>/doubled.json"


@pytest.mark.parametrize("kind", ["PartitionedDataset", "IncrementalDataset"])
def test_partitioned_datasets(make_project: MakeProject, kind: str) -> None:
    parts = (
        f"doubled: {{type: partitions.{kind}, path: data/parts, filename_suffix: .json, "
        "dataset: {type: json.JSONDataset}}\n"
    )
    structure = load(make_project({"conf/base/catalog.yml": CATALOG + parts}))
    assert structure.datasets["doubled"] == Dataset(f"partitions.{kind}", True, "data/parts")
