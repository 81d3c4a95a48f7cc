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
    made.project = context.project_path


class _Credentials(dict[str, Any]):
    project: Any

    def __missing__(self, name: str) -> Any:
        from click import ClickException
        from kedro.framework.project import settings

        from kedro_astro.errors import KedroAstroError, OnlyAirflowsError
        from kedro_astro.project import kedro_env
        from kedro_astro.reading.discover import settings_of

        # Airflow's environment, which is mostly not the one of this run, has the file.
        env, conf = kedro_env(self.project), str(self.project / settings.CONF_SOURCE)
        with suppress(KedroAstroError):  # What is wrong with the file, `check` says.
            loader = settings.CONFIG_LOADER_CLASS(conf, env, **settings.CONFIG_LOADER_ARGS)
            said, file = settings_of(loader, self.project, env)
            for keys, conn in leaves(said):
                if keys[1:] == ("credentials", name):
                    raise ClickException(str(OnlyAirflowsError(name=name, conn_id=conn, file=file)))
        raise KeyError(name)
