"""Real servers on loopback that tests start, kill and start again. None of them runs as root."""

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def unprivileged() -> dict[str, Any]:
    """Return how `subprocess` begins a process as somebody else: as `nobody`, when we are root."""
    if os.getuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def give(directory: Path) -> None:
    """Make ``directory``, for whom `unprivileged` names."""
    directory.mkdir(parents=True)
    if os.getuid() == 0:
        shutil.chown(directory, "nobody", pwd.getpwnam("nobody").pw_gid)


def run(argv: Sequence[str], **more: Any) -> str:
    """Run a program of a server to its end, as its user; return what it wrote."""
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=60, check=False, **unprivileged(), **more
    )
    assert done.returncode == 0, f"{argv[0]}: {done.stderr[-2000:]}"
    return done.stdout
