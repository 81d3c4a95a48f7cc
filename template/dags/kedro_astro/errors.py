"""What can go wrong, each with the sentence a user reads: what, where, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class KedroAstroError(Exception):
    """Base of all errors of kedro-astro that a user can cause and mend."""


class BrokenProjectError(KedroAstroError):
    """Some or all pipelines of the project could not be read.

    Args:
        problems: what is wrong, one text each, with the place where it is.
        kept: how many DAGs stay in place meanwhile.
    """

    def __init__(self, problems: Sequence[str], kept: int) -> None:
        meanwhile = (
            f"The {kept} DAGs that could be read, now or before, stay."
            if kept
            else "Until then this project has no DAGs."
        )
        super().__init__(
            "Kedro could not read this project's pipelines.\n"
            + "\n".join(problems)
            + "\nMend it and save: Airflow looks again by itself, and this message goes. "
            f"`kedro registry list` shows the same error with its traceback. {meanwhile}"
        )


class ManifestError(KedroAstroError):
    """The compiled manifest that `KEDRO_ASTRO_MANIFEST` names cannot be used.

    Args:
        path: the file.
        reason: what is wrong with it.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"The compiled manifest {path} cannot be used: {reason}. "
            "Run `kedro astro compile` where the image is built, or unset "
            "KEDRO_ASTRO_MANIFEST to have the project itself read."
        )


class StandaloneError(KedroAstroError):
    """The local Airflow could not be started, reached or driven."""
