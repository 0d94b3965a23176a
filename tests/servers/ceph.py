"""Ceph as Debian packages it: one monitor, one object store on a file, and its S3 gateway.

It is a production S3 server with Object Lock that comes from a package registry; see docs/storage.md for what else there was.
"""

import shutil
import subprocess
import time
import uuid
from pathlib import Path
from typing import Any

import botocore.config
import botocore.session

from . import free_port, give, run, unprivileged

ACCESS_KEY, SECRET_KEY = "EVIDENCEACCESS", "evidence-secret-key"

CONFIGURATION = """
[global]
fsid = {fsid}
keyring = {directory}/keyring
mon initial members = a
mon host = [v2:127.0.0.1:{monitor}/0]
auth allow insecure global id reclaim = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind port min = {osd}
ms bind port max = {osd_last}
osd pool default size = 1
osd pool default min size = 1
osd crush chooseleaf type = 0
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail crit = 1
mon data = {directory}/mon
osd data = {directory}/osd
osd objectstore = bluestore
bluestore block size = 4294967296
osd memory target = 939524096
run dir = {directory}
pid file = {directory}/$name.pid
admin socket = {directory}/$name.$pid.asok
log file = {directory}/$name.log
crash dir = {directory}/crash
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw data = {directory}
rgw enable ops log = false
rgw thread pool size = 32
"""


class CephServer:
    """A cluster of one. `kill` ends the gateway without a word; what it acknowledged stands in the object store."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.port = free_port()
        self._daemons: list[subprocess.Popen[bytes]] = []
        self._gateway: subprocess.Popen[bytes] | None = None
        give(directory)
        for name in ("mon", "osd"):
            give(directory / name)
        fsid, osd, first = str(uuid.uuid4()), str(uuid.uuid4()), free_port()
        monitor = free_port()
        self._configuration = directory / "ceph.conf"
        self._configuration.write_text(
            CONFIGURATION.format(
                fsid=fsid,
                directory=directory,
                monitor=monitor,
                port=self.port,
                osd=min(first, 64_000),
                osd_last=min(first, 64_000) + 200,
            )
        )
        keyring = str(directory / "keyring")
        run(["ceph-authtool", "-C", keyring, "-g", "-n", "mon.", "--cap", "mon", "allow *"])
        everything = [part for what in ("mon", "osd", "mgr") for part in ("--cap", what, "allow *")]
        run(["ceph-authtool", keyring, "-g", "-n", "client.admin", *everything])
        run(
            [
                "ceph-authtool",
                keyring,
                "-g",
                "-n",
                "osd.0",
                "--cap",
                "mon",
                "allow profile osd",
                "--cap",
                "osd",
                "allow *",
            ]
        )
        address = f"[v2:127.0.0.1:{monitor}]"
        run(["monmaptool", "--create", "--addv", "a", address, "--fsid", fsid, str(directory / "monmap")])
        self._run(
            "ceph-mon", "--mkfs", "-i", "a", "--monmap", str(directory / "monmap"), "--keyring", keyring
        )
        self._daemons.append(self._begin("ceph-mon", "-f", "-i", "a"))
        self._run("ceph", "--connect-timeout", "20", "osd", "new", osd)
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self._daemons.append(self._begin("ceph-osd", "-f", "-i", "0"))
        self.start()
        user = [
            "--uid=evidence",
            "--display-name=evidence",
            f"--access-key={ACCESS_KEY}",
            f"--secret-key={SECRET_KEY}",
        ]
        self._run("radosgw-admin", "user", "create", *user)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> Any:
        """Return a client of the SDK with every right there is: what a storage administrator has."""
        session = botocore.session.get_session()
        session.set_credentials(ACCESS_KEY, SECRET_KEY)
        config = botocore.config.Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 4})
        return session.create_client("s3", region_name="us-east-1", endpoint_url=self.endpoint, config=config)

    def bucket(self, *, lock: bool) -> str:
        """Make a bucket and return its name."""
        name = f"evidence-{uuid.uuid4().hex[:12]}"
        client = self.client()
        client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=lock)
        client.close()
        return name

    def start(self) -> None:
        """Begin the gateway, or begin it again."""
        self._gateway = self._begin("radosgw", "-f", "-n", "client.admin")
        deadline = time.monotonic() + 60
        client = self.client()
        try:
            while True:
                try:
                    client.list_buckets()
                except botocore.exceptions.ClientError:
                    return  # it answers, though it does not know us yet
                except botocore.exceptions.BotoCoreError:
                    assert time.monotonic() < deadline, "the S3 gateway does not begin"
                    time.sleep(0.1)
                else:
                    return
        finally:
            client.close()

    def kill(self) -> None:
        """SIGKILL to the gateway."""
        assert self._gateway is not None
        self._gateway.kill()
        self._gateway.wait()

    def stop(self) -> None:
        for process in [*([self._gateway] if self._gateway else []), *reversed(self._daemons)]:
            process.kill()
            process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _run(self, *argv: str) -> str:
        return run([argv[0], "-c", str(self._configuration), *argv[1:]])

    def _begin(self, *argv: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [argv[0], "-c", str(self._configuration), *argv[1:]],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **unprivileged(),
        )
