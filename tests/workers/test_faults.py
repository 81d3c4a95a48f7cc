"""What is killed, stopped or taken away in the middle of a run, and how the run ends."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest
from cluster import DISK, Cluster
from s3 import Store

from .conftest import ROOT, Run

pytestmark = pytest.mark.workers


def objects(store: Store, folder: str) -> list[str]:
    """Return the keys below a folder of `held`, whatever is in them."""
    return sorted(store.files().find(f"{ROOT}/held/{folder}"))


def test_the_process_of_a_task_is_killed(held: Run) -> None:
    os.kill(held.holding(), signal.SIGKILL)
    held.holding(2)
    held.go()
    assert held.ends() == "success"
    assert held.verdict() == held.right()
    tries = {task_id: number for task_id, (number, _) in held.tries().items()}
    assert tries == {"gather": 1, "hold": 2, "judge": 1}


def test_it_is_killed_while_it_saves(held: Run, store: Store) -> None:
    """The store does not answer meanwhile, so that it is surely in the middle of it."""
    before = objects(store, "held.json")
    task = psutil.Process(held.holding())
    store.process.send_signal(signal.SIGSTOP)
    try:
        held.go()
        held.airflow.client.wait_for(
            "a connection with what is saved",
            lambda: any(c.raddr and c.raddr.port == store.port for c in task.net_connections()),
        )
        task.kill()
        psutil.wait_procs([task], timeout=10)
    finally:
        store.process.send_signal(signal.SIGCONT)
    assert held.ends() == "success"
    assert held.verdict() == held.right()
    # The first try has left nothing: what is there is of the second, and whole.
    (saved,) = {*objects(store, "held.json")} - {*before}
    assert saved.split("/")[-2].endswith("-try002")


@pytest.mark.usefixtures("two_workers")
def test_a_worker_is_killed(held: Run) -> None:
    held.holding()
    lost = held.worker()
    held.airflow.kill(lost)
    held.holding(2)
    number, worker = held.tries()["hold"]
    held.go()
    assert held.ends() == "success"
    assert held.verdict() == held.right()
    assert number == 2 and worker != lost


def test_the_scheduler_is_killed(held: Run) -> None:
    held.holding()
    held.airflow.kill("scheduler")
    held.go()
    held.airflow.start_airflow("scheduler", "-s")
    assert held.ends() == "success"
    assert held.verdict() == held.right()
    assert {number for number, _ in held.tries().values()} == {1}


@contextmanager
def refusing(port: int, status: int) -> Iterator[list[str]]:
    """Answer all requests with an error; yield those that came."""
    seen: list[str] = []

    class Refuses(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def refuse(self) -> None:
            seen.append(self.path)
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = refuse

        def log_message(self, *_: object) -> None:
            pass

    ThreadingHTTPServer.allow_reuse_address = True
    with ThreadingHTTPServer(("127.0.0.1", port), Refuses) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield seen
        server.shutdown()


@pytest.mark.parametrize("kind", ["hangs", "is down"])
def test_the_store_is_away_for_twenty_seconds(held: Run, store: Store, kind: str) -> None:
    held.holding()
    if kind == "hangs":
        store.process.send_signal(signal.SIGSTOP)
    else:
        store.stop()
    held.go()
    time.sleep(20)  # That is what it is about.
    if kind == "hangs":
        store.process.send_signal(signal.SIGCONT)
    else:
        store.start()
    assert held.ends() == "success"
    assert held.verdict() == held.right()


def test_the_store_answers_errors_for_a_while(held: Run, store: Store) -> None:
    held.holding()
    store.stop()
    with refusing(store.port, 503) as seen:
        held.go()
        held.airflow.client.wait_for("three refusals", lambda: len(seen) >= 3)
    store.start()
    assert held.ends() == "success"
    assert held.verdict() == held.right()


def test_the_store_lets_nobody_in_any_more(held: Run, store: Store) -> None:
    """What was saved before stays, and the task's log names the cause."""
    held.holding()
    store.stop()
    with refusing(store.port, 403) as seen:
        held.go()
        assert held.ends() == "failed"
        assert seen
    store.start()
    assert held.tries()["hold"][0] == 3
    log = held.log("hold", 3)
    assert "held.gathered" in log or "held/gathered.json" in log, log
    assert "Forbidden" in log
    assert held.saved_by("gather")["gate"] == held.gate


def test_the_disk_is_full(airflow: Cluster) -> None:
    """The run fails and says so, nobody loads what is left, and with less it goes on."""
    client = airflow.client
    run_id = client.trigger("penguins.local", {"megabytes": 2 * DISK})
    assert client.wait_for_run("penguins.local", run_id, 120) == "failed"
    states = {t.task_id: t.state for t in client.task_instances("penguins.local", run_id)}
    gone = "upstream_failed"
    assert states == {"fill": "failed", "count": gone, "clean_up": gone}
    log = json.dumps(client.task_log("penguins.local", run_id, "fill"))
    assert "No space left on device" in log and "filled.txt" in log
    run_id = client.trigger("penguins.local", {"megabytes": 1})
    client.wait_for_run("penguins.local", run_id, 120)
    states = {t.task_id: t.state for t in client.task_instances("penguins.local", run_id)}
    assert states["fill"] == "success"


def test_the_manifest_is_damaged(held: Run, manifest: Path) -> None:
    """Airflow puts off a task without a DAG, whose log says what is wrong; mended, it goes on."""
    held.holding()
    client, said = held.airflow.client, "cannot be used: it cannot be read (damaged"
    good = manifest.read_bytes()
    manifest.write_bytes(good[: len(good) // 2])
    try:
        held.go()
        client.wait_for("word of it in the task's log", lambda: said in held.log("judge"))
        client.wait_for("word of it in the UI", lambda: said in "".join(client.import_errors()))
    finally:
        manifest.write_bytes(good)
    client.wait_for("the DAG", lambda: "penguins.held" in client.dag_ids())
    assert held.ends() == "success"
    assert held.verdict() == held.right()


@pytest.mark.usefixtures("two_workers")
def test_a_worker_whose_clock_is_ten_minutes_slow(held: Run) -> None:
    """Versions come from the run's own times, and all of a run are in order."""
    held.holding()
    slow = {"worker-1": 2, "worker-2": 1}[held.worker()]
    held.airflow.stop(f"worker-{slow}")
    behind = ("faketime", "-f", "-10m")
    held.airflow.start_worker(slow, *behind, FAKETIME_DONT_FAKE_MONOTONIC="1")
    held.airflow.ready(slow)
    # Now it is the only one that can take what comes next.
    held.airflow.kill(held.worker())
    held.holding(2)
    held.go()
    assert held.ends() == "success"
    assert held.verdict() == held.right()
    tries = held.tries()
    assert {tries[task_id][1] for task_id in ("hold", "judge")} == {f"worker-{slow}"}
    first, later = held.version("gather"), held.version("hold")
    assert later == f"{first}-try002" and held.version("judge") == first


def test_a_run_is_cleared_while_it_runs(held: Run) -> None:
    """What ran is ended, what had run runs again, and its first version stays."""
    first, version = psutil.Process(held.holding()), held.version("gather")
    held.airflow.client.clear("penguins.held", held.run_id, "gather", downstream=True)
    held.holding(2)
    assert not first.is_running()
    assert held.version("gather") != version
    held.go()
    assert held.ends() == "success"
    assert held.verdict() == held.right()
    assert objects(held.store, f"gathered.json/{version}")
