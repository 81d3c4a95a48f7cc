"""The pipeline that cleans the penguins."""

from kedro.pipeline import Pipeline, node, pipeline

from .nodes import drop_incomplete, select_measurements, summarise_species


def create_pipeline(**kwargs: object) -> Pipeline:
    """From ``penguins_raw`` to ``penguins`` and ``species_summary``."""
    return pipeline(
        [
            node(
                select_measurements,
                inputs="penguins_raw",
                outputs="measurements",
                name="select_measurements",
            ),
            node(
                drop_incomplete,
                inputs="measurements",
                outputs="penguins",
                name="drop_incomplete",
            ),
            node(
                summarise_species,
                inputs="penguins",
                outputs="species_summary",
                name="summarise_species",
            ),
        ]
    )
