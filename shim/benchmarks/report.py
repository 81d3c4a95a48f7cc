"""What came out: a table, a JSON file and a chart."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from math import log2
from pathlib import Path

from rich.table import Table

PACKAGES = {
    "Airflow": "apache-airflow",
    "Kedro": "kedro",
    "kedro-airflow": "kedro-airflow",
    "pandas": "pandas",
}


@dataclass(frozen=True)
class Row:
    """One benchmark.

    Attributes:
        name: what was measured.
        against: what it is compared with.
        ours, theirs: what both sides measured, in `measured`.
        measured: unit of these, and what it is of: `ms CPU`.
        target: the most that `value` is to be, in `unit`.
        unit: `x` compares by division, any other by subtraction.
    """

    name: str
    against: str
    ours: float
    theirs: float
    measured: str
    target: float
    unit: str = "x"

    @property
    def value(self) -> float:
        """How ours compares with theirs."""
        return self.ours / self.theirs if self.unit == "x" else self.ours - self.theirs

    @property
    def met(self) -> bool:
        return self.value <= self.target

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "value": round(self.value, 3),
            "target": self.target,
            "met": self.met,
            "against": self.against,
            "unit": self.unit,
        }


def table(rows: Sequence[Row]) -> Table:
    """Return the rows as a table for a terminal or, pasted, for the README."""
    found = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("what", "against"):
        found.add_column(title, overflow="fold")
    for title in ("ours", "theirs", "", "value", "target", "met"):
        found.add_column(title, no_wrap=True, justify="left" if title in ("", "met") else "right")
    for row in rows:
        found.add_row(
            *(row.name, row.against, _figure(row.ours), _figure(row.theirs), row.measured),
            *(_value(row), _target(row)),
            "[green]yes[/]" if row.met else "[red]no[/]",
        )
    return found


def markdown(rows: Sequence[Row]) -> str:
    """Return the rows as the README's table."""
    lines = [
        "| what | against | ours | theirs | value | target | |",
        "|---|---|--:|--:|--:|--:|---|",
    ]
    for row in rows:
        ours, theirs = (f"{_figure(side)} {row.measured}" for side in (row.ours, row.theirs))
        met = "met" if row.met else "missed"
        cells = (row.name, row.against, ours, theirs, _value(row), _target(row), met)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def machine() -> str:
    """Return what the figures were taken on: processor, system and versions."""
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8") if info.exists() else ""
    models = [line.split(":")[1].strip() for line in text.splitlines() if "model name" in line]
    versions = [f"{name} {version(package)}" for name, package in PACKAGES.items()]
    parts = [
        f"{os.cpu_count()} cores" + (f" ({models[0]})" if models else ""),
        f"{platform.system()} {platform.machine()}",
        f"Python {platform.python_version()}",
        *versions,
    ]
    return ", ".join(parts)


def write(rows: Sequence[Row], taken_on: str, folder: Path) -> None:
    """Write `bench.json`, `bench.md` and `bench.png` into a folder.

    Args:
        rows: in the order of the table.
        taken_on: the machine and the versions.
        folder: is made if need be.
    """
    folder.mkdir(exist_ok=True)
    found = json.dumps([row.as_json() for row in rows], indent=2)
    (folder / "bench.json").write_text(found + "\n", encoding="utf-8")
    (folder / "bench.md").write_text(f"{markdown(rows)}\n{taken_on}\n", encoding="utf-8")
    chart(rows, folder / "bench.png")


def chart(rows: Sequence[Row], file: Path) -> None:
    """Draw each value as a bar from its target, which is one line for all: left of it is met.

    The scale is logarithmic: twice the target is as far to the right as half of it to the left.
    """
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 0.45 * len(rows) + 0.8), layout="constrained")
    places = range(len(rows))
    lengths = [min(max(log2(max(row.value / row.target, 0.01)), -3), 5) for row in rows]
    colors = ["#3a8f5c" if row.met else "#c8553d" for row in rows]
    axes.barh(places, lengths, color=colors, height=0.6)
    for place, row, length in zip(places, rows, lengths, strict=True):
        text = f"  {_value(row)}, target {_target(row)}"
        axes.text(max(length, 0), place, text, va="center", fontsize=9)
    axes.axvline(0, color="#333333", linewidth=1)
    axes.set_yticks(places, [f"{row.name}\nagainst {row.against}" for row in rows], fontsize=8)
    axes.set_xlim(min([*lengths, 0]) - 0.3, max([*lengths, 0]) + 2.4)
    axes.invert_yaxis()
    axes.xaxis.set_visible(False)
    axes.spines[["top", "right", "bottom", "left"]].set_visible(False)
    axes.tick_params(left=False)
    axes.set_title("Left of the line: better than the target", fontsize=10, loc="left")
    figure.savefig(file, dpi=130)
    pyplot.close(figure)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def _value(row: Row) -> str:
    return f"{row.value:.2f} x" if row.unit == "x" else f"{row.value:+.2f} {row.unit}"


def _target(row: Row) -> str:
    return f"{row.target:g} x" if row.unit == "x" else f"{row.target:+g} {row.unit}"
