"""The servers, begun once, and every store as something a test can be run against."""

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from magistrate.adapters.recorder.storage import Places, PostgresPlace, S3Place
from tests.conftest import find_tool
from tests.servers.ceph import ACCESS_KEY, SECRET_KEY, CephServer
from tests.servers.postgres import PostgresServer


@pytest.fixture(scope="session")
def grounds() -> Iterator[Path]:
    """A directory that a server of another user may enter."""
    directory = Path(tempfile.mkdtemp(prefix="magistrate-servers-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(grounds: Path) -> Iterator[PostgresServer]:
    programs = find_tool("postgres")
    assert programs is not None
    server = PostgresServer(programs, grounds / "postgres")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def ceph(grounds: Path) -> Iterator[CephServer]:
    server = CephServer(grounds / "ceph")
    yield server
    server.stop()


@dataclass(frozen=True)
class Store:
    """A place for each port, new for each test, and its server where there is one."""

    name: str
    places: Places
    server: CephServer | PostgresServer | None = None


def s3_place(server: CephServer, *, lock: bool) -> S3Place:
    bucket = server.bucket(lock=lock)
    return S3Place(bucket, "log/", server.endpoint, "us-east-1", ACCESS_KEY, SECRET_KEY, lock=lock)


REMOTE = [
    pytest.param("postgres", marks=pytest.mark.tool("postgres")),
    pytest.param("s3", marks=pytest.mark.tool("ceph")),
]
LOCKED = pytest.param("locked-s3", marks=pytest.mark.tool("ceph"))
"""Where what is locked behaves otherwise; the rest is shown without locks, for each write here takes tenths of a second."""


def _store(name: str, request: pytest.FixtureRequest) -> Store:
    """Return a new store. The register of `locked-s3` is a bucket without versions, where conditions are honoured."""
    if name == "directory":
        return Store("directory", Places())
    if name == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        place = PostgresPlace(server.url, uuid.uuid4().hex)
        return Store("postgres", Places(place, place), server)
    ceph: CephServer = request.getfixturevalue("ceph")
    register = s3_place(ceph, lock=False)
    objects = s3_place(ceph, lock=True) if name == "locked-s3" else register
    return Store(name, Places(objects, register), ceph)


@pytest.fixture(params=["directory", *REMOTE])
def store(request: pytest.FixtureRequest) -> Store:
    """Every store in turn."""
    return _store(request.param, request)


@pytest.fixture(params=REMOTE)
def remote(request: pytest.FixtureRequest) -> Store:
    """Every store that is elsewhere, in turn."""
    return _store(request.param, request)
