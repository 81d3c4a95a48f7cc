"""Nodes that draw the result."""

from itertools import cycle
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

# Not pyplot: it keeps a list of open figures and may ask for a window, neither of which a worker
# process should do.
from matplotlib.figure import Figure

# From the palette of Okabe and Ito, which colour-blind people can tell apart.
STYLES = [("#E69F00", "o"), ("#CC79A7", "^"), ("#0072B2", "s")]
INK = "#222222"
GRID = "#E4E4E4"


def plot_penguins(
    penguins: pd.DataFrame, predictions: pd.DataFrame, metrics: dict[str, Any]
) -> Figure:
    """Draw all birds by their first two features, and the confusion matrix of the test birds.

    Args:
        penguins: One row a bird, without gaps (mm and g).
        predictions: One row a test bird: its features, ``species``, ``predicted_species``.
        metrics: What the evaluation reports; ``features``, ``accuracy`` and ``recall`` are drawn.

    Returns:
        A figure of 11 by 5.2 inches with two panels.
    """
    figure = Figure(figsize=(11, 5.2), facecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12, wspace=0.04)
    left, right = figure.subplots(1, 2, width_ratios=[1.3, 1])
    _draw_birds(left, penguins, predictions, metrics["features"])
    _draw_confusion(right, predictions, metrics["recall"])
    names = [_label(name, unit=False) for name in metrics["features"]]
    features = " and ".join(names) if len(names) == 2 else f"{len(names)} measurements"
    figure.suptitle(
        f"Penguin species from {features}: {metrics['accuracy']:.1%} of "
        f"{len(predictions)} test birds correct",
        fontsize=14,
        fontweight="bold",
        color=INK,
    )
    return figure


def _draw_birds(
    axes: Axes, penguins: pd.DataFrame, predictions: pd.DataFrame, features: list[str]
) -> None:
    """Scatter all birds, training birds pale, and ring the test birds that were mistaken."""
    x, y = features[:2]
    tested = penguins["bird_id"].isin(predictions["bird_id"])
    for (species, birds), (colour, marker) in zip(penguins.groupby("species"), cycle(STYLES)):
        look: dict[str, Any] = {"color": colour, "marker": marker, "s": 38, "linewidths": 0}
        train, test = birds[~tested[birds.index]], birds[tested[birds.index]]
        axes.scatter(train[x], train[y], alpha=0.3, **look)
        axes.scatter(test[x], test[y], label=species, zorder=3, **look)
    wrong = predictions[predictions["species"] != predictions["predicted_species"]]
    axes.scatter(
        wrong[x],
        wrong[y],
        s=150,
        facecolors="none",
        edgecolors=INK,
        linewidths=1.6,
        zorder=4,
        label="mistaken",
    )
    axes.set_title("Test birds in full colour, training birds pale", fontsize=11, color=INK)
    axes.set_xlabel(_label(x).capitalize())
    axes.set_ylabel(_label(y).capitalize())
    axes.grid(color=GRID)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="best", frameon=True, framealpha=0.9, edgecolor=GRID)


def _draw_confusion(axes: Axes, predictions: pd.DataFrame, recall: dict[str, float]) -> None:
    """Show how many test birds of each species (rows) were taken for which (columns)."""
    species = sorted(recall)
    counts = pd.crosstab(predictions["species"], predictions["predicted_species"]).reindex(
        index=species, columns=species, fill_value=0
    )
    axes.imshow(counts, cmap="Blues", vmin=0)
    for row, values in enumerate(counts.to_numpy()):
        for column, count in enumerate(values):
            dark = count > counts.to_numpy().max() / 2
            axes.text(
                column,
                row,
                str(count),
                ha="center",
                va="center",
                fontsize=16,
                color="white" if dark else INK,
            )
    axes.set_title("Number of test birds", fontsize=11, color=INK)
    axes.set_xticks(range(len(species)), species)
    axes.set_yticks(
        range(len(species)), [f"{name}\n({recall[name]:.0%} found)" for name in species]
    )
    axes.set_xlabel("Predicted species")
    axes.set_ylabel("True species", labelpad=10)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _label(column: str, unit: bool = True) -> str:
    """Turn ``bill_length_mm`` into ``bill length (mm)``, or ``bill length`` without its unit."""
    name, _, suffix = column.replace("_", " ").rpartition(" ")
    return f"{name} ({suffix})" if unit else name
