"""What is measured: the rows of the table that need no Airflow running."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import rivals
from measure import ImportedAirflow, best, cpu, printed, wall
from report import Row

KEDRO_ALONE = """
import sys
from pathlib import Path
from kedro.framework.project import pipelines
from kedro.framework.startup import bootstrap_project
bootstrap_project(Path.cwd())
assert dict(pipelines)
"""
DISCOVER = """
import sys
from pathlib import Path
sys.path.insert(0, "dags")
from kedro_astro.reading.discover import main
main(Path.cwd(), ".kedro-astro/measured.json", "")
"""
READING = """
import sys, time
from pathlib import Path
sys.path.insert(0, "dags")
from kedro_astro.project import prepare_kedro
prepare_kedro()
import kedro.framework.session
from kedro_astro.reading.discover import main
start = time.process_time()
main(Path.cwd(), ".kedro-astro/measured.json", "")
print(time.process_time() - start)
"""
FIRST_READING = """
import sys
from pathlib import Path
sys.path.insert(0, "dags")
from kedro_astro.airflow.manifest import NAME, read
from kedro_astro.project import cache_folder
(cache_folder(Path.cwd()) / NAME).unlink(missing_ok=True)
assert not read(Path.cwd()).problems
"""
WITHOUT_US = (
    KEDRO_ALONE
    + """
import json
import runpy
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization
for found in runpy.run_path("dags/by_hand.py").values():
    if isinstance(found, DAG):
        found.validate()
        json.dumps(DagSerialization.to_dict(found))
"""
)
"""What a reading cannot do without: Kedro loads the pipelines, and Airflow takes the DAGs."""
OURS = ("dags/kedro_dags.py", "dags/kedro_problems.py")
"""Airflow parses both, each in a process of its own: a parse costs what the two cost together."""


BY_HAND = "the same by hand"

Sides = dict[str, Callable[[], float]]
Start = Callable[[], ImportedAirflow]
"""Starts an Airflow."""


def parsing(start: Start, folder: Path) -> Iterator[Row]:
    """Yield what it costs Airflow to import DAG files, every few seconds or minutes.

    What each further task costs is a row of its own, measured in one DAG; so is what each further
    DAG costs, and what grows with neither.
    """
    sizes: dict[tuple[int, int], dict[str, float]] = {}
    for pipelines, nodes, times in (1, 9, 60), (1, 100, 60), (1, 1000, 8), (5, 20, 20), (50, 20, 8):
        project = rivals.many(folder / f"many_{pipelines}x{nodes}", pipelines, nodes)
        planned = rivals.edges(project)
        hand = rivals.write(project / "dags/by_hand.py", rivals.by_hand(planned))
        with start() as airflow:
            sides: Sides = {
                "ours": partial(_parse, airflow, project),
                "theirs": partial(_parse, airflow, hand),
            }
            sizes[pipelines, nodes] = best(sides, times)
    for few, many in (9, 100), (100, 1000):
        found = _each(sizes[1, few], sizes[1, many], many - few)
        yield _ms(f"parse, each further task, {few} to {many:,}", BY_HAND, found, 1.2)
        if few == 9:
            fixed = {side: 1000 * (sizes[1, few][side] - few * found[side]) for side in sides}
            name = "parse, what does not grow with the tasks"
            yield Row(name, BY_HAND, fixed["ours"], fixed["theirs"], "ms CPU", 10, "ms")
    # Ours have a trigger form, and docs; those by hand have neither.
    found = _each(sizes[5, 20], sizes[50, 20], 45)
    yield _ms("parse, each further DAG of 20 tasks", BY_HAND, found, 1.4)
    *_, wanted = planned
    alone = rivals.write(project / "dags/one_by_hand.py", rivals.by_hand({wanted: planned[wanted]}))
    with start() as airflow:
        yield _memory(airflow, project, hand)
        sides = {
            "ours": lambda: airflow.use(project / OURS[0], wanted)["cpu"],
            "theirs": lambda: airflow.use(alone, wanted)["cpu"],
        }
        found = {side: 1000 * value for side, value in best(sides, 20).items()}
        name = f"a worker's parse, one DAG of {len(planned)}"
        yield Row(name, BY_HAND, found["ours"], found["theirs"], "ms CPU", 10, "ms")


def containers(start: Start, folder: Path) -> Iterator[Row]:
    """Yield what it costs Airflow to import a DAG file whose tasks each have a pod."""
    project, hand = rivals.pods(folder / "pods", 1000)
    with start() as airflow:
        sides: Sides = {
            "ours": partial(_parse, airflow, project),
            "theirs": partial(_parse, airflow, hand),
        }
        yield _ms("parse, 1,000 Kubernetes tasks", BY_HAND, best(sides, 5), 1.3)


def _memory(airflow: ImportedAirflow, project: Path, hand: Path) -> Row:
    """Return the memory of the process that parses most: what a machine must have for it.

    It is the whole process, and so for the most part Airflow itself.
    """
    used: Sides = {
        "ours": lambda: max(airflow.use(project / name)["peak"] for name in OURS) / 2**20,
        "theirs": lambda: airflow.use(hand)["peak"] / 2**20,
    }
    found = best(used, 5)
    name = "memory of a parse, 1,000 tasks"
    return Row(name, BY_HAND, found["ours"], found["theirs"], "MB", 1.05)


def against_kedro_airflow(start: Start, project: Path) -> Iterator[Row]:
    """Yield the example's parse and one of its tasks, against what kedro-airflow makes of it."""
    theirs = project / "dags/kedro_airflow.py"
    # Its users install the project as a wheel.
    src = [project / "src"]
    rivals.edges(project)
    with start() as airflow:
        parse: Sides = {
            "ours": partial(_parse, airflow, project),
            "theirs": lambda: airflow.use(theirs, sys_path=src)["cpu"],
        }
        yield _ms("parse, the example", "kedro-airflow's file", best(parse, 40), 0.2)
        # The first task of both reads a CSV file and saves a pickle. Airflow is there before it, as
        # it is in a worker; the parse of the file is part of it, because kedro-airflow's imports
        # Kedro there and ours where the task runs.
        task: Sides = {
            "ours": lambda: airflow.use(project / OURS[0], "penguins", "select_measurements")[
                "cpu"
            ],
            "theirs": lambda: airflow.use(theirs, "kedro_airflow", "select-measurements", src)[
                "cpu"
            ],
        }
        yield _ms(
            "one task of the whole project, cold process",
            "kedro-airflow's task function",
            best(task, 6),
            0.45,
        )


