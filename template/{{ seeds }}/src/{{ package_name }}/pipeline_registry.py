"""The pipelines that ``kedro run --pipeline`` knows by name."""

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline


def register_pipelines() -> dict[str, Pipeline]:
    """Collect every pipeline in the ``pipelines`` folder.

    Returns:
        The pipelines by the name of their folder, and all of them together as ``__default__``.
    """
    pipelines = find_pipelines(raise_errors=True)
    pipelines["__default__"] = sum(pipelines.values(), start=Pipeline([]))
    return pipelines
