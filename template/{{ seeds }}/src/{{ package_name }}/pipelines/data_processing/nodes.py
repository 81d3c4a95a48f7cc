"""Nodes that clean the published records and sum them up."""

import pandas as pd

MEASUREMENTS = {
    "Culmen Length (mm)": "bill_length_mm",
    "Culmen Depth (mm)": "bill_depth_mm",
    "Flipper Length (mm)": "flipper_length_mm",
    "Body Mass (g)": "body_mass_g",
}


def select_measurements(penguins_raw: pd.DataFrame) -> pd.DataFrame:
    """Keep who a bird is and how large it is, under names that are easy to type.

    Args:
        penguins_raw: The records as published, one row a bird, 17 columns.

    Returns:
        As many rows, 8 columns: ``bird_id``, ``species`` (one word), ``island``, ``sex`` (lower
        case), bill length, bill depth and flipper length in mm, body mass in g.
    """
    who = pd.DataFrame(
        {
            # The same ID can be another bird, even of another species, in another season.
            "bird_id": penguins_raw["studyName"] + "-" + penguins_raw["Individual ID"],
            "species": penguins_raw["Species"].str.split().str[0],
            "island": penguins_raw["Island"],
            "sex": penguins_raw["Sex"].str.lower(),
        }
    )
    return who.join(penguins_raw[list(MEASUREMENTS)].rename(columns=MEASUREMENTS))


def drop_incomplete(measurements: pd.DataFrame) -> pd.DataFrame:
    """Leave out the birds with a gap in their row.

    Args:
        measurements: One row a bird, missing values as NaN.

    Returns:
        The complete rows, numbered from 0, with the same columns.
    """
    return measurements.dropna().reset_index(drop=True)


def summarise_species(penguins: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Count the birds of each species and average their measurements.

    Args:
        penguins: One row a bird, without gaps.

    Returns:
        For each species the number of ``birds`` and the mean of each measurement (mm or g, to two
        decimals), in plain Python numbers that JSON can hold.
    """
    return {
        species: {
            "birds": len(birds),
            **{
                f"mean_{name}": round(float(birds[name].mean()), 2)
                for name in MEASUREMENTS.values()
            },
        }
        for species, birds in penguins.groupby("species")
    }
