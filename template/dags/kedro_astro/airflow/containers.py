"""What the operators of tasks in containers share: a Kedro session goes in, and is heard."""

import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from kedro_astro.airflow import sdk
from kedro_astro.airflow.operators import KedroTask
from kedro_astro.airflow.sdk import AirflowFailException, AirflowSkipException, Context
from kedro_astro.errors import ContainerError, SessionError
from kedro_astro.project import IN_DAGS
from kedro_astro.running.container import variables
from kedro_astro.running.protocol import Listener

PASSED_ON = ("KEDRO_ENV", "KEDRO_DATA_ROOT")
"""Variables of the worker that a container gets as well."""

COMMAND = ["python", *(["dags/kedro_astro"] if IN_DAGS else ["-m", "kedro_astro"]), "contain", "20"]
"""What a container runs, in the project's folder: INFO and above is logged."""


class InContainer(KedroTask):
    """A task whose session runs in a container of Airflow's own operator.

    Attributes:
        listener: hears what the container writes.
    """

    listener: Listener

    def contained(self, context: Context, do: Callable[..., Any], *more: Any) -> dict[str, Any]:
        """Run a session, and return what it saved.

        Args:
            context: Airflow's.
            do, more: the operator's own method that runs the container or waits for it, and what
                it takes beside the context.

        Raises:
            SessionError: if it fails, with the reason; what the container wrote is in the log.
        """
        session = self.session(context)
        self.listener = Listener(sdk.mask_secret)
        self.add(variables(session) | {k: os.environ[k] for k in PASSED_ON if k in os.environ})
        try:
            do(context, *more)
        except (AirflowFailException, AirflowSkipException):
            raise
        except Exception as error:
            logging.getLogger(__name__).debug("The operator's own error:", exc_info=True)
            raise SessionError(self.listener.ended or self.failed(error)) from None
        if self.listener.ended != "":
            raise SessionError(self.listener.ended or self.failed("it did not say how it ended"))
        # A second try may go on with the pod of the first, which saves under that try's version.
        ran = replace(session, run_id=self.listener.run_id or session.run_id)
        return self.done(ran, self.listener.saved)

    def add(self, variables: Mapping[str, str]) -> None:
        """Give the container environment variables more."""
        raise NotImplementedError

    def failed(self, error: object) -> str:
        """Return what to say of a container that did not say itself how it ended."""
        said = str(getattr(error, "explanation", None) or error)
        # What Kubernetes' API answers is in its body, below all headers.
        if (body := str(getattr(error, "body", ""))).startswith("{"):
            said = json.loads(body).get("message", said)
        place, image = self.made_of[2]["run_in"], getattr(self, "image", None)
        why = " ".join(said.split())[:1000].rstrip(".")
        return str(ContainerError(place=place, image=image, why=why))
