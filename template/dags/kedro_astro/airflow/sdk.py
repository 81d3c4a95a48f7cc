"""Airflow's own names, from where the version that is here has them: 2.10 to 3.3.

The provider common-compat does that for others. Which of its versions is there the image says, and
those of Airflow 2.10 lack some names.
"""

from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import *  # noqa: F403
    from airflow.sdk.exceptions import *  # noqa: F403
    from airflow.sdk.log import *  # noqa: F403

PLACES = """
airflow.sdk airflow.sdk.exceptions airflow.sdk.log airflow.exceptions airflow.models
airflow.datasets airflow.hooks.base airflow.utils.context airflow.utils.task_group
airflow.utils.dag_parsing_context airflow.utils.log.secrets_masker
""".split()
"""Modules, those that are to be asked first in front: Airflow 3 has old ones that warn."""


def __getattr__(name: str) -> Any:
    # What Python asks of a module, such as `__path__`, this one has not got.
    for place in () if name.startswith("_") else PLACES:
        # What is an asset now was a dataset.
        theirs = name.replace("Asset", "Dataset") if place == "airflow.datasets" else name
        with suppress(ImportError, AttributeError):
            return globals().setdefault(name, getattr(import_module(place), theirs))
    raise AttributeError(name)
