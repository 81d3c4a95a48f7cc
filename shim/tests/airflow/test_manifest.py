"""When a kept structure counts, and what happens when it cannot be kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pytest
from kedro_astro.airflow import manifest
from kedro_astro.airflow.manifest import COMPILED, kept_at, read
from kedro_astro.airflow.refresh import compile
from kedro_astro.errors import ManifestError
from kedro_astro.structure import from_json
from parsing import SHIM
from projects import CATALOG, SALES, MakeProject, load

MORE = SALES.replace("total", "more").replace("first", "third").replace("second", "fourth")
MORE = MORE.replace("doubled", "doubled_too")
COUNTED = """
import os, pathlib
log = pathlib.Path(os.environ["READINGS"])
with log.open("a") as file:
    file.write("x")
"""


@pytest.fixture
def readings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that the project's settings make a byte longer each time they are imported."""
    path = tmp_path / "readings"
    path.touch()
    monkeypatch.setenv("READINGS", str(path))
    return path


def count(readings: Path) -> int:
    return len(readings.read_text())


@pytest.fixture
def project(make_project: MakeProject, readings: Path) -> Path:
    return make_project({"src/shop/settings.py": COUNTED})


def test_an_unchanged_project_is_read_once(project: Path, readings: Path) -> None:
    assert load(project) == load(project)
    assert count(readings) == 1


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("conf/base/catalog.yml", CATALOG + "# changed"),
        ("src/shop/pipelines/more/__init__.py", MORE),
        ("conf/airflow/catalog.yml", CATALOG),
    ],
)
def test_a_changed_source_is_read_again(
    project: Path, readings: Path, file: str, text: str
) -> None:
    load(project)
    (project / file).parent.mkdir(exist_ok=True)
    (project / file).write_text(text)
    assert load(project).problems == ()
    assert count(readings) == 2


def test_data_and_caches_are_no_sources(project: Path, readings: Path) -> None:
    load(project)
    for file in ("data/raw.json", "src/shop/__pycache__/x.pyc", "src/shop/.x.swp"):
        (project / file).parent.mkdir(exist_ok=True)
        (project / file).write_text("{}")
    load(project)
    assert count(readings) == 1


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"structure": {}}', '{"fingerprint": 1}'])
def test_a_damaged_manifest_is_read_anew(project: Path, readings: Path, damage: str) -> None:
    good = read(project)
    (project / ".kedro-astro/manifest.jsonl").write_text(damage)
    assert read(project).content == good.content
    assert count(readings) == 1  # what the reading had left is still there


@pytest.mark.parametrize("place", [0, 10, 300, -1])
def test_a_damaged_byte_heals(project: Path, place: int) -> None:
    good = read(project).content
    damaged = bytearray(good)
    damaged[place] ^= 1
    (project / ".kedro-astro/manifest.jsonl").write_bytes(damaged)
    assert read(project).content == good
    assert (project / ".kedro-astro/manifest.jsonl").read_bytes() == good


def test_ten_at_once_read_once(project: Path, readings: Path) -> None:
    with ThreadPoolExecutor(10) as pool:
        structures = list(pool.map(load, [project] * 10))
    assert all(structure == structures[0] for structure in structures)
    assert count(readings) == 1


def test_the_last_good_dags_stay_when_the_project_breaks(project: Path, readings: Path) -> None:
    good = read(project)
    sales = project / "src/shop/pipelines/sales/__init__.py"
    sales.write_text("x = (")
    broken = read(project)
    assert list(broken.blueprints()) == list(good.blueprints()) and len(broken.problems) == 1
    assert read(project).content == broken.content
    assert count(readings) == 2  # not read again at each parse
    sales.write_text(SALES)
    mended = read(project)
    assert list(mended.blueprints()) == list(good.blueprints()) and mended.problems == ()


