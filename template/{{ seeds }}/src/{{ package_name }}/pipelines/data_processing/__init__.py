"""From the published records to a table of complete birds."""

from .pipeline import create_pipeline

__all__ = ["create_pipeline"]
