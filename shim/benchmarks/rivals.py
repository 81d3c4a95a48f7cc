"""The projects that are measured, and what stands in for them on the other side."""

from __future__ import annotations

import compileall
import json
import subprocess
import sys
from pathlib import Path

from scaffold import scaffold

Edges = dict[str, dict[str, list[str]]]
"""By DAG and by task: the tasks before it."""

REGISTRY = """
from kedro.framework.project import find_pipelines


def register_pipelines():
    return find_pipelines(raise_errors=True)
"""
PIPELINE = '''
"""One of many."""

from kedro.pipeline import node, pipeline


def start(first):
    """Begin with a parameter."""
    return first


def step(*parts):
    """Add up what came before."""
    return sum(parts)


def create_pipeline(**kwargs):
    return pipeline(
        [
{nodes}
        ]
    )
'''
CATALOG = """
"{pipeline}.result":
  type: json.JSONDataset
  filepath: data/{pipeline}.json
"""
HAND_WRITTEN = """
from datetime import datetime, timezone

from airflow.sdk import DAG, BaseOperator


class Nothing(BaseOperator):
    def execute(self, context):
        return None

{dags}
"""
DAG = """
with DAG(
    dag_id={dag_id!r},
    schedule=None,
    start_date=datetime(2020, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    tags=["kedro"],
) as dag_{number}:
"""
# What Kedro's guide to Airflow has its users write: Rich's handler breaks tasks.
LOGGING = """
version: 1
disable_existing_loggers: false
handlers:
  console: {class: logging.StreamHandler}
root: {handlers: [console]}
"""
# The guide has every dataset persisted, as each node is a task.
GUIDE_CATALOG = """
"data_science.{part}_features":
  type: pickle.PickleDataset
  filepath: data/02_intermediate/guide/{part}_features.pickle
"data_science.{part}_species":
  type: pickle.PickleDataset
  filepath: data/02_intermediate/guide/{part}_species.pickle
"{dataset}":
  type: pickle.PickleDataset
  filepath: data/02_intermediate/guide/{dataset}.pickle
"""
OWN_ID = 'dag_id="penguins"'
PLAN = """
import json, sys
from pathlib import Path
sys.path.insert(0, "dags")
from kedro_astro.airflow.manifest import read
from kedro_astro.planning.plan import plan_all
plans, _ = plan_all(read(Path.cwd()).structure())
print(json.dumps({p.dag_id: {t.task_id: t.upstream for t in p.tasks} for p in plans.values()}))
"""


def example(folder: Path) -> Path:
    """Scaffold the example, with what a user of kedro-airflow adds to it in `conf`."""
    project = scaffold(folder, project_name="Penguins")
    (project / "conf/logging.yml").write_text(LOGGING, encoding="utf-8")
    (project / "conf/guide").mkdir()
    (project / "conf/guide/catalog.yml").write_text(GUIDE_CATALOG, encoding="utf-8")
    return compiled(project)


def many(folder: Path, pipelines: int, nodes: int) -> Path:
    """Scaffold an empty project and add pipelines; each node is a task.

    There is no pipeline `__default__`, which would have all the nodes once more.
    """
    project = scaffold(folder, project_name="Many", start="empty")
    (project / "src/many/pipeline_registry.py").write_text(REGISTRY, encoding="utf-8")
    (project / "conf/base/catalog.yml").write_text(CATALOG, encoding="utf-8")
    (project / "conf/base/parameters.yml").write_text("first: 1\n", encoding="utf-8")
    # A file by hand has no task that removes what a run has left.
    (project / "conf/airflow/airflow.yml").write_text("default: {retention: forever}\n")
    for number in range(pipelines):
        place = project / f"src/many/pipelines/p{number:02}"
        place.mkdir()
        text = PIPELINE.replace("{nodes}", _nodes(place.name, nodes))
        (place / "__init__.py").write_text(text, encoding="utf-8")
    return compiled(project)


