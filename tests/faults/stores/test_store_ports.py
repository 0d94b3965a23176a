"""What the log asks of a store, asked of every store."""

import threading
from pathlib import Path

import pytest

from magistrate.adapters.recorder.opening import open_register, open_storage
from magistrate.adapters.recorder.storage import Altered, Files, Places, PostgresPlace, Retained, S3Place
from magistrate.evidence.ports import Register
from magistrate.evidence.retention import BUILT_IN
from magistrate.exchange.errors import ConfigurationError
from tests.servers.ceph import CephServer
from tests.servers.postgres import PostgresServer

from .conftest import LOCKED, REMOTE, Store, s3_place

DAYS = dict(BUILT_IN)


def files(store: Store, tmp_path: Path) -> Files:
    return open_storage(tmp_path, store.places.objects, days=DAYS).objects


def test_what_is_put_is_there_for_whoever_opens_the_store(store: Store, tmp_path: Path) -> None:
    objects = files(store, tmp_path)
    assert objects.get("tile/0/000") is None
    content = bytes(range(256)) * 700
    objects.put("tile/0/000", content)
    objects.put("tile/0/000.p/3", b"three")
    objects.put("checkpoint", b"one")
    objects.put("checkpoint", b"two")
    objects.put("empty", b"")
    objects.close()
    reading = open_storage(tmp_path, store.places.objects).objects
    assert reading.get("tile/0/000") == content
    assert reading.get("checkpoint") == b"two"
    assert reading.get("empty") == b""
    assert reading.children("tile") == ["0"]
    assert reading.children("tile/0") == ["000", "000.p"]
    assert reading.children("tile/0/000.p") == ["3"]
    assert reading.children("nothing") == []
    reading.close()


def test_superseded_files_go_and_others_stay(store: Store, tmp_path: Path) -> None:
    """A path is removed exactly, never what merely begins like it."""
    objects = files(store, tmp_path)
    for path in ("tile/0/000.p/1", "tile/0/000.p/12", "tile/0/000", "cosig/7", "cosig/70"):
        objects.put(path, path.encode())
    objects.remove_below("tile/0/000.p")
    objects.remove("cosig/7")
    objects.remove("cosig/7")
    assert objects.children("tile/0") == ["000"]
    assert objects.children("cosig") == ["70"]
    assert objects.replace("cosig/70", b"another") is True
    assert objects.get("cosig/70") == b"another"
    objects.close()


def test_no_path_leaves_the_log(store: Store, tmp_path: Path) -> None:
    objects = files(store, tmp_path)
    for path in ("../vault/root.key", "/etc/passwd", "tile/../../x"):
        with pytest.raises(ValueError, match="no path"):
            objects.get(path)
        with pytest.raises(ValueError, match="no path"):
            objects.put(path, b"")
    objects.close()


@pytest.mark.requirement("A2")
@pytest.mark.parametrize("remote", [*REMOTE, LOCKED], indirect=True)
def test_what_is_written_once_is_never_written_over(remote: Store, tmp_path: Path) -> None:
    """The same bytes again are a retry; other bytes are another's, and nobody goes on."""
    objects = files(remote, tmp_path)
    for path in ("tile/0/000", "tile/0/000.p/9", "body/default/standard/2026-11-25/1.seg", "keys/1"):
        objects.put(path, b"the one")
        objects.put(path, b"the one")
        with pytest.raises(Altered, match=path):
            objects.put(path, b"another")
        assert objects.get(path) == b"the one"
    objects.close()


