"""What the project's own Kedro hooks make of its configuration and its catalog."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from kedro_astro.reading.entry import entry_of


class Hooks:
    """The hooks in the `HOOKS` of the project's settings.

    Those of plugins are not asked: they talk to servers, and keep records of runs.

    Args:
        project: the folder that holds `pyproject.toml`.
        env: the Kedro environment, or None.
        loader: of the project's configuration.
    """

    def __init__(self, project: Path, env: str | None, loader: Any) -> None:
        from kedro.framework.hooks.manager import _create_hook_manager, _register_hooks
        from kedro.framework.project import settings

        self.manager = _create_hook_manager()
        _register_hooks(self.manager, settings.HOOKS)
        self.project, self.env, self.loader = project, env, loader

    @cached_property
    def context(self) -> Any:
        """The context that hooks have seen: one may register resolvers when it is created.

        Raises:
            Exception: whatever a hook raises.
        """
        from kedro.framework.project import PACKAGE_NAME, settings

        context = settings.CONTEXT_CLASS(
            project_path=self.project,
            config_loader=self.loader,
            env=self.env,
            package_name=PACKAGE_NAME,
            hook_manager=self.manager,
        )
        self.manager.hook.after_context_created(context=context)
        return context

    def put(self, resolver: Any) -> dict[str, Mapping[str, Any]]:
        """Return the entries of what hooks put into the catalog when Kedro has made it, by name.

        Args:
            resolver: of the catalog's entries; a hook may add patterns to it.

        Raises:
            Exception: whatever a hook raises.
        """
        from kedro.framework.project import settings

        if not self.manager.hook.after_catalog_created.get_hookimpls():
            return {}

        class Catalog(settings.DATA_CATALOG_CLASS):  # type: ignore[name-defined]
            @classmethod
            def from_config(cls, **_: Any) -> "Catalog":
                return cls(config_resolver=resolver)

        put = self.context._get_catalog(catalog_class=Catalog)._datasets
        return {name: entry_of(dataset) for name, dataset in put.items()}
