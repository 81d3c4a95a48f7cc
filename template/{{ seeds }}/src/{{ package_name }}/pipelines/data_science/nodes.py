"""Nodes that train a classifier of species and put it to the test."""

from typing import Any

import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler


def split_penguins(
    penguins: pd.DataFrame, features: list[str], test_share: float, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series, pd.Series]:
    """Set a share of the birds aside for the test, the same share of each species.

    Args:
        penguins: One row a bird, without gaps.
        features: The columns to tell the species from.
        test_share: The part of the birds to set aside, between 0 and 1.
        seed: The same seed sets the same birds aside.

    Returns:
        Train features, test features (one row a bird, one column a feature, in mm or g), train
        species, test species (one word a bird). All four have ``bird_id`` as their index.
    """
    birds = penguins.set_index("bird_id")
    train, test = train_test_split(
        birds, test_size=test_share, random_state=seed, stratify=birds["species"]
    )
    return train[features], test[features], train["species"], test["species"]


def train_classifier(train_features: pd.DataFrame, train_species: pd.Series, seed: int) -> Pipeline:
    """Fit a logistic regression on features of equal scale.

    Args:
        train_features: One row a bird, one column a feature (mm or g).
        train_species: The species of the same birds.
        seed: For the classifier's random numbers.

    Returns:
        The fitted scaler and classifier, as one scikit-learn pipeline.
    """
    # This solver draws no random numbers; the seed is there for the classifier you try next.
    model = make_pipeline(StandardScaler(), LogisticRegression(random_state=seed))
    return model.fit(train_features, train_species)


def evaluate_classifier(
    model: Pipeline, test_features: pd.DataFrame, test_species: pd.Series
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Compare what the model says of the test birds with what they are.

    Args:
        model: A fitted classifier.
        test_features: One row a bird, one column a feature (mm or g), indexed by ``bird_id``.
        test_species: The true species of the same birds.

    Returns:
        The metrics (the features used, the number of test birds and of mistakes, the accuracy, and
        the recall of each species, both between 0 and 1), and the predictions: one row a bird with
        ``bird_id``, the features, ``species`` and ``predicted_species``.
    """
    predictions = test_features.assign(
        species=test_species, predicted_species=model.predict(test_features)
    ).reset_index()
    correct = predictions["species"] == predictions["predicted_species"]
    recall = correct.groupby(predictions["species"]).mean()
    metrics = {
        "features": list(test_features.columns),
        "test_birds": len(predictions),
        "mistakes": int((~correct).sum()),
        "accuracy": round(float(correct.mean()), 4),
        "recall": {species: round(float(share), 4) for species, share in recall.items()},
    }
    return metrics, predictions
