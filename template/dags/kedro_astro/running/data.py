"""The data of one session: where they are, what is said when they cannot be had, and how those that
a DAG run alone needed are removed."""

import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from functools import partial
from glob import has_magic
from pathlib import Path, PurePosixPath
from typing import Any

from kedro_astro.errors import not_had
from kedro_astro.planning.ids import of_same_dag
from kedro_astro.reading.entry import entry_of, location, placed
from kedro_astro.running.protocol import Session
from kedro_astro.structure import RUN_PARAMETER, on_a_disk

STORES = ("botocore", "aiobotocore", "aiohttp", "gcsfs", "google", "azure")
"""Whose errors say, as the system's do, that a place cannot be reached."""


class Data:
    """What a session loads and saves, by the names that only its catalog knows.

    Attributes:
        saved: where each dataset is that was saved: path or URL without credentials, or None.
    """

    def __init__(self, wanted: Session) -> None:
        self.saved: dict[str, str | None] = {}
        self._wanted = wanted
        self._run = str(wanted.runtime_params.get(RUN_PARAMETER, ""))

    def watch(self, catalog: Any) -> None:
        """Have a catalog say which of its datasets it could not load or save, and why."""
        from fsspec.config import conf

        # A store that never answers is to end a task in half a minute. Left alone, s3fs asks it
        # five times, botocore each time five times, and each waits for 15 seconds.
        theirs = os.environ.keys() & {"AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE"}
        tries = {} if theirs else {"retries": {"mode": "standard", "total_max_attempts": 2}}
        conf.setdefault("s3", {}).setdefault("config_kwargs", {"read_timeout": 5, **tries})
        catalog.load = partial(self._do, "loaded", catalog.load, catalog)
        catalog.save = partial(self._do, "saved", catalog.save, catalog)

    def clean_up(self, catalog: Any) -> None:
        """Remove what this DAG run saved in folders of its own, and what others left long ago.

        Raises:
            DatasetError: if a store does not let it.
        """
        for name in self._wanted.removes:
            self._do("removed", partial(self._remove, catalog), catalog, name)

    def _do(self, done: str, do: Callable[..., Any], catalog: Any, *args: Any, **named: Any) -> Any:
        from kedro.io.core import DatasetError, VersionNotFoundError

        # Here it is imported if any dataset needs it.
        if (s3 := getattr(sys.modules.get("s3fs"), "S3FileSystem", None)) and s3.retries == 5:
            s3.retries = 2
        name = [*args, *named.values()][0]
        where = location(entry_of(catalog.get(name)), Path(self._wanted.project))
        try:
            result = do(*args, **named)
        except Exception as error:
            cause: BaseException = error
            while isinstance(cause, DatasetError) and cause.__cause__:
                cause = cause.__cause__
            missing = isinstance(cause, FileNotFoundError | VersionNotFoundError)
            of_a_store = type(cause).__module__.partition(".")[0] in STORES
            if not (missing or of_a_store or isinstance(cause, OSError) or done == "removed"):
                raise
            own = missing and bool(self._run) and self._run in (where or "")
            raise DatasetError(not_had(name, where, done, cause, own, on_a_disk(where))) from None
        if done == "saved":
            self.saved[name] = where
        return result

    def _remove(self, catalog: Any, name: str) -> None:
        """Remove the folder or file that has this run's name in its own, which no other run of any
        DAG has; and what stands beside it and differs only in which run of the DAG it is of."""
        from fsspec.core import url_to_fs

        path, entry = placed(entry_of(catalog.get(name)))
        options = {**(entry.get("fs_args") or {}), **(entry.get("credentials") or {})}
        options = {key: each for key, each in options.items() if not key.startswith("open_args")}
        files, path = url_to_fs(path, **options)
        files.invalidate_cache()
        place = PurePosixPath(path)
        for folder in [p for p in (place, *place.parents) if self._run in p.name][-1:]:
            if has_magic(str(folder)) and "file" not in files.protocol:
                raise OSError("it has a * ? or [ in its path, which is a pattern there")
            with suppress(FileNotFoundError):
                files.rm(str(folder), recursive=True)
            self._remove_older(files, folder)

    def _remove_older(self, files: Any, folder: PurePosixPath) -> None:
        if self._wanted.retention is None:
            return
        limit = datetime.now(timezone.utc) - timedelta(seconds=self._wanted.retention)
        before, after = map(re.escape, folder.name.split(self._run, 1))
        for other in files.ls(str(folder.parent), detail=False):
            if re.fullmatch(before + of_same_dag(self._run) + after, PurePosixPath(other).name):
                # Another run may remove it, too.
                with suppress(FileNotFoundError):
                    if max(map(files.modified, files.find(other)), default=limit) < limit:
                        files.rm(other, recursive=True)
