"""A key revoked from a shell stops working in a running process within a second."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from magistrate.adapters.state.keys import KeyStore
from magistrate.adapters.state.live import LiveKeys
from magistrate.exchange.errors import Refused
from magistrate.exchange.outcome import Code


def code(keys: LiveKeys, presented: str) -> Code | None:
    try:
        keys.authenticate(presented, 1)
    except Refused as refused:
        return refused.code
    return None


@pytest.mark.requirement("I1")
async def test_a_key_revoked_by_another_process_is_refused_within_a_second(tmp_path: Path) -> None:
    """`magistrate keys revoke` in one process, the gateway's key ring at its own pace in another."""
    store = KeyStore(tmp_path / "state.db")
    presented, record = store.create(user="ada")
    store.close()
    keys = LiveKeys(tmp_path / "state.db")
    following = asyncio.ensure_future(keys.follow())
    assert keys.authenticate(presented, 1).user == "ada"
    revoke = [
        sys.executable,
        "-c",
        "from magistrate.app.cli import main; main()",
        "keys",
        "revoke",
        record.id,
    ]
    await asyncio.to_thread(
        subprocess.run, [*revoke, "--data", str(tmp_path)], check=True, capture_output=True
    )
    revoked = time.monotonic()
    while code(keys, presented) is None:
        await asyncio.sleep(0.01)
        assert time.monotonic() - revoked < 1.0
    assert code(keys, presented) is Code.AUTHENTICATION_FAILED
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
