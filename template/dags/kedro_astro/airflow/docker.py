"""Airflow's Docker operator with a Kedro session in its container."""

from collections.abc import Callable, Mapping
from typing import Any

from airflow.providers.docker.operators.docker import DockerOperator

from kedro_astro.airflow.containers import COMMAND, InContainer
from kedro_astro.airflow.sdk import Context

DEFAULTS = {"auto_remove": "force", "mount_tmp_dir": False, "command": COMMAND}


class KedroDockerOperator(InContainer, DockerOperator):
    """Run the nodes of one task in a container of a Docker engine."""

    def execute(self, context: Context) -> Any:
        """Run it."""
        return self.contained(context, super().execute)

    def add(self, variables: Mapping[str, str]) -> None:
        """Give the container environment variables more."""
        self.environment = {**self.environment, **variables}

    @property
    def log(self) -> Any:
        """A logger that the operator writes the container's lines to, each as an argument."""
        log = super().log
        return _Lines(log, self.listener.take) if hasattr(self, "listener") else log


class _Lines:
    def __init__(self, log: Any, take: Callable[[str], None]) -> None:
        self._log, self._take = log, take

    def info(self, text: str, *args: Any) -> None:
        if text == "%s":
            self._take(str(args[0]))
        else:
            self._log.info(text, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)


def operator(
    names: Mapping[str, str], said: Mapping[str, Any], given: Mapping[str, Any]
) -> KedroDockerOperator:
    """Return a task's operator.

    Args:
        names: what the task is of, as labels.
        said: what `airflow.yml` says of the container.
        given: the arguments of all operators.
    """
    return KedroDockerOperator(**{**DEFAULTS, "labels": dict(names), **said}, **given)
