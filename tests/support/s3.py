"""An S3 server on this machine, which wants keys and refuses wrong ones."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import s3fs
from scaffold import free_port

RCLONE = Path(sys.executable).with_name("rclone")


@dataclass
class Store:
    """An S3 server, which can be stopped and started again.

    Attributes:
        url: its endpoint.
        folder: each folder in it is a bucket, each file below an object.
        key, secret: what it wants to be shown.
        process: of the server while it runs.
        alone: whether the folder changes by way of the server only.
    """

    url: str
    folder: Path
    key: str
    secret: str
    process: subprocess.Popen[str] | None = None
    alone: bool = False

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def start(self) -> None:
        """Serve the folder."""
        command = [RCLONE, "serve", "s3", "--addr", f"127.0.0.1:{self.port}"]
        # Where it looks into a folder each time, requests at once may lock each other out for ever.
        command += ["--dir-cache-time", "24h" if self.alone else "1s"]
        command += ["--auth-key", f"{self.key},{self.secret}"]
        command += ["--config", "/dev/null", self.folder]
        self.process = subprocess.Popen(
            [str(part) for part in command], stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr
        said = self.process.stderr.readline()
        assert "Starting s3 server" in said, said
        # A pipe that nobody reads would be full one day.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def stop(self) -> None:
        """Kill the server; its port is free then."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    @property
    def env(self) -> dict[str, str]:
        """What a process needs in its environment for s3fs and boto to use it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "us-east-1",
            **CHECKSUMS,
        }

    def connection(self, conn_id: str) -> dict[str, str]:
        """Return what Airflow's API takes to make a connection of it."""
        extra = {"endpoint_url": self.url, "region_name": "us-east-1"}
        said = {"conn_type": "aws", "login": self.key, "password": self.secret}
        return {"connection_id": conn_id, **said, "extra": json.dumps(extra)}

    def files(self) -> Any:
        """Return the file system that s3fs makes of it."""
        return s3fs.S3FileSystem(
            key=self.key, secret=self.secret, endpoint_url=self.url, skip_instance_cache=True
        )


CHECKSUMS = {
    "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
    "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
}
"""rclone knows no other checksums than MD5."""


@contextmanager
def serving(folder: Path, *buckets: str, port: int = 0, alone: bool = False) -> Iterator[Store]:
    """Serve the folder as an object store until the block ends.

    Args:
        folder: is made if need be.
        buckets: names of those that are there from the start.
        port: any free one if 0.
        alone: as in `Store`.
    """
    for bucket in buckets:
        (folder / bucket).mkdir(parents=True, exist_ok=True)
    address = f"http://127.0.0.1:{port or free_port()}"
    store = Store(address, folder, "kedro-astro-tests", secrets.token_hex(16), alone=alone)
    try:
        store.start()
        yield store
    finally:
        store.stop()
