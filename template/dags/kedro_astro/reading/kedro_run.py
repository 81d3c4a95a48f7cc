"""What `kedro run` says of credentials that only Airflow has: a plugin of Kedro's, which loads it
in each session of a project that is installed, in those of tasks as well."""

from contextlib import suppress
from typing import Any

from pluggy import HookimplMarker

from kedro_astro.structure import leaves


@HookimplMarker("kedro")(trylast=True)
def after_context_created(context: Any) -> None:
    """Have credentials that are not there say why."""
    from kedro.config import MissingConfigException

    there: dict[str, Any] = {"": {}}  # What is empty, Kedro would not keep.
    with suppress(MissingConfigException, KeyError):
        there.update(context.config_loader["credentials"])
    context.config_loader["credentials"] = made = _Credentials(there)
    made.context = context


class _Credentials(dict[str, Any]):
    context: Any

    def __missing__(self, name: str) -> Any:
        from click import ClickException

        from kedro_astro.errors import KedroAstroError, OnlyAirflowsError
        from kedro_astro.project import kedro_env
        from kedro_astro.reading.discover import settings_of

        project = self.context.project_path
        with suppress(KedroAstroError):  # What is wrong with the file, `check` says.
            said, file = settings_of(self.context.config_loader, project, kedro_env(project))
            for keys, conn_id in leaves(said):
                if keys[1:] == ("credentials", name):
                    why = OnlyAirflowsError(name=name, conn_id=conn_id, file=file)
                    raise ClickException(str(why))
        raise KeyError(name)
