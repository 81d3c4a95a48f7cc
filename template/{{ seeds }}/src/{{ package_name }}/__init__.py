"""Measure penguins, tell their species, and show how well that went."""

__version__ = "0.1.0"
