"""Show where the classifier is right and where it is wrong."""

from .pipeline import create_pipeline

__all__ = ["create_pipeline"]
