"""Tell the species of a penguin from a few measurements."""

from .pipeline import create_pipeline

__all__ = ["create_pipeline"]
