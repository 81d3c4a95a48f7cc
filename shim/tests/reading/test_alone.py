"""Which folders Kedro can load by themselves, so that a task need not import the others."""

from __future__ import annotations

import pytest
from kedro_astro.structure import Structure
from projects import CATALOG, KEDRO_LOADS_ONE_ALONE, OTHER, REGISTRY, SALES, MakeProject, load


def alone(structure: Structure) -> set[str]:
    return {pipeline.name for pipeline in structure.pipelines if pipeline.alone}


@pytest.mark.parametrize(
    ("registry", "expected"),
    [
        (REGISTRY, {"sales"}),
        (
            REGISTRY.replace(
                "return", 'pipelines["sales"] = pipelines["sales"].only_nodes("first")\n    return'
            ),
            {"sales"},
        ),
        (
            "from shop.pipelines.sales import create_pipeline\n"
            "def register_pipelines():\n    return {'sales': create_pipeline()}\n",
            {"sales"},
        ),
    ],
)
def test_what_kedro_can_load_alone(
    make_project: MakeProject, registry: str, expected: set[str]
) -> None:
    structure = load(make_project({"src/shop/pipeline_registry.py": registry}))
    assert alone(structure) == expected


@KEDRO_LOADS_ONE_ALONE
def test_a_folder_that_loads_only_behind_another_is_not_alone(make_project: MakeProject) -> None:
    """`more` and `sales` import each other, which works if `more` comes first."""
    first = "    find_pipelines(pipelines_to_find=['more'])\n    pipelines ="
    files = {
        "src/shop/pipelines/more/__init__.py": (
            f"RATE = 2\nfrom shop.pipelines.sales import double as again\n{OTHER}"
        ),
        "src/shop/pipelines/sales/__init__.py": (f"from shop.pipelines.more import RATE\n{SALES}"),
        "src/shop/pipeline_registry.py": REGISTRY.replace("    pipelines =", first, 1),
    }
    structure = load(make_project(files))
    assert structure.problems == ()
    assert alone(structure) == {"more"}


@KEDRO_LOADS_ONE_ALONE
def test_folders_that_import_slowly_are_loaded_with_the_others(make_project: MakeProject) -> None:
    """Each would import again what they share; a reading must not take ten times as long."""
    slow = "import time\ntime.monotonic = lambda was=time.monotonic: was() + 11\n"
    files = {"src/shop/pipelines/more/__init__.py": slow + OTHER}
    structure = load(make_project(files))
    assert structure.problems == ()
    assert alone(structure) == {"more"}


def test_pipelines_made_of_others(make_project: MakeProject) -> None:
    """A modular registry: one pipeline used twice under namespaces, and sums of pipelines."""
    registry = """
    from kedro.framework.project import find_pipelines
    from kedro.pipeline import pipeline
    def register_pipelines():
        pipelines = find_pipelines(raise_errors=True)
        for shop in ("north", "south"):
            pipelines[shop] = pipeline(
                pipelines["sales"], namespace=shop, inputs={"raw"}, parameters=set()
            )
        pipelines["both"] = pipelines["north"] + pipelines["south"]
        pipelines["__default__"] = pipelines["both"] + pipelines["sales"]
        return pipelines
    """
    catalog = CATALOG + '"{shop}.total": {type: json.JSONDataset, filepath: "data/{shop}.json"}\n'
    files = {"src/shop/pipeline_registry.py": registry, "conf/base/catalog.yml": catalog}
    structure = load(make_project(files))
    assert structure.problems == ()
    nodes = {p.name: [node.name for node in p.nodes] for p in structure.pipelines}
    assert nodes["both"] == ["north.first", "south.first", "north.second", "south.second"]
    assert sorted(nodes["__default__"]) == sorted([*nodes["both"], "first", "second"])
    assert structure.datasets["south.total"].location == "data/south.json"
    # Only what Kedro makes of the folder's name alone may be loaded by that name alone.
    assert alone(structure) == {"sales"}
