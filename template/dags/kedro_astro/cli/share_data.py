"""Lets the containers of `astro dev start` and you write into the same folder.

On Linux a container's user `astro` has a number that is not yours: it may not write into your
`data/`, and you may not delete what it writes. `docker-compose.override.yml` runs this as root,
once: `python -m kedro_astro.cli.share_data data airflow db migrate`. It gives both of you an entry
in the folder's access control lists, which is inherited by all that will be in there, and becomes
the command. Where the engine's files belong to whoever looks, as on macOS, there are no such lists
and no need of them. It imports no Airflow and no Kedro.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys


def share(folder: str, *users: int) -> str:
    """Let users read and write all that is in a folder, and all that will be.

    Links are not followed. What has lists already keeps their other entries.

    Args:
        folder: the folder.
        users: their numbers.

    Returns:
        Why it could not be done; nothing if it is.
    """
    # A default entry is what new files get; X stands for what may be entered or executed already.
    entries = [f"{kind}user:{user}:rwX" for user in users for kind in ("", "default:")]
    command = ["setfacl", "--recursive", "--physical", "--modify", ",".join(entries), folder]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "setfacl is not there. Add the line acl to packages.txt, then `astro dev restart`"
    return done.stderr.partition("\n")[0] if done.returncode else ""


def open_to_all(folder: str) -> None:
    """Let everybody do what its owner may do with all that is in a folder."""
    subprocess.run(["chmod", "-R", "go+u", folder], check=False)


def may_write(folder: str, user: int) -> bool:
    """Whether a user may make files in a folder. Only root can ask."""
    os.seteuid(user)
    try:
        return os.access(folder, os.W_OK | os.X_OK, effective_ids=True)
    finally:
        os.seteuid(0)


def main(folder: str, *command: str) -> None:
    """Share a folder between its owner and the user astro, then be that user and run a command."""
    astro = pwd.getpwnam("astro")
    reason = share(folder, astro.pw_uid, os.stat(folder).st_uid)
    if reason and not may_write(folder, astro.pw_uid):
        sys.stderr.write(f"From now on everybody may write into {folder}/: {reason}.\n")
        open_to_all(folder)
    os.environ["HOME"] = astro.pw_dir
    os.setgroups([])
    os.setgid(astro.pw_gid)
    os.setuid(astro.pw_uid)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
