"""PostgreSQL as Debian packages it, in a directory of its own."""

import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import psycopg

from . import free_port, give, run, unprivileged

PASSWORD = "correct horse"


class PostgresServer:
    """A cluster of one database. `kill` ends it without a word, `start` recovers it."""

    def __init__(self, programs: str, directory: Path) -> None:
        self._programs, self._directory = Path(programs), directory
        self.port = free_port()
        give(directory)
        (directory / "password").write_text(PASSWORD)
        (directory / "password").chmod(0o644)
        initdb = [str(self._programs / "initdb"), "-D", str(directory / "data"), "-U", "magistrate"]
        run(
            [
                *initdb,
                "-A",
                "scram-sha-256",
                f"--pwfile={directory / 'password'}",
                "-E",
                "UTF8",
                "--no-locale",
            ]
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql://magistrate:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{self.port}/postgres"

    def start(self, *options: str) -> None:
        """Begin, or begin again after `kill`: crash recovery is the server's own."""
        with (self._directory.parent / f"{self._directory.name}.log").open("ab") as told:
            self._process = self._begun(options, told)
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, "PostgreSQL does not begin"
                time.sleep(0.05)
            else:
                return

    def _begun(self, options: Sequence[str], told: BinaryIO) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [
                str(self._programs / "postgres"),
                *("-D", str(self._directory / "data"), "-p", str(self.port)),
                *("-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self._directory}"),
                *("-c", "max_connections=40", "-c", "shared_buffers=32MB"),
                *(part for option in options for part in ("-c", option)),
            ],
            stdout=subprocess.DEVNULL,
            stderr=told,
            **unprivileged(),
        )

    def kill(self) -> None:
        """SIGKILL to the postmaster; its children notice and go."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        # What is left of the old one must be gone, as after a power cut, before a new one may begin.
        deadline = time.monotonic() + 20
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=1).close()
            except psycopg.OperationalError:
                break
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.3)

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)
