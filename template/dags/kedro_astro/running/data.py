"""The data of one session: where they are, what is said when they cannot be had, and how those that
a DAG run alone needed are removed."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from kedro_astro.errors import DataError
from kedro_astro.project import DATA_ROOT, kedro_env
from kedro_astro.reading.catalog import entry_of, location, wrapped
from kedro_astro.running.session import Session
from kedro_astro.structure import RUN_PARAMETER

STORES = ("botocore", "aiobotocore", "aiohttp", "gcsfs", "google", "azure")
"""Whose errors, like the system's, say that a place cannot be reached: no traceback says more."""


class Data:
    """What a session loads and saves, by the names that only its catalog knows.

    Attributes:
        saved: where each dataset is that was saved: path or URL without credentials, or None.
        failed: the error of a dataset, and what is to be said of it.
    """

    def __init__(self, wanted: Session) -> None:
        self.saved: dict[str, str | None] = {}
        self.failed: tuple[Exception, DataError] | None = None
        self._project = Path(wanted.project)
        self._run = str(wanted.runtime_params.get(RUN_PARAMETER, ""))
        from fsspec.config import conf

        # A store that does not answer is to end a task in half a minute. Left alone, s3fs tries five
        # times, and each time botocore five times, for 15 seconds.
        says = os.environ.keys() & {"AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE"}
        tries = {} if says else {"retries": {"mode": "standard", "total_max_attempts": 2}}
        conf.setdefault("s3", {}).setdefault("config_kwargs", {"read_timeout": 6, **tries})

    def watch(self, catalog: Any) -> None:
        """Have a catalog say which of its datasets it could not load, save or confirm."""
        for verb, done in {"load": "loaded", "save": "saved", "confirm": "confirmed"}.items():
            setattr(catalog, verb, partial(self._do, getattr(catalog, verb), catalog, done))

    def _do(self, do: Callable[..., Any], catalog: Any, done: str, *args: Any, **named: Any) -> Any:
        name = [*args, *named.values()][0]
        # Where it is loaded: a dataset of S3 has loaded it.
        if (files := getattr(sys.modules.get("s3fs"), "S3FileSystem", None)) and files.retries == 5:
            files.retries = 2
        try:
            result = do(*args, **named)
        except Exception as error:
            self._tell(error, name, location(entry_of(catalog.get(name)), self._project), done)
            raise
        if done == "saved":
            self.saved[name] = location(entry_of(catalog.get(name)), self._project)
        return result

    def _tell(self, error: Exception, name: str, place: str | None, done: str) -> None:
        from kedro.io.core import DatasetError

        cause: BaseException = error
        while isinstance(cause, DatasetError) and cause.__cause__:
            cause = cause.__cause__
        conf = f"conf/{kedro_env(self._project) or 'base'}"
        where = f"`data_root` in {conf}/globals.yml, {DATA_ROOT}, or its path in the catalog"
        of_library = type(cause).__module__.partition(".")[0] in STORES
        if done == "loaded" and self._run and self._run in (place or ""):
            what = "It is of this run alone, and is removed when the run has succeeded. Clear the"
            next_ = f"{what} task that saves it too (with Upstream), or say `retention: forever`"
            next_ = f"{next_} in airflow.yml for the runs to come."
        elif isinstance(cause, FileNotFoundError | DatasetError):
            next_ = f"Put it there, or correct the place: {where}."
        elif isinstance(cause, PermissionError) or "Credentials" in type(cause).__name__:
            keys = f"{conf}/credentials.yml, the environment (AWS_ACCESS_KEY_ID, say), or a role"
            next_ = f"Let this task read and write there, and give it the keys: {keys}."
        else:
            next_ = f"Is that place reachable from here, and right: {where}; AWS_ENDPOINT_URL?"
        said = DataError(name, place, done, cause, next_)
        said.__cause__ = None if of_library or isinstance(cause, OSError | DatasetError) else error
        said.__suppress_context__ = True
        self.failed = error, said

    def clean_up(self, catalog: Any, wanted: Session) -> None:
        """Remove what this DAG run saved in folders of its own, and what others left long ago.

        A folder or file is removed if this run's name is in its own name, and no other run of any
        DAG has that; of the DAG's other runs what stands beside it and differs in nothing else.
        """
        for name in wanted.removes:
            removed = catalog.get(name)
            try:
                for files, folder in self._folders(removed):
                    for old in self._older(files, folder, wanted.retention):
                        files.rm(old, recursive=True)
                    if files.exists(folder):
                        files.rm(folder, recursive=True)
            except Exception as error:
                self._tell(error, name, location(entry_of(removed), self._project), "removed")
                raise

    def _folders(self, dataset: Any) -> Iterator[tuple[Any, str]]:
        from fsspec.core import url_to_fs

        for part in wrapped(entry_of(dataset)):
            if path := part.get("filepath") or part.get("path"):
                options = {**(part.get("fs_args") or {}), **(part.get("credentials") or {})}
                options = {k: v for k, v in options.items() if not k.startswith("open_args")}
                files, place = url_to_fs(str(path), **options)
                files.invalidate_cache()
                whole = PurePosixPath(place)
                named = [p for p in (whole, *whole.parents) if self._run in p.name]
                yield from ((files, str(each)) for each in named[-1:])
                return

    def _older(self, files: Any, folder: str, retention: float | None) -> Iterator[str]:
        if retention is None:
            return
        place = PurePosixPath(folder)
        _, dag, _ = self._run.rsplit("-", 2)
        before, after = (re.escape(part) for part in place.name.split(self._run, 1))
        run = rf"[\d-]{{10}}T[\d.]{{12}}Z-{dag}-[0-9a-f]{{8}}"
        limit = datetime.now(timezone.utc) - timedelta(seconds=retention)
        for other in files.ls(str(place.parent), detail=False):
            name = PurePosixPath(other).name
            if self._run not in name and re.fullmatch(before + run + after, name):
                times = [files.modified(file) for file in files.find(other)]
                if times and max(times) < limit:
                    yield other
