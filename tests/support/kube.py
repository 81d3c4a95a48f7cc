"""A Kubernetes of one node on this machine: Debian's, with a Docker engine of its own.

All of it runs in namespaces of its own, so that nothing is left of it once their first process has
ended. Its pods have no network but this machine's.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine import missing as no_engine
from kubernetes.client import ApiException, CoreV1Api
from kubernetes.config import ConfigException, new_client_from_config
from scaffold import free_port, run, succeed
from urllib3.exceptions import HTTPError

BINARIES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet")
NEEDED = ("etcd", "dockerd", "docker", "unshare", "openssl", "catatonit", "conntrack", "socat")
TO_BUILD = ("/usr/lib/go-1.19/bin/go", "rsync", "jq", "make", "dpkg-source")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "kedro-astro/kubernetes")
PAUSE = "kedro-astro/pause"

BUILD = """
set -eu
apt-get source kubernetes
cd kubernetes-*/
export PATH=/usr/lib/go-1.19/bin:$PATH GOPATH=$PWD/.go
export CGO_ENABLED=0 GOPROXY=off GOFLAGS=-mod=vendor GO111MODULE=off
make WHAT="$*"
mkdir -p "$CACHE"
cd _output/local/bin/linux/*/
for each; do cp "${each#cmd/}" "$CACHE"; done
"""
"""Builds what its arguments name from Debian's source package: a quarter of an hour."""

RUNC = """#!/bin/sh
# Only who may do all may spare a process when memory runs out: here nobody is spared.
for each; do
  if [ -f "$each/config.json" ]; then
    sed -i 's/"oomScoreAdj":-[0-9]*/"oomScoreAdj":0/' "$each/config.json"
  fi
done
exec runc "$@"
"""

TUNED = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1000000,
    "kernel/keys/root_maxbytes": 25000000,
}
"""What kubelet wants of the kernel. It finds this, and leaves the machine as it is."""

BEGIN = """
set -eu
for name in $(cd tuned && find . -type f); do
  mount --bind "tuned/$name" "/proc/sys/$name"
done
for folder in /var/lib /var/log; do
  mount -t tmpfs tmpfs $folder
done
keep() {
  while :; do "$@" || sleep 1; done >> "$(basename "$1").log" 2>&1 < /dev/null &
}
"""
"""Begins a script; `keep` starts a component, and starts it again when it ends."""

KUBELET = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "address": "127.0.0.1",
    "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
    "authorization": {"mode": "AlwaysAllow"},
    "cgroupDriver": "cgroupfs",
    "cgroupsPerQOS": False,
    "enforceNodeAllocatable": [],
    "evictionHard": {"memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%"},
    "failSwapOn": False,
    "healthzPort": 0,
    "imageGCHighThresholdPercent": 100,
    "makeIPTablesUtilChains": False,
    "oomScoreAdj": 0,
    "readOnlyPort": 0,
}


def missing() -> str:
    """Return in a sentence what this machine lacks; nothing if all is there."""
    if os.environ.get("KUBECONFIG"):
        return ""
    needed = NEEDED if _built() else NEEDED + TO_BUILD
    if lacking := [name for name in needed if not shutil.which(name)]:
        return f"Set KUBECONFIG, or install what runs a Kubernetes: {' '.join(lacking)}"
    if not Path("/sys/fs/cgroup/memory").is_dir():
        return "Set KUBECONFIG: Debian's Kubernetes knows cgroups of version 1 only"
    return "Set KUBECONFIG, or be root." if os.geteuid() else ""


def binaries() -> Path:
    """Return the folder of Kubernetes' programs; they are built once for all checkouts."""
    if not _built():
        with tempfile.TemporaryDirectory() as folder:
            what = [f"cmd/{name}" for name in BINARIES]
            succeed(["sh", "-c", BUILD, "sh", *what], Path(folder), {"CACHE": str(CACHE)})
    return CACHE


def _built() -> bool:
    return all((CACHE / name).exists() for name in BINARIES)


@contextmanager
def cluster(folder: Path, *images: str) -> Iterator[Path]:
    """Run a Kubernetes until the block ends, however it ends.

    Args:
        folder: for its logs.
        images: of this machine's Docker engine, for its pods.

    Yields:
        The path of a kubeconfig. Where the variable KUBECONFIG names a cluster it is that one,
        which must have the images.
    """
    if given := os.environ.get("KUBECONFIG"):
        yield Path(given)
        return
    node = folder / "node"
    node.mkdir()
    _write(node)
    # Its first process ends when its standard input does, and all others with it.
    running = subprocess.Popen(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "script"],
        cwd=node,
        stdin=subprocess.PIPE,
    )
    try:
        engine = _docker(node, "info")
        wait_for("The engine", lambda: not run(engine, node).returncode, node / "dockerd.log")
        pause = ["import", "--change", 'ENTRYPOINT ["/catatonit", "-P"]', "-", PAUSE]
        _pipe(["tar", "--directory", "/usr/bin", "--create", "catatonit"], _docker(node, *pause))
        for image in images:
            _pipe(["docker", "save", image], _docker(node, "load"))
        wait_for("The node", lambda: _ready(node / "kubeconfig"), node / "kubelet.log")
        yield node / "kubeconfig"
    finally:
        assert running.stdin
        running.stdin.close()
        running.wait()
        for groups in Path("/sys/fs/cgroup").glob(f"*{_cgroup(node)}"):
            for group, _, _ in os.walk(groups, topdown=False):
                os.rmdir(group)
        shutil.rmtree(node / "docker", ignore_errors=True)


