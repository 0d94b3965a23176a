"""`magistrate witness` and `evidence monitor` as people type them, the log behind an HTTP server or in a directory."""

import contextlib
import http.server
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.published import EVERY_MS, SIGNER, START_US, Published

from magistrate.adapters.fetch import Ask, FileObjects, HttpObjects, Unreachable, exchange
from magistrate.adapters.witness.book import Book
from magistrate.app.cli import run
from magistrate.evidence.note import Verifier

Asked = Callable[..., tuple[int, str]]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Asked:
    monkeypatch.chdir(tmp_path)

    def asked(*arguments: object) -> tuple[int, str]:
        status = run([str(each) for each in arguments])
        told = capsys.readouterr()
        return status, told.out + told.err

    return asked


def publish(root: Path, records: int) -> Published:
    log = Published()
    log.note("shard.open", 0, heartbeat_ms=EVERY_MS)
    for number in range(1, records):
        log.note("heartbeat", number * 10, heartbeat_ms=EVERY_MS)
    log.seal()
    for path, data in log.files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return log


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The directory ``log`` behind a plain web server."""
    (tmp_path / "log").mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = partial(Quiet, directory=str(tmp_path / "log"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.requirement("A2")
def test_a_monitor_reads_over_http_as_from_a_directory(ask: Asked, served: str, tmp_path: Path) -> None:
    """Good, then grown, then rolled back, then gone: 0, 0, 1, 2; and the proof of the lie is kept."""
    watch = ("--memory", "seen.json", "--vkey", SIGNER.vkey, "--max-age", 0)
    publish(tmp_path / "log", 5)
    assert ask("evidence", "monitor", served, *watch)[0] == 0
    publish(tmp_path / "log", 300)
    status, said = ask("evidence", "monitor", served, *watch, "--json")
    assert (status, json.loads(said)["size_before"], json.loads(said)["size"]) == (0, 5, 300)
    assert ask("evidence", "monitor", tmp_path / "log", *watch)[0] == 0
    old = publish(tmp_path / "log", 7).files["checkpoint"]
    status, said = ask("evidence", "monitor", served, *watch)
    assert status == 1
    assert "rolled back from 300 to 7" in said
    (proof,) = tmp_path.glob("seen.json.contradiction-*")
    assert proof.read_bytes() == old
    (tmp_path / "log" / "checkpoint").unlink()
    assert ask("evidence", "monitor", served, *watch)[0] == 2
    assert json.loads((tmp_path / "seen.json").read_text())["size"] == 300


def test_a_monitor_takes_its_key_from_a_file_too(ask: Asked, tmp_path: Path) -> None:
    """As the other commands do; both at once, or a file that is none, is a mistake with its reason."""
    publish(tmp_path / "log", 3)
    (tmp_path / "mine.vkey").write_text(SIGNER.vkey + "\n")
    watch = ("evidence", "monitor", tmp_path / "log", "--memory", "m", "--max-age", 0)
    assert ask(*watch, "--vkey-file", "mine.vkey")[0] == 0
    status, said = ask(*watch, "--vkey-file", "mine.vkey", "--vkey", SIGNER.vkey)
    assert (status, "not both" in said) == (2, True)
    assert ask(*watch, "--vkey-file", "missing.vkey")[0] == 2
    (tmp_path / "mine.vkey").write_text("no key")
    assert ask(*watch, "--vkey-file", "mine.vkey")[0] == 2


def test_a_monitor_says_stale_with_a_status_of_its_own(
    ask: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """3: cron can tell a stopped log from a lying one."""
    publish(tmp_path / "log", 2)
    monkeypatch.setattr("time.time_ns", lambda: (START_US + 400_000_000) * 1000)
    status, said = ask("evidence", "monitor", tmp_path / "log", "--memory", "m", "--vkey", SIGNER.vkey)
    assert status == 3
    assert "390 s old" in said


@pytest.mark.parametrize("spoilt", [b"{}", b"not json", b""])
def test_a_spoilt_memory_is_an_error_and_not_a_fresh_start(ask: Asked, tmp_path: Path, spoilt: bytes) -> None:
    """Else whoever can spoil a file could make an auditor forget."""
    publish(tmp_path / "log", 2)
    (tmp_path / "m").write_bytes(spoilt)
    status, said = ask("evidence", "monitor", tmp_path / "log", "--memory", "m", "--vkey", SIGNER.vkey)
    assert status == 2
    assert "name another file" in said
    assert (tmp_path / "m").read_bytes() == spoilt


def test_a_monitor_needs_a_key_of_the_auditors_own(ask: Asked, tmp_path: Path) -> None:
    """The key beside the log proves nothing, so it is never taken."""
    publish(tmp_path / "log", 2)
    (tmp_path / "log" / "log.vkey").write_text(SIGNER.vkey)
    status, said = ask("evidence", "monitor", tmp_path / "log", "--memory", "m")
    assert status == 2
    assert "proves nothing" in said


# --- the road


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "ftp://127.0.0.1/", "http://", "nonsense"])
def test_a_road_that_leads_nowhere_is_unreachable(url: str) -> None:
    """One error for everything, with the reason."""
    with pytest.raises(Unreachable, match=r"."):
        exchange(Ask(url, within_s=1))


@pytest.mark.parametrize(
    ("pieces", "says"),
    [((), "does not answer within 0.4 s"), ((b"HTTP/1.1 200 OK\r\n\r\n", *[b"x"] * 20), "did not finish")],
)
def test_a_slow_answer_is_given_up_in_time(pieces: tuple[bytes, ...], says: str) -> None:
    """Silence, and one byte after the other: neither holds a thread for ever."""
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        peer, _ = listener.accept()
        with peer, contextlib.suppress(OSError):
            peer.recv(4096)
            for piece in pieces:
                peer.sendall(piece)
                time.sleep(0.1)
            peer.recv(1)

    thread = threading.Thread(target=drip)
    thread.start()
    started = time.monotonic()
    with pytest.raises(Unreachable, match=says):
        exchange(Ask(f"http://127.0.0.1:{listener.getsockname()[1]}/", within_s=0.4))
    assert time.monotonic() - started < 1.5
    thread.join()
    listener.close()


def test_an_answer_is_bounded(served: str, tmp_path: Path) -> None:
    """More than was asked for is no answer."""
    (tmp_path / "log" / "big").write_bytes(bytes(2000))
    assert exchange(Ask(f"{served}/big", limit=2000)).body == bytes(2000)
    with pytest.raises(Unreachable, match="more than 1999"):
        exchange(Ask(f"{served}/big", limit=1999))


def test_objects_are_read_and_what_is_not_there_is_none(served: str, tmp_path: Path) -> None:
    """The same over HTTP as in a directory; a path never leaves it."""
    (tmp_path / "log" / "tile").mkdir()
    (tmp_path / "log" / "tile" / "0").write_bytes(b"x")
    for objects in (HttpObjects(served + "/"), FileObjects(tmp_path / "log")):
        assert (objects.get("tile/0"), objects.get("tile/1")) == (b"x", None)
    with pytest.raises(ValueError, match="no path"):
        FileObjects(tmp_path / "log").get("../secret")


# --- magistrate witness


@pytest.mark.requirement("A2")
def test_a_witness_is_born_once_and_keeps_its_name(ask: Asked, tmp_path: Path) -> None:
    """Two keys, readable by their owner only; another name, or a lost book, is an error."""
    status, said = ask("witness", "--data", "w", "--name", "witness.example/w1", "--show-key")
    assert status == 0
    keys = [Verifier(line) for line in said.split()]
    assert [key.type for key in keys] == [0x04, 0x06]
    assert all(
        (tmp_path / "w" / name).stat().st_mode & 0o077 == 0 for name in ("witness.key", "witness-mldsa.key")
    )
    assert ask("witness", "--data", "w", "--show-key")[1] == said
    status, said = ask("witness", "--data", "w", "--name", "witness.example/w2", "--show-key")
    assert (status, "cannot change" in said) == (2, True)
    (tmp_path / "w" / "witness.db").unlink()
    status, said = ask("witness", "--data", "w", "--log", SIGNER.vkey, "--listen", "127.0.0.1:0")
    assert (status, "second history" in said) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "`--name` begins one"),
        (("--name", "witness.example/w1"), "no log to cosign"),
        (("--name", "witness.example/w1", "--log", "nonsense"), "is no verifier key"),
        (("--name", "witness.example/w1", "--logs", "nowhere"), "cannot be read"),
        (("--name", "has space"), "neither space"),
        (("--name", "witness.example/w1", "--log", SIGNER.vkey, "--tls-cert", "x"), "belong together"),
    ],
)
def test_a_witness_that_cannot_run_says_why(ask: Asked, arguments: tuple[str, ...], says: str) -> None:
    """Exit 2, and what to do."""
    status, said = ask("witness", "--data", "w", *arguments)
    assert (status, says in said) == (2, True), said


def test_the_status_of_a_witness_names_contradictions(ask: Asked, tmp_path: Path) -> None:
    """Exit 1 as soon as one log contradicted itself."""
    ask("witness", "--data", "w", "--name", "witness.example/w1", "--show-key")
    book = Book(tmp_path / "w")
    book._database.execute("INSERT INTO logs VALUES ('log.example/one', 5, x'00', x'61', 1)")
    assert ask("witness", "--data", "w", "--status")[0] == 0
    book.contradicted("log.example/one", b"another", 2)
    status, said = ask("witness", "--data", "w", "--status")
    assert (status, said) == (1, "log.example/one  5 records  1 CONTRADICTIONS\n")
    (told,) = json.loads(ask("witness", "--data", "w", "--status", "--json")[1])
    assert (told["origin"], told["size"], told["conflicts"]) == ("log.example/one", 5, 1)
    book.close()
