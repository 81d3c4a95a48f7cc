"""Whom `astro dev start` lets into `data/`; tests/test_astro_dev.py shows it in containers."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from kedro_astro.cli.share_data import open_to_all, share

OTHER, THIRD = 54321, 54322


def entries(path: Path) -> set[str]:
    """Return a path's lists as getfacl prints them, users as numbers."""
    command = ["getfacl", "--omit-header", "--no-effective", "--numeric", str(path)]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data/sub").mkdir(parents=True)
    (tmp_path / "data/sub/file").write_text("1")
    (tmp_path / "outside").write_text("1")
    (tmp_path / "data/link").symlink_to(tmp_path / "outside")
    if reason := share(str(tmp_path / "data/sub"), os.getuid()):
        pytest.skip(f"no access control lists here: {reason}")
    return tmp_path / "data"


def test_all_that_is_there_and_will_be_is_shared(data: Path) -> None:
    assert share(str(data), OTHER, os.getuid()) == ""
    (data / "sub/new").mkdir()
    (data / "sub/new/file").write_text("1")
    for path in (data, data / "sub", data / "sub/new"):
        assert {f"user:{OTHER}:rwx", f"default:user:{OTHER}:rwx"} <= entries(path)
    for path in (data / "sub/file", data / "sub/new/file"):
        assert "mask::rw-" in entries(path)
        assert any(entry.startswith(f"user:{OTHER}:rw") for entry in entries(path))
    assert not [entry for entry in entries(data.parent / "outside") if str(OTHER) in entry]


def test_entries_of_others_stay_and_a_second_time_changes_nothing(data: Path) -> None:
    share(str(data), OTHER)
    share(str(data), THIRD)
    first = entries(data / "sub")
    assert {f"user:{OTHER}:rwx", f"user:{THIRD}:rwx"} <= first
    share(str(data), OTHER, THIRD)
    assert entries(data / "sub") == first


def test_a_shared_file_is_not_executable_for_that(data: Path) -> None:
    share(str(data), OTHER)
    assert (data / "sub/file").stat().st_mode & 0o111 == 0


def test_without_setfacl_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "Add the line acl to packages.txt" in share(str(tmp_path), OTHER)


@pytest.mark.skipif(not shutil.which("setfacl"), reason="setfacl is not installed")
def test_a_file_system_without_lists_is_named() -> None:
    folder = f"/proc/{os.getpid()}/fdinfo"
    assert share(folder, OTHER).startswith(f"setfacl: {folder}: ")


def test_where_there_are_no_lists_everybody_may_do_what_the_owner_may(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("1")
    (tmp_path / "file").chmod(0o600)
    (tmp_path / "read").write_text("1")
    (tmp_path / "read").chmod(0o440)
    open_to_all(str(tmp_path))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"file": 0o666, "read": 0o444}
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o777
