"""The control process as it is started: real socket, real datagrams, graceful end."""

import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from magistrate.adapters.telemetry.sender import TelemetrySender
from magistrate.app.listening import require_free, taken
from magistrate.exchange.errors import ConfigurationError
from magistrate.pipeline.ports import Observation

PROGRAM = """
import asyncio, sys, msgspec
from pathlib import Path
from magistrate.app.config import load
from magistrate.app.control import serve_control
config = msgspec.structs.replace(load(None, {}), data_dir=sys.argv[1], control=sys.argv[2])
asyncio.run(serve_control(config, ready=lambda: print("ready", flush=True)))
"""
SEEN = Observation(
    record="r", trace="t", ts_us=1, dialect="d", operation="o", model="m", endpoint="e", user="u", application="a",
    verdict="deny", ending="refused", status=403, code="policy_denied", rules=(), labels=(), stream=False,
    total_us=1, steps_us=(),
)  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(url: str, token: str) -> bytes:
    asked = urllib.request.Request(url, headers={"authorization": f"Bearer {token}"})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return answer.read()


@pytest.mark.requirement("O1", "O2")
def test_the_control_process_serves_metrics_and_feed_from_datagrams_and_stops_gracefully(
    tmp_path: Path,
) -> None:
    """Start, send an observation, scrape it, see it in the feed, SIGTERM with an open feed, exit 0."""
    address = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path), address], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        token = (tmp_path / "control.token").read_text().strip()
        sender = TelemetrySender(tmp_path / "run" / "telemetry.sock")
        asked = urllib.request.Request(
            f"http://{address}/api/feed", headers={"authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(asked, timeout=10) as feed:
            assert feed.readline() == b": magistrate\n"
            sender.observe(SEEN)
            sender.close()
            lines = [feed.readline() for _ in range(3)]
            assert lines[1] == b"id: 1\n"
            assert b'"code":"policy_denied"' in lines[2]
            exposition = get(f"http://{address}/metrics", token)
            assert b'magistrate_refusals_total{code="policy_denied"} 1\n' in exposition
            with pytest.raises(urllib.error.HTTPError) as refused:
                get(f"http://{address}/metrics", "wrong")
            refused.value.close()
            assert refused.value.code == 401
            process.send_signal(signal.SIGTERM)
            assert feed.read() in {b"", b"\n"}
        assert process.wait(10) == 0
        assert not (tmp_path / "run" / "telemetry.sock").exists()
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_a_taken_address_is_told_with_the_setting_to_change() -> None:
    """Before a server starts that would share the port silently."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ConfigurationError, match=r"control: .*in use"):
            require_free(address, "control")
    assert taken(f"127.0.0.1:{free_port()}") is None
    assert taken("192.0.2.1:80") is not None
