"""A planted secret is in nothing that discovery, the manifest or a DAG leaves behind."""

from __future__ import annotations

import json

import pytest
from kedro_astro.airflow.manifest import read
from parsing import parse
from projects import CATALOG, MakeProject

SECRET = "hunter2-planted"
SERIALIZED = """
from airflow.serialization.serialized_objects import BaseSerialization
print(json.dumps({k: BaseSerialization.serialize(v) for k, v in found.items()}, default=str))
"""


@pytest.mark.parametrize("broken", [False, True])
def test_a_secret_stays_where_it_is(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", SECRET)
    credentials = f"store: {{password: {SECRET}, key: {SECRET}}}\n"
    catalog = CATALOG + (
        "doubled: {type: json.JSONDataset, credentials: store, "
        f'filepath: "https://user:{SECRET}@example.org/x.json?token={SECRET}"}}\n'
        f"inline: {{type: json.JSONDataset, filepath: x, credentials: {{key: {SECRET}}}}}\n"
    )
    files = {
        "conf/airflow/credentials.yml": credentials,
        "conf/local/credentials.yml": credentials,
        "conf/base/catalog.yml": catalog,
    }
    project = make_project(files)
    read(project)
    if broken:
        (project / "src/shop/pipelines/sales/__init__.py").write_text("import no_such_library\n")
        assert read(project).problems
    serialized = parse(project, SERIALIZED)
    assert SECRET not in json.dumps(serialized)
    for file in (project / ".kedro-astro").iterdir():
        assert SECRET not in file.read_text(), file
