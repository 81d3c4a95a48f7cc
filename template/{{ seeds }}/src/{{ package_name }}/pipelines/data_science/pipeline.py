"""The pipeline that learns to tell penguins apart."""

from kedro.pipeline import Pipeline, node, pipeline

from .nodes import evaluate_classifier, split_penguins, train_classifier


def create_pipeline(**kwargs: object) -> Pipeline:
    """From ``penguins`` to a model, its metrics and its predictions.

    The namespace goes in front of every name that is only of use in here: the node is called
    ``data_science.train_classifier``, its dataset ``data_science.model``, its parameter
    ``data_science.seed``. What other pipelines read keeps its plain name.
    """
    return pipeline(
        [
            node(
                split_penguins,
                inputs=["penguins", "params:features", "params:test_share", "params:seed"],
                outputs=["train_features", "test_features", "train_species", "test_species"],
                name="split_penguins",
            ),
            node(
                train_classifier,
                inputs=["train_features", "train_species", "params:seed"],
                outputs="model",
                name="train_classifier",
            ),
            node(
                evaluate_classifier,
                inputs=["model", "test_features", "test_species"],
                outputs=["metrics", "predictions"],
                name="evaluate_classifier",
            ),
        ],
        namespace="data_science",
        inputs={"penguins"},
        outputs={"metrics", "predictions"},
    )