@pytest.mark.fault(14)
def test_of_many_who_swap_one_wins(store: Store, tmp_path: Path) -> None:
    """Eight connections, round after round: each checkpoint has one successor."""
    registers: list[Register] = [open_register(tmp_path, store.places.register) for _ in range(8)]
    assert registers[0].read() == b""
    newest = b""
    for round_ in range(6):
        won: list[bytes] = []
        barrier = threading.Barrier(len(registers))

        def swap(register: Register, note: bytes) -> None:
            barrier.wait()
            if register.swap(newest, note):
                won.append(note)

        threads = [
            threading.Thread(target=swap, args=(register, b"%d by %d" % (round_, number)))
            for number, register in enumerate(registers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert {register.read() for register in registers} == set(won)
        assert not registers[0].swap(newest, b"late")
        (newest,) = won
    for register in registers:
        register.close()


# --- Object Lock


@pytest.mark.tool("ceph")
@pytest.mark.requirement("A7")
def test_nobody_deletes_a_locked_file_before_its_time(ceph: CephServer, tmp_path: Path) -> None:
    """The server refuses the administrator of the storage, too: to delete, to shorten, to loosen."""
    place = s3_place(ceph, lock=True)
    objects = open_storage(tmp_path, place, days=DAYS).objects
    client = ceph.client()
    for path in ("tile/0/000", "body/default/hipaa/2026-11-25/1.seg", "keys/1"):
        objects.put(path, b"locked")
        head = client.head_object(Bucket=place.bucket, Key=f"log/{path}")
        assert head["ObjectLockMode"] == "COMPLIANCE"
        with pytest.raises(Retained):
            objects.remove(path)
        assert objects.replace(path, b"zeroed") is False
        which = {"Bucket": place.bucket, "Key": f"log/{path}", "VersionId": head["VersionId"]}
        sooner = {"Mode": "COMPLIANCE", "RetainUntilDate": "2026-11-26T00:00:00Z"}
        looser = {"Mode": "GOVERNANCE", "RetainUntilDate": "2090-11-26T00:00:00Z"}
        for forbidden in (
            lambda which=which: client.delete_object(**which, BypassGovernanceRetention=True),
            lambda which=which: client.put_object_retention(**which, Retention=sooner),
            lambda which=which: client.put_object_retention(**which, Retention=looser),
        ):
            with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
                forbidden()
        assert objects.get(path) == b"locked"
    client.close()
    objects.close()


@pytest.mark.tool("ceph")
def test_a_body_is_locked_as_its_class_says_and_a_partial_tile_not_at_all(
    ceph: CephServer, tmp_path: Path
) -> None:
    place = s3_place(ceph, lock=True)
    objects = open_storage(tmp_path, place, days={"hipaa": 2192, "standard": 366}).objects
    client = ceph.client()

    def until(path: str) -> str:
        objects.put(path, b"x")
        head = client.head_object(Bucket=place.bucket, Key=f"log/{path}")
        date = head.get("ObjectLockRetainUntilDate")
        return date.date().isoformat() if date else "never"

    assert until("body/default/hipaa/2096-01-01/1.seg") == "2102-01-03"
    assert until("body/default/standard/2096-01-01/1.seg") == "2097-01-02"
    assert until("body/default/standard/2001-01-01/1.seg") == "never"
    assert until("tile/0/000.p/7") == "never"
    assert until("checkpoint") == "never"
    assert until("tile/entries/000") > "2032"
    client.close()
    objects.close()


@pytest.mark.tool("ceph")
def test_of_what_changes_old_versions_do_not_pile_up(ceph: CephServer, tmp_path: Path) -> None:
    place = s3_place(ceph, lock=True)
    objects = open_storage(tmp_path, place, days=DAYS).objects
    for number in range(5):
        objects.put("checkpoint", b"%d" % number)
    client = ceph.client()
    kept = client.list_object_versions(Bucket=place.bucket, Prefix="log/checkpoint")["Versions"]
    assert len(kept) == 1
    client.close()
    objects.close()


# --- what will not do


@pytest.mark.tool("ceph")
def test_a_bucket_that_will_not_do_is_named_at_the_start(ceph: CephServer, tmp_path: Path) -> None:
    """Missing, or without the lock that was asked for, or one that ignores conditions and should hold the register."""
    place = s3_place(ceph, lock=False)
    missing = S3Place("no-such-bucket", "", place.endpoint, "us-east-1", place.access_key, place.secret_key)
    with pytest.raises(ConfigurationError, match="is missing"):
        open_storage(tmp_path, missing, days=DAYS)
    unlocked = S3Place(
        place.bucket, "", place.endpoint, "us-east-1", place.access_key, place.secret_key, lock=True
    )
    with pytest.raises(ConfigurationError, match="has no Object Lock"):
        open_storage(tmp_path, unlocked, days=DAYS)
    with pytest.raises(ConfigurationError, match="ignores conditional writes"):
        open_register(tmp_path, s3_place(ceph, lock=True))


@pytest.mark.tool("ceph")
def test_no_secret_is_told_when_a_server_refuses(ceph: CephServer, tmp_path: Path) -> None:
    place = s3_place(ceph, lock=False)
    wrong = S3Place(place.bucket, "", place.endpoint, "us-east-1", place.access_key, "a-wrong-secret")
    with pytest.raises(OSError, match=r"403|Forbidden|SignatureDoesNotMatch") as told:
        open_storage(tmp_path, wrong, days=DAYS)
    assert "a-wrong-secret" not in f"{told.value!r} {told.value} {wrong!r}"


@pytest.mark.tool("postgres")
def test_a_database_that_may_forget_is_refused(postgres: PostgresServer, tmp_path: Path) -> None:
    postgres.kill()
    postgres.start("fsync=off")
    try:
        with pytest.raises(ConfigurationError, match="may forget what it committed"):
            open_register(tmp_path, PostgresPlace(postgres.url, "forgetful"))
    finally:
        postgres.kill()
        postgres.start()


@pytest.mark.tool("postgres")
def test_no_password_is_told_when_a_database_refuses(postgres: PostgresServer, tmp_path: Path) -> None:
    wrong = PostgresPlace(f"postgresql://magistrate:a-wrong-password@127.0.0.1:{postgres.port}/postgres")
    with pytest.raises(OSError, match="password authentication failed") as told:
        open_register(tmp_path, wrong)
    assert "a-wrong-password" not in f"{told.value!r} {told.value} {wrong!r} {Places(wrong)!r}"


@pytest.mark.parametrize("url", ["postgresql://db.example/log", "host=10.0.0.7 sslmode=require"])
def test_a_database_over_a_network_must_show_who_it_is(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="sslmode=verify-full"):
        open_register(tmp_path, PostgresPlace(url))
