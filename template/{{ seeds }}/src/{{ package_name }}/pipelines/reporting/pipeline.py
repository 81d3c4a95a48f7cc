"""The pipeline that draws the report."""

from kedro.pipeline import Pipeline, node, pipeline

from .nodes import plot_penguins


def create_pipeline(**kwargs: object) -> Pipeline:
    """From the birds, the predictions and the metrics to ``penguin_plot``."""
    return pipeline(
        [
            node(
                plot_penguins,
                inputs=["penguins", "predictions", "metrics"],
                outputs="penguin_plot",
                name="plot_penguins",
            ),
        ]
    )
