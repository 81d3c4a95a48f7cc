"""The project that the pages of the documentation speak of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from scaffold import Releases, commit


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    """The template as a repository with one release: "<address of this repository>"."""
    template = Releases(tmp_path_factory.mktemp("docs") / "template")
    template.release("0.1.0")
    return template


@pytest.fixture(scope="session")
def fresh(template: Releases, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tutorial's project as it is made, committed. Copy it; do not change it.

    Its nodes do nothing and import nothing: no page but the tutorial runs them, and their libraries
    would be most of what these tests cost.
    """
    project = template.copy(tmp_path_factory.mktemp("docs") / "my-project")
    for file in project.glob("src/*/pipelines/*/nodes.py"):
        names = re.findall(r"(?m)^def (\w+)", file.read_text())
        file.write_text("".join(f"def {name}(*inputs):\n    pass\n" for name in names))
    commit(project, "nothing to do")
    return project
