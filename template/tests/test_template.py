"""What an update of the template may leave behind: conflicts, or a shim that is nobody's."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "dags"))  # as Airflow does

from kedro_astro.__main__ import damage
from kedro_astro.cli.integrity import conflicts

PROJECT = Path(__file__).resolve().parents[1]


def test_no_conflict_is_left() -> None:
    found = conflicts(PROJECT)
    assert not found, (
        "`uvx copier update` left both versions of some lines. Keep one, delete the other and the "
        "marks around them, and commit:\n" + "\n".join(found)
    )


def test_the_shim_is_as_the_template_wrote_it() -> None:
    damaged = damage()
    assert not damaged, damaged
