"""A recorder in a process of its own, on a disk that can be told to fail.

``python -m tests.faults.harness DIR OPERATION NUMBER MODE`` runs one; ``MODE`` is what happens at the ``NUMBER``-th
``OPERATION`` (write, sync, rename): ``lost`` (killed before it), ``kept`` (killed right after it), ``torn`` (killed when
half of it was written), ``eio``, ``enospc``. ``slow``: every one takes 50 ms longer.
"""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.process import Settings, serve
from magistrate.adapters.recorder.wal import WalBroken
from magistrate.app.processes import announce
from magistrate.exchange.errors import ConfigurationError

ROOT = Path(__file__).parents[2]
SLOW_S = 0.05


class FaultyDisk(Disk):
    """Counts one kind of operation and fails at one of them."""

    def __init__(self, operation: str, number: int, mode: str) -> None:
        self._operation, self._left, self._mode = operation, number, mode

    def write(self, descriptor: int, data: bytes) -> None:
        if self._mode == "torn" and self._left == 1:
            super().write(descriptor, data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        self._around("write", lambda: super(FaultyDisk, self).write(descriptor, data))

    def sync(self, descriptor: int) -> None:
        self._around("sync", lambda: super(FaultyDisk, self).sync(descriptor))

    def rename(self, old: Path, new: Path) -> None:
        self._around("rename", lambda: super(FaultyDisk, self).rename(old, new))

    def _around(self, operation: str, work: object) -> None:
        if operation != self._operation:
            work()  # type: ignore[operator]
            return
        self._left -= 1
        if self._mode == "slow":
            time.sleep(SLOW_S)
        if self._left == 0:
            if self._mode == "lost":
                os.kill(os.getpid(), signal.SIGKILL)
            if self._mode == "eio":
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            if self._mode == "enospc":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        work()  # type: ignore[operator]
        if self._left == 0 and self._mode == "kept":
            os.kill(os.getpid(), signal.SIGKILL)


def settings(directory: Path) -> Settings:
    return Settings(directory / "evidence", directory / "vault", directory / "r.sock", "test.example/log")


def start(
    directory: Path, operation: str = "none", number: int = 0, mode: str = "none"
) -> subprocess.Popen[bytes]:
    """Start a recorder and return it once it is ready or has ended."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.harness", str(directory), operation, str(number), mode],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout is not None
    child.stdout.readline()
    return child


def stop(child: subprocess.Popen[bytes]) -> int:
    """End a recorder in good order; return its exit status."""
    child.terminate()
    child.communicate(timeout=20)
    return child.returncode


if __name__ == "__main__":
    where, operation, number, mode = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
    try:
        serve(settings(where), announce, FaultyDisk(operation, number, mode))
    except WalBroken as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(74)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