def discovery(project: Path, folder: Path) -> Iterator[Row]:
    """Yield what it costs to read a project, and how that grows with it."""
    alone = {
        "ours": _reading(project, DISCOVER),
        "theirs": _reading(project, KEDRO_ALONE),
    }
    yield _ms("discovery, cold, the example", "importing the pipelines", best(alone, 6), 1.2)
    python = [sys.executable, "-W", "ignore"]

    def check() -> float:
        shutil.rmtree(project / ".kedro-astro", ignore_errors=True)
        return wall(project, [*python, "dags/kedro_astro", "check"])

    one_by_one = [*python, "-c", KEDRO_ALONE], [*python, "-c", "import airflow.models"]
    found = best({"ours": check, "theirs": lambda: wall(project, *one_by_one)}, 5)
    name, against = "check after an edit", "importing the pipelines, then Airflow"
    yield Row(name, against, found["ours"], found["theirs"], "s", 1)
    # What a process costs before it has read a node is taken off both, or the fixed part, Kedro and
    # a project of one node, would hide how the rest grows. What is left is compared for each node.
    many = {
        name: rivals.many(folder / f"discover_{count}", count, nodes)
        for name, count, nodes in (("fixed", 1, 1), ("few", 10, 20), ("many", 100, 20))
    }
    found = best({name: partial(printed, READING, project) for name, project in many.items()}, 15)
    each = {
        "ours": (found["many"] - found["fixed"]) / (2000 - 1),
        "theirs": (found["few"] - found["fixed"]) / (200 - 1),
    }
    yield _ms("discovery, each of 100 x 20 nodes", "each of 10 x 20 nodes", each, 1)
    whole = {"ours": found["many"] / 2000, "theirs": found["few"] / 200}
    yield _ms("the same with all that a project costs", "each of 10 x 20 nodes", whole, 1)


def scale(folder: Path) -> Iterator[Row]:
    """Yield what the first reading of a large project costs, from nothing to a manifest."""
    for pipelines, nodes in (1, 5000), (300, 5):
        project = rivals.many(folder / f"scale_{pipelines}x{nodes}", pipelines, nodes)
        rivals.write(project / "dags/by_hand.py", rivals.by_hand(rivals.edges(project)))
        sides = {"ours": _reading(project, FIRST_READING), "theirs": _reading(project, WITHOUT_US)}
        name = f"first reading, {pipelines} x {nodes:,} nodes"
        yield _ms(name, "Kedro loading, Airflow serializing", best(sides, 2), 1.2)


def _parse(airflow: ImportedAirflow, where: Path) -> float:
    """Return the CPU seconds of a parse: of a project's two files, or of a file by hand."""
    files = [where / name for name in OURS] if where.is_dir() else [where]
    return sum(airflow.use(file)["cpu"] for file in files)


def _reading(project: Path, code: str) -> Callable[[], float]:
    return lambda: cpu([sys.executable, "-W", "ignore", "-c", code], project)


def _each(few: dict[str, float], many: dict[str, float], more: int) -> dict[str, float]:
    """Return what each of `more` costs that `many` has and `few` has not."""
    return {side: (many[side] - few[side]) / more for side in few}


def _ms(name: str, against: str, found: dict[str, float], target: float) -> Row:
    return Row(name, against, 1000 * found["ours"], 1000 * found["theirs"], "ms CPU", target)
