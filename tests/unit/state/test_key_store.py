"""Keys survive, revocations are seen, and a store that cannot be trusted admits nobody."""

import asyncio
import os
import sqlite3
import stat
from pathlib import Path

import pytest

from magistrate.adapters.state import database
from magistrate.adapters.state.database import MIGRATIONS, StateUnavailable
from magistrate.adapters.state.keys import KeyStore, NoSuchKey, local_token
from magistrate.adapters.state.live import STALE_NS, LiveKeys
from magistrate.exchange.errors import Refused
from magistrate.exchange.outcome import Code
from magistrate.identity.admin import Right, admit

NOW = 1_800_000_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "state.db"


@pytest.fixture
def store(path: Path):
    opened = KeyStore(path, now_us=lambda: NOW)
    yield opened
    opened.close()


def code_of(keys: LiveKeys, presented: str) -> Code:
    with pytest.raises(Refused) as caught:
        keys.authenticate(presented, NOW)
    return caught.value.code


def test_a_key_survives_a_restart_with_all_its_scopes(path: Path, store: KeyStore) -> None:
    """What was created is what is listed, by another connection."""
    presented, record = store.create(
        user="ada", tenant="acme", groups=("a", "ß"), application="app", models=("gpt-*",), expires_us=NOW + 5
    )
    again = KeyStore(path)
    assert again.list() == (record,)
    assert again.snapshot().authenticate(presented, NOW).groups == ("a", "ß")
    again.close()


@pytest.mark.requirement("I1")
def test_no_secret_reaches_the_disk(path: Path, store: KeyStore) -> None:
    """Neither a key's nor a token's secret stands in any of the store's files."""
    key, _ = store.create(user="ada")
    token, _ = store.create_token()
    written = b"".join(each.read_bytes() for each in path.parent.iterdir())
    assert len(written) > 4096
    for secret in (key.split("-", 2)[2], token.split("-", 3)[3]):
        assert secret.encode() not in written


def test_the_store_is_readable_by_its_owner_only(path: Path, store: KeyStore) -> None:
    """0600 for every file, 0700 for the directory, whatever the umask."""
    store.create(user="ada")
    assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_rotation_and_revocation_act_on_active_keys_only(store: KeyStore) -> None:
    """A revoked key stays revoked; an unknown id is told as such."""
    old, record = store.create(user="ada")
    new, _ = store.rotate(record.id, grace_us=10)
    ring = store.snapshot()
    assert ring.authenticate(old, NOW + 9) == ring.authenticate(new, NOW)
    store.revoke(record.id)
    for act in (store.revoke, store.rotate):
        with pytest.raises(NoSuchKey):
            act(record.id)
    with pytest.raises(NoSuchKey):
        store.revoke("zzzzzzzzzzzz")
    assert store.list()[0].revoked_us == NOW
    for dead in (old, new):
        with pytest.raises(Refused):
            store.snapshot().authenticate(dead, NOW)


def test_a_store_notices_what_other_connections_write_and_nothing_else(path: Path, store: KeyStore) -> None:
    """`changed` is what the gateway's poll costs."""
    store.snapshot()
    assert not store.changed()
    other = KeyStore(path)
    assert not store.changed()
    other.create(user="bob")
    assert store.changed()
    assert len(store.snapshot()) == 1
    assert not store.changed()
    other.close()


@pytest.mark.requirement("I1")
def test_a_running_gateway_sees_new_and_revoked_keys_at_its_next_poll(path: Path, store: KeyStore) -> None:
    """A quarter of a second at most: polls are that far apart."""
    keys = LiveKeys(path)
    presented, record = store.create(user="ada")
    assert code_of(keys, presented) is Code.AUTHENTICATION_FAILED
    keys.poll()
    assert keys.authenticate(presented, NOW).user == "ada"
    store.revoke(record.id)
    keys.poll()
    assert code_of(keys, presented) is Code.AUTHENTICATION_FAILED
    keys.close()


def test_following_polls_by_itself_until_cancelled(path: Path, store: KeyStore) -> None:
    """The task that the gateway starts; afterwards nobody is admitted."""

    async def run() -> None:
        keys = LiveKeys(path)
        task = asyncio.create_task(keys.follow(0.001))
        presented, _ = store.create(user="ada")
        async with asyncio.timeout(10):
            while True:
                try:
                    keys.authenticate(presented, NOW)
                    break
                except Refused:
                    await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert code_of(keys, presented) is Code.INTERNAL

    asyncio.run(run())


