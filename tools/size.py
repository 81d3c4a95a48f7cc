"""How many lines of code the shim has: by room, in all, and in a worker that runs a task.

A line counts if there is more on it than blanks, a comment or a docstring.
"""

from __future__ import annotations

import ast
import io
import json
import os
import sys
import tempfile
import tokenize
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHIM = ROOT / "template/dags/kedro_astro"
sys.path.insert(0, str(ROOT / "tests/support"))

from scaffold import RUN_TASKS, add_numbers, python, scaffold, succeed  # noqa: E402

ALL, MODULE, WORKER = 3800, 250, 1000
"""The most lines that the shim, one of its modules, and what a worker imports may have. All of it
was to have 3,000: what strangers' projects broke took more, see CHANGELOG.md."""

NO_CODE = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE),
    *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
}
PARSE = "import sys; sys.path.insert(0, 'dags'); import kedro_dags"
IMPORTED = """
print(json.dumps([m.__file__ for n, m in sys.modules.items() if n.split(".")[0] == "kedro_astro"]))
"""


def main() -> int:
    """Print the table; return 1 if there is too much of anything, else 0."""
    lines = {
        file.relative_to(SHIM): code_lines(file.read_text(encoding="utf-8"))
        for file in sorted(SHIM.rglob("*.py"))
    }
    rooms: Counter[str] = Counter()
    for file, count in lines.items():
        rooms[file.parts[0]] += count
    with tempfile.TemporaryDirectory() as folder:
        worker = {file: lines[file] for file in imported_by_a_worker(Path(folder))}
    for room, count in sorted(rooms.items(), key=lambda item: -item[1]):
        print(f"{count:6}  {room}")
    print(f"{sum(worker.values()):6}  of them are imported by a worker that runs a task")
    for file, count in sorted(worker.items(), key=lambda item: -item[1]):
        print(f"{count:14}  {file}")
    print(f"{sum(lines.values()):6}  in all")
    found = [("the shim", sum(lines.values()), ALL), ("a worker", sum(worker.values()), WORKER)]
    found += [(str(file), count, MODULE) for file, count in lines.items()]
    too_much = [(what, count, most) for what, count, most in found if count > most]
    for what, count, most in too_much:
        print(f"{what} has {count} lines of code, and may have {most}")
    return 1 if too_much else 0


def code_lines(source: str) -> int:
    """Return how many lines of Python have code on them."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def imported_by_a_worker(folder: Path) -> list[Path]:
    """Return the shim's modules that a process has imported once it has run a task.

    It parses one DAG of a project in the folder, as Airflow's task process does, whose manifest is
    there already.
    """
    project = scaffold(folder / "small", project_name="Small", package_name="small", start="empty")
    add_numbers(project)
    dag_id = "small.sums"
    env = {"AIRFLOW_HOME": str(folder / "airflow"), "_AIRFLOW_PARSING_CONTEXT_DAG_ID": dag_id}
    succeed(python("-W", "ignore", "-c", PARSE), project, env)
    said = succeed(python("-W", "ignore", "-c", RUN_TASKS + IMPORTED, dag_id), project, env)
    shim = project / "dags/kedro_astro"
    return [Path(os.path.relpath(file, shim)) for file in json.loads(said.splitlines()[-1])]


if __name__ == "__main__":
    sys.exit(main())