def _write(node: Path) -> None:
    """Write all that the node's components read, and the script that starts them."""
    ports = {name: free_port() for name in ("etcd", "peers", "api", "kubelet")}
    token, server = secrets.token_hex(16), f"https://127.0.0.1:{ports['api']}"
    etcd, peers = (f"http://127.0.0.1:{ports[name]}" for name in ("etcd", "peers"))
    for name, value in TUNED.items():
        (node / "tuned" / name).parent.mkdir(parents=True, exist_ok=True)
        (node / "tuned" / name).write_text(f"{value}\n")
    (node / "runc").write_text(RUNC)
    (node / "runc").chmod(0o755)
    (node / "tokens").write_text(f"{token},tests,1,system:masters\n")
    succeed(["openssl", "genrsa", "-out", "key", "2048"], node)
    certificate = node / "certificates/apiserver.crt"
    (node / "kubeconfig").write_text(json.dumps(_kubeconfig(server, str(certificate), token)))
    (node / "kubelet.json").write_text(json.dumps({**KUBELET, "port": ports["kubelet"]}))
    commands = {
        "etcd": {
            "data-dir": "etcd",
            "listen-client-urls": etcd,
            "advertise-client-urls": etcd,
            "listen-peer-urls": peers,
            "initial-advertise-peer-urls": peers,
            "initial-cluster": f"default={peers}",
            "unsafe-no-fsync": "true",
        },
        "dockerd": {
            "host": f"unix://{node}/docker.sock",
            "pidfile": "docker.pid",
            "exec-root": node / "run",
            "data-root": node / "docker",
            # Not `bridge: none`: that removes the bridge of the machine's own engine.
            "iptables": "false",
            "ip-masq": "false",
            "cgroup-parent": _cgroup(node),
            "add-runtime": f"mild={node}/runc",
            "default-runtime": "mild",
        },
        "kube-apiserver": {
            "etcd-servers": etcd,
            "bind-address": "127.0.0.1",
            "advertise-address": "127.0.0.1",
            "secure-port": ports["api"],
            "cert-dir": "certificates",
            "token-auth-file": "tokens",
            "authorization-mode": "RBAC",
            "service-account-issuer": server,
            "service-account-signing-key-file": "key",
            "service-account-key-file": "key",
            # No pod here asks the API, and none gets a key to it.
            "disable-admission-plugins": "ServiceAccount",
        },
        "kube-controller-manager": {"kubeconfig": "kubeconfig", "port": 0, "secure-port": 0},
        "kube-scheduler": {"kubeconfig": "kubeconfig", "port": 0, "secure-port": 0},
        "kubelet": {
            "config": "kubelet.json",
            "kubeconfig": "kubeconfig",
            "root-dir": node / "kubelet",
            "cert-dir": node / "certificates",
            "volume-plugin-dir": node / "plugins",
            "container-runtime": "docker",
            "docker-endpoint": f"unix://{node}/docker.sock",
            "hostname-override": "127.0.0.1",
            "pod-infra-container-image": PAUSE,
        },
    }
    lines = [BEGIN, f"PATH={binaries()}:$PATH"]
    for name, options in commands.items():
        said = [f"--{option}={value}" for option, value in options.items()]
        lines.append(shlex.join(["keep", name, *said]))
    (node / "script").write_text("\n".join([*lines, "read _ || true", ""]))


def _kubeconfig(server: str, certificate: str, token: str) -> dict[str, Any]:
    named = {
        "cluster": {"server": server, "certificate-authority": certificate},
        "user": {"token": token},
        "context": {"cluster": "tests", "user": "tests"},
    }
    lists = {f"{kind}s": [{"name": "tests", kind: value}] for kind, value in named.items()}
    return {"apiVersion": "v1", "kind": "Config", **lists, "current-context": "tests"}


def _cgroup(node: Path) -> str:
    return f"/kedro-astro-{hashlib.sha256(str(node).encode()).hexdigest()[:8]}"


def _docker(node: Path, *command: str) -> list[str | Path]:
    return ["docker", "--host", f"unix://{node}/docker.sock", *command]


def _pipe(first: list[str], second: list[str | Path]) -> None:
    with subprocess.Popen(first, stdout=subprocess.PIPE) as writing:
        subprocess.run(second, stdin=writing.stdout, check=True, stdout=subprocess.DEVNULL)
    assert writing.returncode == 0, first


def _ready(kubeconfig: Path) -> bool:
    """Whether the node takes pods."""
    try:
        nodes = api(kubeconfig).list_node(_request_timeout=10).items
    except (ApiException, ConfigException, HTTPError, OSError):
        return False
    conditions = [each for node in nodes for each in node.status.conditions]
    return any((each.type, each.status) == ("Ready", "True") for each in conditions)


def api(kubeconfig: Path) -> CoreV1Api:
    """Return what asks a cluster for pods and the like."""
    return CoreV1Api(new_client_from_config(str(kubeconfig)))


def wait_for(what: str, there: Callable[[], object], log: Path | None = None) -> None:
    """Wait until something is there.

    Args:
        what: for the error.
        there: returns something true when it is.
        log: what the error shows the end of.

    Raises:
        TimeoutError: if it does not come in three minutes.
    """
    end = time.monotonic() + 180
    while not there():
        if time.monotonic() > end:
            said = log.read_text(errors="replace")[-3000:] if log else ""
            raise TimeoutError(f"{what} did not come. {said}")
        time.sleep(0.2)


if __name__ == "__main__" and not (os.environ.get("KUBECONFIG") or missing() or no_engine()):
    # The first time it takes longer than a test may.
    binaries()
