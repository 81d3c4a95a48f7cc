"""The nodes of one task, run in one Kedro session. Kedro is imported here, Airflow never."""

import logging
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from inspect import signature
from pathlib import Path
from typing import Any
from unittest.mock import patch

from kedro_astro.errors import ParameterError
from kedro_astro.project import kedro_env, own_modules, prepare_kedro
from kedro_astro.running.data import Data
from kedro_astro.running.protocol import Session, Speaker
from kedro_astro.structure import PIPELINE_HOOKS


def run(wanted: Session, mask: Callable[[str], None]) -> dict[str, str | None]:
    """Run some nodes of a registered pipeline in this process.

    Args:
        wanted: what to run.
        mask: is called with each of the project's credentials before anything uses them.

    Returns:
        Where each dataset is that was saved: path or URL without credentials, or None.

    Raises:
        Exception: whatever the project raises. A `DatasetError` that the system or a store is the
            reason for says which dataset it is, and what to do.
    """
    prepare_kedro()
    from kedro.framework.project import pipelines
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project
    from kedro.runner import SequentialRunner

    class NoRunner(SequentialRunner):
        def run(self, pipeline: Any, catalog: Any, *_: Any, **__: Any) -> dict[str, Any]:
            data.clean_up(catalog)
            return {}

    project = Path(wanted.project)
    data = Data(wanted)
    _request(wanted, pipelines, bootstrap_project(project).source_dir)
    # `create` would make the version, and ask git for the commit.
    session = KedroSession(wanted.run_id, project_path=project, save_on_close=True)
    said = {"runtime_params": dict(wanted.runtime_params), "env": kedro_env(project)}
    session._store.update(said | {"project_path": project, "session_id": wanted.run_id})
    # Kedro has no public way to the hooks of a session.
    manager = session._hook_manager
    manager.register(_hooks(cache(mask), wanted.credentials, data))
    for name in {*PIPELINE_HOOKS}.difference(wanted.hooks):
        setattr(manager.hook, name, manager.subset_hook_caller(name, manager.get_plugins()))
    # The first versions of Kedro 1 take one name.
    several = "pipeline_names" in signature(session.run).parameters
    named = {"pipeline_names": [wanted.pipeline]} if several else {"pipeline_name": wanted.pipeline}
    with session:
        session.run(
            **named,
            node_names=list(wanted.nodes) or None,
            runner=SequentialRunner() if wanted.nodes else NoRunner(),
            load_versions=dict(wanted.load_versions),
        )
    return data.saved


def _request(wanted: Session, pipelines: Any, source: Path) -> None:
    """Have Kedro look for the nodes as `kedro run --pipeline` does: it then imports the folder that
    is called like the pipeline and no other. Before 1.5 it imports all.

    If it does not find them, as for a pipeline that is no folder, it imports all of it anew.
    """
    request = getattr(pipelines, "set_requested", lambda pipeline_names: None)
    request([wanted.pipeline])
    # Kedro's own warnings alone are kept back: filters are for your modules to set.
    with suppress(Exception, SystemExit), patch("kedro.framework.project.warnings"):
        if {node.name for node in pipelines[wanted.pipeline].nodes}.issuperset(wanted.nodes):
            return
    for name in own_modules(source):
        del sys.modules[name]
    request(None)
    pipelines.set_requested = lambda pipeline_names: None  # The session would ask once more.


def _hooks(mask: Callable[[str], None], given: Mapping[str, Any], data: Data) -> object:
    """Return Kedro hooks that show the project's secrets to `mask` and the catalog to `data`, put
    the credentials that are given over those in files, and have the run's parameters taken as they
    are."""
    from kedro.config import MissingConfigException, OmegaConfigLoader
    from kedro.framework.hooks import hook_impl

    def tell(value: Any) -> None:
        if not isinstance(value, bool | None):
            mask(str(value))

    def look(context: Any) -> None:
        there = given
        with suppress(MissingConfigException, KeyError):
            there = {**context.config_loader["credentials"], **given}
        if given:
            context.config_loader["credentials"] = there
        _mapped(there, tell)

    class Hooks:
        @hook_impl(hookwrapper=True)
        def after_context_created(self, context: Any) -> Iterator[None]:
            if isinstance(loader := context.config_loader, OmegaConfigLoader):
                loader.runtime_params = _mapped(loader.runtime_params, _literal)
            look(context)
            yield
            # The project's own hooks may have brought more.
            look(context)

        @hook_impl(tryfirst=True)
        def after_catalog_created(self, catalog: Any, conf_creds: Any) -> None:
            _mapped(conf_creds, tell)
            data.watch(catalog)

    return Hooks()


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return nested data with each value in it changed."""
    if isinstance(value, Mapping):
        return {key: _mapped(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(item, change) for item in value]
    return change(value)


def _literal(value: Any) -> Any:
    """Return a value that OmegaConf resolves to what it is now: `${` means nothing in it.

    Raises:
        ParameterError: if it is `???`, for which OmegaConf has no other meaning.
    """
    if value == "???":
        raise ParameterError
    # A backslash takes its meaning away, and means itself if there are two.
    return re.sub(r"(\\*)(\$\{)", r"\1\1\\\2", value) if isinstance(value, str) else value


def main(level: str, output: str = "") -> None:
    """Be a process of a session's own: `python -m kedro_astro run LEVEL [private]`.

    The session's JSON is the first line of standard input. A `Speaker` says on standard output what
    the session logs and how it ends. The process ends when its standard input does: then nobody is
    left who could end it.

    Args:
        level: number of the least level of what is logged.
        output: `private` if the process that started this one is all that reads its output. Then
            the project's secrets are said there, to be masked. Whatever else reads it may keep it,
            as a container's log is kept, and is never told a secret. A place of that kind has to
            mask them here, before anything is written.

    Raises:
        SystemExit: with status 1, if the session fails.
    """
    # The nodes find standard input empty, and nothing that they start holds it open.
    received = os.fdopen(os.dup(0), "rb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    session = Session.from_json(received.readline())
    threading.Thread(target=lambda: received.read() or os._exit(1), daemon=True).start()
    speaker = Speaker(int(level))
    try:
        saved = run(session, lambda s: speaker.say(mask=s) if output == "private" else None)
    except BaseException as error:
        # Not by a logger: the nodes may have changed what becomes of it.
        said = "The nodes of this task have failed:"
        record = logging.LogRecord(__name__, logging.ERROR, __file__, 0, said, (), sys.exc_info())
        speaker.emit(record)
        speaker.say(ended=f"{type(error).__name__}: {error}", saved={})
        raise SystemExit(1) from None
    speaker.say(ended="", saved=saved)
