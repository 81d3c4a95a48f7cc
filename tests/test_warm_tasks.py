"""Tasks forked from a warm process, with the libraries that pipelines use most."""

from __future__ import annotations

import os
from pathlib import Path

import packages
import pytest
from scaffold import ROOT

STRESS = """
import multiprocessing, os, signal, sys, tempfile
from kedro_astro.airflow.trial import load, trial
names = ["numpy", "pandas", "pyarrow", "pyarrow.parquet", "sklearn.cluster",
         "sklearn.ensemble", "sklearn.linear_model", "kedro_datasets.pandas:ParquetDataset"]
found = trial(names, {})
assert [*found] == names and not any(found.values()), found
for name in names:
    load(name)

def task(folder, number):
    import numpy as np, pandas as pd
    from sklearn.cluster import KMeans
    from sklearn.linear_model import LogisticRegression
    rng = np.random.default_rng(number)
    a = rng.random((200, 200))
    assert abs(np.linalg.inv(a + np.eye(200) * 200) @ (a + np.eye(200) * 200)).sum() > 199
    birds = pd.DataFrame({"kind": rng.integers(0, 3, 3000), "x": rng.random(3000)})
    file = os.path.join(folder, f"{number}.parquet")
    birds.groupby("kind", as_index=False).mean().merge(birds, on="kind").to_parquet(file)
    back = pd.read_parquet(file)
    assert len(back) == 3000
    points = back[["x_x", "x_y"]].to_numpy()
    LogisticRegression().fit(points, back["kind"])  # BLAS threads
    KMeans(3, n_init=1).fit(points)  # OpenMP threads

def worker(todo, done, folder):
    signal.alarm(280)
    while (number := todo.get()) is not None:
        child = os.fork()
        if child == 0:
            signal.alarm(60)  # Ends one that hangs, which counts.
            try:
                task(folder, number)
                os._exit(0)
            except BaseException as error:
                print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        done.put(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

tasks, workers = int(sys.argv[1]), 3
fork = multiprocessing.get_context("fork")
todo, done = fork.SimpleQueue(), fork.SimpleQueue()
with tempfile.TemporaryDirectory() as folder:
    crew = [fork.Process(target=worker, args=(todo, done, folder)) for _ in range(workers)]
    for member in crew:
        member.start()
    for number in [*range(tasks), *[None] * workers]:
        todo.put(number)
    statuses = [done.get() for _ in range(tasks)]
    for member in crew:
        member.join()
print(statuses.count(0), "of", tasks)
"""


WORKING = """
import numpy as np
from sklearn.cluster import KMeans
KMeans(3, n_init=1).fit(np.random.default_rng(0).random((3000, 2)))
"""
TRY = """
from kedro_astro.airflow.trial import trial
found = trial(["numpy", "sklearn.cluster", "working"], {})
print(found)
"""


def run(code: str, *arguments: str, path: str = "", timeout: float = 60) -> str:
    env = {"PYTHONPATH": f"{ROOT / 'shim/src'}:{path}", "PATH": "/usr/bin:/bin"}
    return packages.run(code, *arguments, env=env | {"PYTHONWARNINGS": "ignore"}, timeout=timeout)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="One core has no use for threads")
@pytest.mark.slow
def test_a_module_that_computes_when_it_is_imported_is_left_cold(tmp_path: Path) -> None:
    """Its threads of OpenMP would not be there in a task, which would wait for them for ever."""
    (tmp_path / "working.py").write_text(WORKING)
    said = run(TRY, path=str(tmp_path))
    assert said == "{'numpy': '', 'sklearn.cluster': '', 'working': 'starts threads'}\n"


@pytest.mark.slow
def test_60_forked_tasks_and_none_hangs() -> None:
    """Three at a time, forked from workers that were forked: as the LocalExecutor does it.

    Each multiplies matrices, groups, writes and reads Parquet and fits models, so it starts threads
    of BLAS, OpenMP and Arrow. Had the parent used the libraries, and not only imported them, tasks
    would hang in the locks of its threads.
    """
    assert run(STRESS, "60", timeout=300) == "60 of 60\n"
