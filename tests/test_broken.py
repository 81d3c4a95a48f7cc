"""`kedro astro check` on projects of any shape: they get a report, whatever is broken."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scaffold import GIT, add_numbers, commit, scaffold, succeed
from team import CONFLICT

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("EXAMPLES", "8"))
"""How many a run tries; more find more."""

NOT_EVEN_ROOT = (
    ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]
    if os.geteuid() == 0 and shutil.which("setpriv")
    else []
)
"""What a command begins with that is to read no file whose mode does not let its owner."""

TEXTS = [
    *(b"", b"\0", b"\xff\xfe\0x", b"- 1\n", b"1: 2\n", b"null\n", b"x: ${y\n", b"x: ${nope:1}\n"),
    *(b"[" * 5000, b"{a: " * 300, b"a: &b [*b]\n", b"!!python/name:os.system {}\n", b"x: ???\n"),
    *(b"a = " + b"[" * 2000, b"[project]\ndependencies = 3\n", b"[tool]\nkedro = 1\n"),
    *(b"[project]\nname = 1\ndependencies = [1, 'x', '@', 'a[b', 'c; d']\n", b"x" * 2_000_000),
    *(
        b"import sys\nsys.exit(0)\n",
        b"import os\nos._exit(0)\n",
        b"raise BaseException\n",
        b"1/0\n",
    ),
    *(b"def f():\n  x\n y\n", b"# coding: nope\n", b"FROM\nFROM $x\nRUN -r . pip install -r\n"),
    *(b"-r requirements.txt\n-r ../x\n-e .\n[\n", b"!\n/\n[a-\n**/[\n*\n!\\\n", CONFLICT.encode()),
    *(b"airflow: {pools: [{pool_name: 1}, 2]}\n", b"default: {pool: [1], retries: x}\n"),
    *(b"total: {type: 3}\n", b"total: {type: json.JSONDataset, filepath: " + b"x" * 5000 + b"}\n"),
    *(b'total: {type: json.JSONDataset, filepath: "a\\0b"}\n', b"(?P<\n", b"\xef\xbb\xbf# bom\n"),
]
NAMES = [b"\xff\xfe", b"a\nb", b"-r", b" ", b"x" * 250, "ü\u202e".encode(), b"$(id)", b"%s{0}[b]"]
LINKS = [".", "..", "../..", "/dev/null", "/nowhere", "conf", "dags", "itself", "a" * 300]

Damage = Callable[[Path], None]


def broken() -> st.SearchStrategy[Damage]:
    """Return damages, which take the path that is to be damaged."""
    place, text = st.floats(0, 1), st.sampled_from(TEXTS) | st.binary(max_size=50)
    return st.one_of(
        st.builds(lambda text: lambda path: replace(path, text), text),
        st.builds(lambda text, at: lambda path: insert(path, text, at), text, place),
        st.builds(lambda at: lambda path: cut(path, at), place),
        st.builds(lambda name: lambda path: rename(path, name), st.sampled_from(NAMES)),
        st.builds(lambda to: lambda path: link(path, to), st.sampled_from(LINKS)),
        st.builds(lambda mode: lambda path: closed(path, mode), st.sampled_from([0, 0o111, 0o444])),
        st.sampled_from([delete, folder, pipe]),
    )


def beyond(path: Path, project: Path) -> bool:
    """Whether it is git's or Airflow's own, or Python finds no program to run without it."""
    name = path.relative_to(project).as_posix()
    program = ("dags", "dags/kedro_astro", "dags/kedro_astro/__main__.py")
    return name in program or name.startswith((".git/", ".kedro-astro/airflow"))


def delete(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def replace(path: Path, text: bytes) -> None:
    delete(path)
    path.write_bytes(text)


def insert(path: Path, text: bytes, at: float) -> None:
    if path.is_dir():
        path /= "more.py" if at < 0.5 else "catalog_more.yml"
        path.touch()
    old = path.read_bytes()
    where = old.find(b"\n", int(at * len(old))) + 1
    path.write_bytes(old[:where] + text + old[where:])


def cut(path: Path, at: float) -> None:
    if path.is_file():
        path.write_bytes(path.read_bytes()[: int(at * path.stat().st_size)])


def rename(path: Path, name: bytes) -> None:
    path.rename(
        Path(os.fsdecode(os.path.join(os.fsencode(path.parent), name + os.fsencode(path.suffix))))
    )


def link(path: Path, to: str) -> None:
    delete(path)
    path.symlink_to(path if to == "itself" else to)


def closed(path: Path, mode: int) -> None:
    if not path.is_symlink():
        path.chmod(mode)


def folder(path: Path) -> None:
    delete(path)
    (path / "more").mkdir(parents=True)


def pipe(path: Path) -> None:
    """Only beside pyproject.toml: whoever reads another waits for ever, and Kedro would."""
    if (path.parent / "pyproject.toml").exists():
        delete(path)
        os.mkfifo(path)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scaffolded project with one pipeline, under git, that has been read."""
    project = tmp_path_factory.mktemp("small") / "small"
    scaffold(project, project_name="Small", package_name="small", start="empty")
    add_numbers(project)
    succeed([*GIT, "init", "--quiet"], project)
    commit(project, "made")
    assert check(project).returncode == 0
    return project


def check(project: Path, *options: str) -> subprocess.CompletedProcess[bytes]:
    command = [*NOT_EVEN_ROOT, sys.executable, "dags/kedro_astro", "check", *options]
    return subprocess.run(
        command,
        cwd=project,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=100,
        check=False,
    )


@given(st.data())
@settings(max_examples=EXAMPLES, deadline=None, derandomize="EXAMPLES" not in os.environ)
def test_a_broken_project_gets_a_report(
    small: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    project = tmp_path_factory.mktemp("broken") / "small"
    shutil.copytree(small, project, symlinks=True)
    told = []
    try:
        for _ in range(data.draw(st.integers(1, 3))):
            here = [path for path in sorted(project.rglob("*")) if not beyond(path, project)]
            # A file of each folder is as likely as one of another: the shim has most of all.
            home = data.draw(st.sampled_from(sorted({path.parent for path in here})))
            path = data.draw(st.sampled_from([path for path in here if path.parent == home]))
            damage = data.draw(broken())
            told.append((str(path.relative_to(project)), damage))
            damage(path)
        options = data.draw(st.sampled_from([[], ["--target", "astro"], ["--json"]]))
        done = check(project, *options)
        said = done.stdout + done.stderr
        assert done.returncode in (0, 1) and b"Traceback" not in said, (told, said.decode())
        if not said.startswith(b"Error: "):
            assert b" finding" in said if options != ["--json"] else json.loads(done.stdout) or True
    finally:
        for path, _, _ in os.walk(project):
            os.chmod(path, 0o700)
        shutil.rmtree(project)
