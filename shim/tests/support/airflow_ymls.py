"""Samples of `airflow.yml`, as the reading hands them on, and the pipelines that they are for."""

from __future__ import annotations

from typing import Any

from kedro_astro.settings.read import read, wrong_settings
from kedro_astro.settings.use import Said, for_pipeline, for_task
from kedro_astro.structure import Dataset, Node, Pipeline, Structure

SOURCE = "conf/base/airflow.yml"
SPLIT = Node("split", namespace="prepare.raw", tags=("gpu", "slow"), outputs=("parts",))
TRAIN = Node("train", namespace="prepare", tags=("gpu",), outputs=("model",))
REPORT = Node("report", outputs=("page",))
PIPELINES = (
    Pipeline("__default__", (SPLIT, TRAIN, REPORT)),
    Pipeline("data_processing", (SPLIT,)),
    Pipeline("data_science", (TRAIN, REPORT)),
)
LASTING = {name: Dataset("pickle.PickleDataset", persistent=True) for name in ("parts", "model")}

SECTION: dict[str, Any] = {
    "dag_id": "shop.daily",
    "pipeline_hooks": "run",
    "retention": "7d",
    "description": "All of it",
    "tags": ["shop"],
    "schedule": "0 6 * * mon-fri",
    "start_date": "2024-01-01T06:00:00+02:00",
    "end_date": "2030-01-01",
    "catchup": True,
    "max_active_runs": 2,
    "max_active_tasks": 8,
    "dagrun_timeout": "1d",
    "params": {"threshold": 0.5, "regions": ["eu", None]},
    "credentials": {"store": "aws_default"},
    "grouping": {"first": ["train"], "then": ["report"]},
    "nodes": {"train": {"retries": 4}},
    "node_tags": {"gpu": {"queue": "gpu"}},
    "namespaces": {"prepare": {"pool": "large"}},
    "owner": "us",
    "depends_on_past": True,
    "email": ["us@example.com"],
    "email_on_failure": True,
    "email_on_retry": False,
    "retries": 3,
    "retry_delay": "30s",
    "retry_exponential_backoff": True,
    "max_retry_delay": "1h",
    "execution_timeout": 90,
    "pool": "small",
    "pool_slots": 2,
    "queue": "default",
    "priority_weight": 5,
    "run_in": "kubernetes",
    "docker": {"image": "shop"},
    "kubernetes": {"image": "shop", "container_resources": {"limits": {"memory": "2Gi"}}},
    "executor_config": {"KubernetesExecutor": {"image": "x"}},
    "on_execute_callback": "shop.calls.execute",
    "on_success_callback": "shop.calls.success",
    "on_retry_callback": "shop.calls.retry",
    "on_failure_callback": "shop.calls.failure",
}
"""Each key that a pipeline's section may have, but for `schedule_interval`."""

ACCEPTED: list[dict[str, Any]] = [
    *({key: value} for key, value in SECTION.items()),
    *({key: None} for key in SECTION),
    *({"start_date": date} for date in ("2024-01-31 06:30", "2024-01-31T06:30:00Z", [2024, 1, 31])),
    *({"retry_delay": said} for said in (5, 0.5, 0, "30s", "5m", "1.5 h", "365d")),
    {"retention": "forever"},
    *({"execution_timeout": said} for said in (0.1, 525_600, "0.5s", "10 m")),
    *({"retry_exponential_backoff": said} for said in (False, 0, 3, 1.5)),
    *({"schedule": said} for said in ("@daily", "0 0 * * 1#2", "None", "whatever Airflow takes")),
    {"schedule_interval": "@once"},
    {"schedule": {"cron": "0 6 * * 1"}},
    {"schedule": {"cron": "0 6 * * 1", "timezone": "Europe/Zurich"}},
    {"schedule": {"assets": "parts"}},
    {"schedule": {"assets": ["parts", "s3://lake/rates"]}},
    {"schedule": {"assets": {"any": ["parts", {"all": ["x://a", "x://b"]}]}}},
    {"schedule": {"timetable": "shop.times.Every", "arguments": {"hours": 3}}},
    *({"grouping": g} for g in ("memory", "node", "namespace", "tag", "pipeline")),
    {"grouping": [["train"], ["report"]]},
    {"email": "us@example.com"},
    {"nodes": {"train": None}},
]
"""Sections of the pipeline data_science that are right."""


def wrong(raw: object) -> list[str]:
    """All that is said of a file."""
    shop = Structure("shop", "Shop", "", PIPELINES, LASTING, settings=raw, settings_file=SOURCE)
    return wrong_settings(shop)


def settings(raw: object, pipeline: str = "p") -> Said:
    """The settings of a pipeline."""
    return for_pipeline(read(raw)[0], pipeline)


def arguments(section: dict[str, Any], *nodes: Node) -> dict[str, Any]:
    """The arguments of a task of the pipeline `p`, whose section is given."""
    return for_task(settings({"p": section}), nodes or (REPORT,))
