"""`make bench`: what its report says, and that what it compares is the same. Nothing is timed."""

from __future__ import annotations

import json
import os
from io import StringIO
from pathlib import Path

from report import Row, markdown, table, write
from rich.console import Console
from rivals import by_hand, edges, many
from scaffold import python, succeed

ROWS = [
    Row("parse", "a file by hand", 26.0, 20.0, "ms CPU", 1.3),
    Row("parse, again", "a file by hand", 26.1, 20.0, "ms CPU", 1.3),
    Row("a warm task", "a no-op", 0.45, 0.2, "s", 0.3, "s"),
    Row("a cold task", "a no-op", 2.5, 0.2, "s", 0.3, "s"),
]
BOTH = """
import json, sys
sys.path[:0] = ["dags"]
import by_hand, kedro_dags
def tasks(module):
    dags = {v.dag_id: v for v in vars(module).values() if type(v).__name__ == "DAG"}
    return {
        dag_id: {task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks}
        for dag_id, dag in dags.items()
    }
print(json.dumps([tasks(kedro_dags), tasks(by_hand)]))
"""


def test_what_is_met_and_what_is_not() -> None:
    found = [row.as_json() for row in ROWS]
    assert [row["met"] for row in found] == [True, False, True, False]
    assert [row["value"] for row in found] == [1.3, 1.305, 0.25, 2.3]
    assert {tuple(row) for row in found} == {("name", "value", "target", "met", "against", "unit")}


def test_the_report_is_a_table_a_json_file_and_a_chart(tmp_path: Path) -> None:
    console = Console(width=150, record=True, file=StringIO())
    console.print(table(ROWS))
    lines = console.export_text().splitlines()
    assert lines[0].split() == "what against ours theirs value target met".split()
    assert lines[1].split()[-5:] == "1.30 x 1.3 x yes".split()
    assert lines[4].split()[-5:] == "+2.30 s +0.3 s no".split()
    assert "| +2.30 s | +0.3 s | missed |" in markdown(ROWS)
    write(ROWS, "Taken on a machine.", tmp_path)
    assert json.loads((tmp_path / "bench.json").read_text()) == [row.as_json() for row in ROWS]
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
    assert "Taken on a machine." in (tmp_path / "bench.md").read_text()


def test_the_file_by_hand_has_the_tasks_and_edges_of_ours(tmp_path: Path) -> None:
    project = many(tmp_path / "many", pipelines=2, nodes=5)
    (project / "dags/by_hand.py").write_text(by_hand(edges(project)))
    home = {"AIRFLOW_HOME": str(tmp_path / "airflow"), "PATH": os.defpath}
    output = succeed(python("-W", "ignore", "-c", BOTH), project, home)
    ours, theirs = json.loads(output.splitlines()[-1])
    assert len(ours) == 2 and ours == theirs
    assert sum(len(before) for tasks in ours.values() for before in tasks.values()) == 2 * 6