@pytest.mark.parametrize("damage", ["gone", "replaced", "foreign", "overwritten"])
def test_a_store_that_can_no_longer_be_read_admits_nobody_until_it_can(
    path: Path, store: KeyStore, damage: str
) -> None:
    """A revocation that cannot be seen must not be overlooked."""
    presented, _ = store.create(user="ada")
    store.close()
    keys = LiveKeys(path)
    assert keys.authenticate(presented, NOW).user == "ada"
    good = path.read_bytes()
    if damage == "gone":
        path.rename(path.with_name("away"))
    else:
        path.unlink()
        for each in path.parent.iterdir():
            each.unlink()
        if damage == "foreign":
            with sqlite3.connect(path) as other:
                other.execute("CREATE TABLE x (y)")
            other.close()
        else:
            path.write_bytes(b"not a database" * 1000 if damage == "overwritten" else good[:3000])
    keys.poll()
    assert code_of(keys, presented) is Code.INTERNAL
    if damage == "gone":
        keys.poll()
        assert code_of(keys, presented) is Code.INTERNAL
        assert not path.exists()
        path.with_name("away").rename(path)
        keys.poll()
        assert keys.authenticate(presented, NOW).user == "ada"
    keys.close()


def test_a_snapshot_that_nobody_confirms_goes_stale(path: Path, store: KeyStore) -> None:
    """If polling itself dies, old rights do not live on."""
    presented, _ = store.create(user="ada")
    ticks = [0]
    keys = LiveKeys(path, ticks_ns=lambda: ticks[0])
    assert keys.problem() is None
    ticks[0] = STALE_NS
    assert keys.authenticate(presented, NOW)
    ticks[0] += 1
    assert keys.problem() == "the key store cannot be read"
    assert code_of(keys, presented) is Code.INTERNAL
    keys.poll()
    assert keys.authenticate(presented, NOW)
    keys.close()


def test_a_newer_schema_is_refused(path: Path) -> None:
    """Downgrades do not guess."""
    KeyStore(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    raw.close()
    with pytest.raises(StateUnavailable, match="newer"):
        KeyStore(path)


def test_an_older_schema_is_migrated_in_order_and_keeps_its_keys(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mechanism, shown with a made-up next version."""
    first = KeyStore(path)
    _, record = first.create(user="ada")
    first.close()
    more = (*MIGRATIONS, ("ALTER TABLE keys ADD COLUMN note TEXT", "UPDATE keys SET note = 'n'"))
    monkeypatch.setattr(database, "MIGRATIONS", more)
    second = KeyStore(path)
    assert second.list() == (record,)
    assert second._database.rows("SELECT note FROM keys") == [("n",)]
    second.close()


def test_a_failing_migration_leaves_the_old_schema(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All or nothing."""
    KeyStore(path).close()
    monkeypatch.setattr(database, "MIGRATIONS", (*MIGRATIONS, ("CREATE TABLE extra (x)", "CREATE nonsense")))
    with pytest.raises(StateUnavailable, match="syntax error"):
        KeyStore(path)
    monkeypatch.undo()
    store = KeyStore(path)
    assert store._database.rows("SELECT name FROM sqlite_master WHERE name = 'extra'") == []
    store.close()


def test_a_damaged_row_is_an_error_not_a_missing_key(path: Path, store: KeyStore) -> None:
    """Half a key ring would silently lock people out, or in."""
    store.create(user="ada")
    with store._database.writing() as connection:
        connection.execute("UPDATE keys SET groups = '{'")
    with pytest.raises(StateUnavailable, match="damaged"):
        store.snapshot()


def test_the_local_token_is_written_once_and_renewed_only_when_it_no_longer_works(
    tmp_path: Path, store: KeyStore
) -> None:
    """0600, the same at every start, replaced after revocation."""
    path = tmp_path / "control.token"
    presented, fresh = local_token(store, path)
    assert fresh
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert local_token(store, path) == (presented, False)
    token = admit(store.tokens(), presented)
    assert token is not None
    assert token.right is Right.ADMIN
    store.revoke_token(token.id)
    again, fresh = local_token(store, path)
    assert fresh
    assert again != presented


def test_the_local_token_is_not_written_through_a_link(tmp_path: Path, store: KeyStore) -> None:
    """Nobody makes us write a secret somewhere else."""
    target = tmp_path / "elsewhere"
    os.symlink(target, tmp_path / "control.token")
    with pytest.raises(StateUnavailable):
        local_token(store, tmp_path / "control.token")
    assert not target.exists()