PODS = """
default:
  retention: forever
  run_in: kubernetes
  kubernetes:
    image: shop:1
    namespace: data
    container_resources: {limits: {memory: 1Gi}}
    tolerations: [{key: gpu, operator: Exists}]
"""
A_POD = (
    "KubernetesPodOperator(task_id={task!r}, image='shop:1', namespace='data',"
    " cmds=['run', {task!r}],"
    " container_resources=k8s.V1ResourceRequirements(limits={{'memory': '1Gi'}}),"
    " tolerations=[k8s.V1Toleration(key='gpu', operator='Exists')])"
)
OF_PODS = """
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from kubernetes.client import models as k8s
"""


def pods(folder: Path, nodes: int) -> tuple[Path, Path]:
    """Return a project of one pipeline whose nodes each have a pod, and a file that an engineer
    would write for the same."""
    project = many(folder, 1, nodes)
    (project / "conf/airflow/airflow.yml").write_text(PODS, encoding="utf-8")
    hand = by_hand(edges(project), A_POD).replace("\nclass Nothing", f"{OF_PODS}\nclass Nothing")
    return project, write(project / "dags/by_hand.py", hand)


def _nodes(pipeline: str, number: int) -> str:
    """Return the nodes of a pipeline: a chain, with an edge more from each node's half."""
    names = [f"{pipeline}.n{node:02}" for node in range(number - 1)] + [f"{pipeline}.result"]
    lines = [f'node(start, "params:first", "{names[0]}", name="{names[0]}"),']
    for node in range(1, number):
        inputs = json.dumps(sorted({names[node - 1], names[node // 2]}))
        lines.append(f'node(step, {inputs}, "{names[node]}", name="{names[node]}"),')
    return "\n".join(f"            {line}" for line in lines)


def compiled(folder: Path) -> Path:
    """Compile all Python files to bytecode: an image has it, a first parse would pay for it."""
    compileall.compile_dir(folder, quiet=1)
    return folder


def edges(project: Path) -> Edges:
    """Return the project's tasks as its own shim plans them, and leave a fresh manifest."""
    done = subprocess.run(
        [sys.executable, "-c", PLAN], cwd=project, check=True, stdout=subprocess.PIPE, text=True
    )
    return dict(json.loads(done.stdout))


def by_hand(dags: Edges, operator: str = "Nothing(task_id={task!r})") -> str:
    """Return a DAG file with these tasks and edges, as an engineer would write it."""
    parts = []
    for number, (dag_id, tasks) in enumerate(dags.items()):
        names = {task: f"task_{place}" for place, task in enumerate(tasks)}
        made = {name: operator.format(task=task) for task, name in names.items()}
        lines = [f"    {name} = {call}" for name, call in made.items()]
        for task, upstream in tasks.items():
            before = ", ".join(names[other] for other in upstream)
            if upstream:
                before = f"[{before}]" if len(upstream) > 1 else before
                lines.append(f"    {before} >> {names[task]}")
        parts.append("\n".join([DAG.format(dag_id=dag_id, number=number).rstrip(), *lines, ""]))
    return HAND_WRITTEN.format(dags="\n".join(parts)).lstrip()


def write(file: Path, text: str) -> Path:
    """Write a DAG file beside those of the project, with its bytecode."""
    file.write_text(text, encoding="utf-8")
    compileall.compile_file(file, quiet=1)
    return file


def kedro_airflow(project: Path, name: str, *options: str) -> Path:
    """Generate kedro-airflow's DAG of the whole project and give it an id of its own.

    Its id is the package's name, like that of ours, and no option changes it.
    """
    folder = project / "generated" / name
    command = ["-m", "kedro", "airflow", "create", "--target-dir", str(folder), *options]
    subprocess.run([sys.executable, *command], cwd=project, check=True, capture_output=True)
    (file,) = folder.glob("*.py")
    text = file.read_text(encoding="utf-8")
    return write(project / f"dags/{name}.py", text.replace(OWN_ID, f'dag_id="{name}"'))


def airflow_modules(project: Path) -> list[str]:
    """Return what Airflow's DAG processor imports before it forks: what DAG files name of Airflow,
    those of all sides, as they are all in one folder."""
    from airflow.utils.file import iter_airflow_imports

    files = [*sorted((project / "dags").glob("*.py"))]
    return sorted({name for file in files for name in iter_airflow_imports(str(file))})
