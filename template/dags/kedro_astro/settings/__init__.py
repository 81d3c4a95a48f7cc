"""What `airflow.yml` may say."""

from kedro_astro.settings.check import problems
from kedro_astro.settings.keys import KEYS
from kedro_astro.settings.use import for_pipeline, for_task, normalise, selected


def read(raw, source):
    return normalise(raw), []


def wrong_names(file, pipelines, source, ids, lasting):
    return problems(file, pipelines, source, ids, lasting)


def must_be(key):
    return {k.name: k.kind.allowed for k in KEYS}.get(key, "")
