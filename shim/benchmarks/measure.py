"""What processes use, measured one side after the other, again and again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

FORKS = Path(__file__).with_name("forks.py")


def best(sides: Mapping[str, Callable[[], float]], times: int) -> dict[str, float]:
    """Return the least that each side measured: what others did on the machine only adds.

    They take turns, A B A B ..., so that a busy moment hits both.

    Args:
        sides: what to measure, by name; each is called once before it counts.
        times: how often each is measured.
    """
    rounds = [{name: side() for name, side in sides.items()} for _ in range(times + 1)]
    return {name: min(round_[name] for round_ in rounds[1:]) for name in sides}


def cpu(command: Sequence[str | Path], cwd: Path) -> float:
    """Run a command that must succeed; return the CPU seconds of it and its children."""
    child = subprocess.Popen(
        [str(part) for part in command],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stderr
    said = child.stderr.read()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{command} failed:\n{said}")
    return used.ru_utime + used.ru_stime


def wall(cwd: Path, *commands: Sequence[str]) -> float:
    """Run commands that must succeed, one after the other; return the seconds that they take."""
    began = time.monotonic()
    for command in commands:
        subprocess.run(command, cwd=cwd, check=True, capture_output=True)
    return time.monotonic() - began


def printed(code: str, cwd: Path) -> float:
    """Run Python code that must succeed in a process of its own; return the number it prints."""
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


class ImportedAirflow:
    """A process that has imported Airflow; each measurement is a fork of it. See `forks`.

    Args:
        log: file for what the forks print.
        modules: what to import beside what Airflow's DAG processor has imported itself.
    """

    def __init__(self, log: Path, modules: Sequence[str]) -> None:
        self._log = log
        self._output = log.open("a")
        self._process = subprocess.Popen(
            [sys.executable, str(FORKS), *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._output,
            text=True,
        )

    def __enter__(self) -> ImportedAirflow:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._process.communicate()
        self._output.close()

    def use(
        self,
        file: Path,
        dag_id: str = "",
        task: str = "",
        sys_path: Sequence[Path] = (),
    ) -> dict[str, float]:
        """Import a DAG file in a fork; return what that used, as `forks` says.

        Args:
            file: in the `dags/` folder of the project that is the working directory.
            dag_id: the DAG that a worker wants; empty for a parse of all.
            task: id of the task to run then, empty for none.
            sys_path: where packages are that are installed on the rival's side.
        """
        job: dict[str, Any] = {
            "file": str(file),
            "cwd": str(file.parent.parent),
            "dag_id": dag_id,
            "task": task,
            "env": {"_AIRFLOW_PARSING_CONTEXT_DAG_ID": dag_id} if dag_id else {},
            "sys_path": [str(path) for path in sys_path],
        }
        assert self._process.stdin and self._process.stdout
        print(json.dumps(job), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline() or '{"error": "no answer"}')
        if "error" in answer:
            raise RuntimeError(f"{answer['error']} ({self._log})")
        return dict(answer)
