"""Whom `astro dev start` lets into `data/`; tests/test_astro_dev.py shows it in containers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from kedro_astro.running.host_data import ACCESS, DEFAULT, open_to_all, share

OTHER, THIRD = 54321, 54322


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data/sub").mkdir(parents=True)
    (tmp_path / "data/sub/file").write_text("1")
    (tmp_path / "outside").write_text("1")
    (tmp_path / "data/link").symlink_to(tmp_path / "outside")
    try:
        share(str(tmp_path / "data/sub"), {os.getuid()})
    except OSError as error:
        pytest.skip(f"no access control lists here: {error}")
    return tmp_path / "data"


def test_all_that_is_there_and_will_be_is_shared(data: Path) -> None:
    share(str(data), {OTHER, os.getuid()})
    (data / "sub/new").mkdir()
    (data / "sub/new/file").write_text("1")
    number = OTHER.to_bytes(4, "little")
    for path in (data, *data.rglob("*")):
        if not path.is_symlink():
            assert number in os.getxattr(path, ACCESS)
            assert not path.is_dir() or number in os.getxattr(path, DEFAULT)
    assert ACCESS not in os.listxattr(data.parent / "outside")


def test_entries_of_others_stay_and_a_second_time_changes_nothing(data: Path) -> None:
    share(str(data), {OTHER})
    share(str(data), {THIRD})
    first = os.getxattr(data / "sub", ACCESS)
    assert OTHER.to_bytes(4, "little") in first and THIRD.to_bytes(4, "little") in first
    share(str(data), {OTHER, THIRD})
    assert os.getxattr(data / "sub", ACCESS) == first


def test_a_shared_file_is_not_executable_for_that(data: Path) -> None:
    share(str(data), {OTHER})
    assert (data / "sub/file").stat().st_mode & 0o111 == 0


def test_where_there_are_no_lists_everybody_may_do_what_the_owner_may(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("1")
    (tmp_path / "file").chmod(0o600)
    open_to_all(str(tmp_path))
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666
    assert tmp_path.stat().st_mode & 0o777 == 0o777
