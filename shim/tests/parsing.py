"""A DAG file imported in a process of its own, as Airflow does it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from kedro_astro import dags

SHIM = Path(dags.__file__).parent.parent
PARSE = """
import json, sys
from pathlib import Path
from kedro_astro.dags import build_dags
found = build_dags(Path(sys.argv[1]))
"""


def parse(project: Path, then: str, tmp_path: Path, **env: str) -> Any:
    """Build the DAGs in a new process, run `then`, and return the JSON that it prints."""
    done = subprocess.run(
        [sys.executable, "-c", PARSE + then, str(project)],
        env={**os.environ, "PYTHONPATH": str(SHIM), "AIRFLOW_HOME": str(tmp_path), **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