def test_a_read_only_project_is_kept_elsewhere(
    project: Path, readings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may write anywhere, so a file stands where the folder would be.
    (project / ".kedro-astro").write_text("in the way")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert load(project) == load(project)
    assert count(readings) == 1


def test_the_cache_ignores_itself_in_git(project: Path) -> None:
    load(project)
    assert (project / ".kedro-astro/.gitignore").read_text() == "*\n"


def compiled(project: Path, path: Path) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; from pathlib import Path; from kedro_astro import cli; "
        "cli._project = lambda: Path(sys.argv[1]); cli.astro(['compile', sys.argv[2]])"
    )
    shim = Path(manifest.__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-c", code, str(project), str(path)],
        env={**os.environ, "PYTHONPATH": str(shim)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_compiled_manifest_is_trusted(
    project: Path, readings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "manifest.jsonl"
    done = compiled(project, path)
    assert done.returncode == 0 and "2 pipelines of Shop" in done.stdout
    good = kept_at(path)
    (project / "src/shop/pipelines/sales/__init__.py").write_text("x = (")
    monkeypatch.setenv("KEDRO_ASTRO_MANIFEST", str(path))
    assert read(project).content == good.content
    assert count(readings) == 1


@pytest.mark.slow
def test_a_broken_project_does_not_compile(project: Path, tmp_path: Path) -> None:
    (project / "src/shop/pipelines/sales/__init__.py").write_text("x = (")
    done = compiled(project, tmp_path / "manifest.jsonl")
    assert done.returncode == 1
    assert "in src/shop/pipelines/sales/__init__.py:1" in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "manifest.jsonl").exists()


@pytest.mark.parametrize("content", [None, "{", '{"format": 99}', '{"format": 8}', "[]"])
def test_a_compiled_manifest_that_is_none_is_said(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    path = tmp_path / "manifest.jsonl"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("KEDRO_ASTRO_MANIFEST", str(path))
    with pytest.raises(ManifestError, match="kedro astro compile"):
        load(project)


def test_json_and_back(project: Path) -> None:
    structure = load(project)
    assert from_json(json.loads(json.dumps(asdict(structure)))) == structure


def test_a_slow_reading_goes_on_in_the_background(
    make_project: MakeProject, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    project = make_project({"src/shop/settings.py": f"open({str(gate)!r}).read()\n"})
    assert read(project, lambda: 0).still_reading
    assert read(project, lambda: 0).still_reading  # the same reading, not two
    with gate.open("w") as file:
        file.write("go on")
    structure = load(project)
    assert structure.problems == () and len(structure.pipelines) == 2


def test_a_manifest_of_another_environment_is_refused(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its datasets are not those that a task would find."""
    compiled = tmp_path / "compiled.json"
    compile(project, compiled)
    monkeypatch.setenv(COMPILED, str(compiled))
    assert load(project).problems == ()
    monkeypatch.setenv("KEDRO_ENV", "prod")
    with pytest.raises(ManifestError, match="environment '', and tasks would run in 'prod'"):
        load(project)


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """What a project that reads it waits for."""
    os.mkfifo(tmp_path / "gate")
    return tmp_path / "gate"


def hanging(make_project: MakeProject, gate: Path) -> tuple[Path, Path]:
    """Return a project that is read for ever, and the file that makes it so."""
    project = make_project({"src/shop/settings.py": f"open({str(gate)!r}).read()\n"})
    return project, project / "src/shop/settings.py"


def test_an_import_that_hung_is_ended_when_it_is_mended(
    make_project: MakeProject, gate: Path
) -> None:
    project, settings = hanging(make_project, gate)
    assert read(project, lambda: 0).still_reading
    settings.write_text("")
    assert len(read(project).dag_ids) == 2


READ = """
import sys
from pathlib import Path
from kedro_astro.airflow.manifest import read
print(read(Path(sys.argv[1])).problems)
"""


@pytest.mark.slow
def test_a_reading_that_is_outdated_is_begun_again(make_project: MakeProject, gate: Path) -> None:
    """An editor truncates a file before it writes it: what is read in between is nobody's error."""
    project, settings = hanging(make_project, gate)
    command = [sys.executable, "-W", "ignore", "-c", READ, str(project)]
    env = {**os.environ, "PYTHONPATH": str(SHIM)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as first:
        reading = os.open(gate, os.O_WRONLY)  # as soon as somebody reads
        settings.write_text("")
        assert read(project).problems == ()
        assert first.communicate()[0].splitlines()[-1] == "()"
    os.close(reading)


def test_a_reading_that_fails_and_changes_its_own_sources_is_said(
    make_project: MakeProject,
) -> None:
    """Begun again and again it would never end."""
    text = "import os\nopen('src/shop/made.txt', 'a').write('x')\nos._exit(3)\n"
    (problem,) = read(make_project({"src/shop/settings.py": text})).problems
    assert "ended with status 3" in problem


def test_what_cannot_be_kept_is_said_and_the_dags_are_there(project: Path) -> None:
    (project / ".kedro-astro/manifest.jsonl").mkdir(parents=True)
    (project / ".kedro-astro/.gitignore").write_text("*")
    manifest = read(project)
    assert len(manifest.dag_ids) == 2
    (problem,) = manifest.problems
    assert "manifest.jsonl cannot be used" in problem and "Delete the folder" in problem
    (project / ".kedro-astro/manifest.jsonl").rmdir()
    assert read(project).problems == ()


@pytest.mark.parametrize("name", ["lock", "reading.log", "structure.json"])
def test_with_anything_in_the_way_the_last_good_dags_stay(project: Path, name: str) -> None:
    good = read(project)
    (project / "conf/base/catalog.yml").write_text(CATALOG + "# changed")
    (project / ".kedro-astro" / name).unlink()
    (project / ".kedro-astro" / name).mkdir()
    manifest = read(project)
    assert list(manifest.blueprints()) == list(good.blueprints())
    assert name in "".join(manifest.problems)


def test_sources_that_cannot_be_looked_at(project: Path) -> None:
    """A link to itself, one to nowhere, and a file where a folder should be."""
    (project / "conf/base/loop.yml.bak").symlink_to("loop.yml.bak")
    (project / "src/shop/nowhere").symlink_to("/nowhere")
    assert read(project).problems == ()
    assert read(project).fresh(project)
