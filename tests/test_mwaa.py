"""The example on Amazon MWAA's 3.3.1, or on what has its folders, pins and rules on this machine.

`make test-mwaa` runs it: an environment is made and the requirements are installed, which takes
minutes. It needs root, Python 3.12 and uv.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from s3 import CHECKSUMS, Store, serving
from scaffold import ROOT, python, run, scaffold, succeed

MWAA = ROOT / "tests/mwaa"
PINS = [MWAA / f"{name}_constraints.txt" for name in ("airflow", "mwaa_essential")]
IMAGE = [
    "apache-airflow[celery,statsd]==3.3.1",
    "apache-airflow-providers-amazon[aiobotocore]",
    "pip",
]
RESULTS = "03_primary/penguins.parquet 08_reporting/metrics.json 08_reporting/species_summary.json"


@contextmanager
def role(store: Store) -> Iterator[str]:
    """Serve the store's keys as the endpoint does that gives a container those of its role."""
    keys = {"AccessKeyId": store.key, "SecretAccessKey": store.secret, "Token": ""}
    body = json.dumps({**keys, "Expiration": "2099-01-01T00:00:00Z"}).encode()

    class Endpoint(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

    with HTTPServer(("127.0.0.1", 0), Endpoint) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/role"
        server.shutdown()


@pytest.fixture(scope="module")
def image() -> Path:
    """The environment of MWAA's image, before a project's requirements are installed."""
    uv = shutil.which("uv") or str(ROOT / ".uv/bin/uv")
    ours = sorted(Path.home().glob(".pyenv/versions/3.12.*/bin/python3.12"))
    # Not below /tmp, in the place of which MWAA has another.
    venv = ROOT / "build/mwaa"
    succeed(
        [uv, "venv", "--quiet", "--clear", "--python", ours[-1] if ours else "3.12", venv], ROOT
    )
    pins = [part for file in PINS for part in ("--constraint", file)]
    install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", venv]
    succeed([*install, *pins, *IMAGE], ROOT)
    return venv


@pytest.mark.mwaa
@pytest.mark.timeout(1500)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_the_example_on_mwaa(image: Path, tmp_path: Path) -> None:
    data = "s3://my-bucket/data"
    project = scaffold(tmp_path / "penguins", project_name="Penguins", data_root=data)
    pins = ["--constraints", PINS[0]]
    succeed(
        python("dags/kedro_astro", "package", "mwaa", *pins),
        project,
        {"AIRFLOW_HOME": str(tmp_path)},
    )
    home = Path("/usr/local/airflow")
    made = not home.exists()
    home.mkdir(exist_ok=True)
    try:
        with serving(tmp_path / "s3", "my-bucket") as store, role(store) as credentials:
            remote = tmp_path / "s3/my-bucket/data"
            shutil.copytree(project / "data/01_raw", remote / "01_raw")
            variables = {
                "PATH": f"{image}/bin:/usr/bin:/bin",
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": credentials,
                "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": store.url,
                **CHECKSUMS,
            }
            (tmp_path / "variables.json").write_text(json.dumps(variables))
            inside = "unshare --mount --pid --fork --kill-child --mount-proc".split()
            boot = [image / "bin/python", MWAA / "boot.py", project / "dist/mwaa", "penguins"]
            done = run([*inside, *boot, tmp_path / "variables.json"], tmp_path)
        assert done.returncode == 0, done.stdout[-20_000:]
        said = json.loads(done.stdout.splitlines()[-1])
    finally:
        if made:
            home.rmdir()
    assert said["state"] == "success", said
    assert said["import_errors"] == []
    # Neither those who parse nor those who run tasks have read the project.
    assert said["read"] == []
    assert store.secret not in done.stdout
    succeed([image / "bin/python", "-m", "kedro", "run"], project)
    for name in RESULTS.split():
        assert (remote / name).read_bytes() == (project / "data" / name).read_bytes(), name
    assert len(list(remote.glob("06_models/classifier.pickle/*/classifier.pickle"))) == 1
