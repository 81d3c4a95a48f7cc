"""What `airflow.yml` names by a dotted path: the user's own functions and timetables."""

import pkgutil
import sys
from typing import Any


def imported(path: str, source: str | None, what: str) -> Any:
    """Return the object at `package.module.name`.

    Args:
        path: where it is.
        source: the folder of the user's packages, for a process that has not loaded them.
        what: the setting that names it, for the error.

    Raises:
        SettingsError: if there is no such module or name.
    """
    if source and source not in sys.path:
        sys.path.insert(0, source)
    try:
        return pkgutil.resolve_name(path)
    except (ImportError, AttributeError) as error:
        from kedro_astro.errors import SettingsError

        said = f"airflow.yml names the {what} {path}, which cannot be imported: {error}."
        raise SettingsError(f"{said} Correct the name there, or add it to your project.") from error


class Callback:
    """A function of the user's, imported only when Airflow calls it.

    Args:
        path: `package.module.function`.
        source: as `imported` takes it.
    """

    # No dataclass: each parse would pay the making of one.
    def __init__(self, path: str, source: str | None = None) -> None:
        self.path, self.source = path, source

    def __repr__(self) -> str:
        return self.path

    def __call__(self, context: Any) -> Any:
        """Call the function with Airflow's context.

        Raises:
            SettingsError: if there is no such module or function.
        """
        return imported(self.path, self.source, "callback")(context)
