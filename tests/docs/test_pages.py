"""The documentation's links, the files that it names, and the reference."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import reference
from pages import PAGES, read
from scaffold import ROOT

MADE = """
.astro/standalone .kedro-astro/warm.json
.kedro-astro/manifest.jsonl .kedro-astro/airflow .kedro-astro/airflow/scheduler.log
conf/**/*credentials* conf/airflow/credentials.yml conf/airflow/globals.yml conf/base/airflow.yml
conf/local/credentials.yml conf/logging.yml
dags/bring_penguins.py dags/my_project_dag.py data/06_models/classifier.pickle
data/08_reporting/island_counts.json data/08_reporting/metrics.json
data/08_reporting/penguin_plot.png requirements-kedro.txt
""".split()
"""Files that the pages name and that are in no fresh project: a run or the user makes them."""


def headings(text: str) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    titles = re.findall(r"(?m)^#+ (.+)$", re.sub(r"(?ms)^```.*?^```", "", text))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = re.sub(r"(?ms)^```.*?^```", "", read(page))
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = (ROOT / page).parent / name if name else ROOT / page
        assert file.exists(), f"{page} links to {target}"
        if anchor:
            assert anchor in headings(file.read_text(encoding="utf-8")), f"{page}: {target}"


def test_every_page_is_linked_from_the_readme() -> None:
    linked = re.findall(r"\]\((docs/[^)]+\.md)\)", read("README.md"))
    assert {*linked} == {page for page in PAGES if page != "README.md"}


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_names_exist(page: str, fresh: Path) -> None:
    """In the project, in this repository, or among what a run or the user makes."""
    folders = (
        r"(?:src|conf|data|dags|tests|include|plugins|docs|tools|hooks|\.astro|\.kedro-astro)/"
    )
    text = re.sub(r"(?ms)^```.*?^```", "", read(page))
    for name in re.findall(rf"`({folders}[^`\s]*|[\w.-]+\.(?:toml|txt|yaml))`", text):
        pattern = name.rstrip("/")
        places = (fresh, fresh / "tests", fresh / "conf/airflow", ROOT)
        there = any(any(place.glob(pattern)) for place in places)
        assert there or pattern in MADE, f"{page} names {name}"


@pytest.mark.parametrize("path", reference.pages(), ids=lambda path: path.name)
def test_the_reference_is_that_of_the_code(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == reference.pages()[path], "Run `make docs`."
