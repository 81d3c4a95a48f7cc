"""Lets the containers of `astro dev start` and you write into the same folder.

On Linux a container's user `astro` has a number that is not yours: it may not write into your
`data/`, and you may not delete what it writes. `docker-compose.override.yml` starts this as root,
once; it gives both of you an entry in the folder's access control lists, which is inherited by all
that will be in there. Where the engine's files belong to whoever looks, as on macOS, there are no
such lists and no need of them. Nothing but the standard library is imported.
"""

from __future__ import annotations

import os
import pwd
import stat
import struct
import sys
from collections.abc import Iterator

# An entry is (tag, permissions, id): see posix_acl_xattr.h and posix_acl.h of Linux.
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
HEADER, ENTRY = struct.Struct("<I"), struct.Struct("<HHI")
VERSION, NO_ID = 2, 0xFFFFFFFF
OWNER, USER, GROUP, NAMED_GROUP, MASK, OTHERS = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20

Acl = dict[tuple[int, int], int]


def share(folder: str, users: set[int]) -> None:
    """Let users read and write all that is in a folder, and all that will be.

    Links are not followed. What has lists already keeps their other entries.

    Args:
        folder: the folder.
        users: their numbers.

    Raises:
        OSError: if the folder's file system has no access control lists, or we may not set them.
    """
    for path in _everything(folder):
        mode = os.lstat(path).st_mode
        is_folder = stat.S_ISDIR(mode)
        wanted = 7 if is_folder else 6 | mode >> 6 & 1
        _allow(path, ACCESS, mode, dict.fromkeys(users, wanted))
        if is_folder:
            _allow(path, DEFAULT, mode, dict.fromkeys(users, wanted))


def open_to_all(folder: str) -> None:
    """Let everybody do what its owner may do with all that is in a folder."""
    for path in _everything(folder):
        mode = stat.S_IMODE(os.lstat(path).st_mode)
        os.chmod(path, mode | mode >> 6 & 7 | mode >> 3 & 0o70)


def _everything(folder: str) -> Iterator[str]:
    yield folder
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(parent, name)
            if not os.path.islink(path):
                yield path


def _allow(path: str, attribute: str, mode: int, users: dict[int, int]) -> None:
    acl = _read(path, attribute) or {
        (OWNER, NO_ID): mode >> 6 & 7,
        (GROUP, NO_ID): mode >> 3 & 7,
        (OTHERS, NO_ID): mode & 7,
    }
    acl |= {(USER, user): allowed for user, allowed in users.items()}
    acl[MASK, NO_ID] = 0
    for (tag, _), allowed in acl.items():
        if tag in (USER, GROUP, NAMED_GROUP):
            acl[MASK, NO_ID] |= allowed
    entries = (ENTRY.pack(tag, allowed, id_) for (tag, id_), allowed in sorted(acl.items()))
    os.setxattr(path, attribute, HEADER.pack(VERSION) + b"".join(entries))


def _read(path: str, attribute: str) -> Acl:
    try:
        raw = os.getxattr(path, attribute)
    except OSError:
        return {}
    return {(tag, id_): allowed for tag, allowed, id_ in ENTRY.iter_unpack(raw[HEADER.size :])}


def _may_write(folder: str, user: int) -> bool:
    os.seteuid(user)
    try:
        return os.access(folder, os.W_OK | os.X_OK, effective_ids=True)
    finally:
        os.seteuid(0)


def main(folder: str, *command: str) -> None:
    """Share a folder between its owner and the user astro, then be that user and run a command."""
    astro = pwd.getpwnam("astro")
    try:
        share(folder, {astro.pw_uid, os.stat(folder).st_uid})
    except OSError as error:
        if not _may_write(folder, astro.pw_uid):
            sys.stderr.write(
                f"{folder}/ takes no access control list ({error.strerror}), so everybody on this "
                "machine may write into it from now on.\n"
            )
            open_to_all(folder)
    os.environ["HOME"] = astro.pw_dir
    os.setgroups([])
    os.setgid(astro.pw_gid)
    os.setuid(astro.pw_uid)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
