"""The HTTP side of a witness: its few routes, its bounds, and what a monitor reads there."""

import asyncio
import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.published import SIGNER, Published

from magistrate.adapters.witness.book import Book
from magistrate.adapters.witness.listener import Witness
from magistrate.evidence.cosignature import Cosigner
from magistrate.evidence.note import Verifier
from magistrate.evidence.witness import LARGEST_REQUEST, Request

W = Cosigner("witness.example/w", bytes(32))
HERE = "/log/" + hashlib.sha256(SIGNER.name.encode()).hexdigest()


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    opened = Book(tmp_path, create=True)
    yield opened
    opened.close()


@pytest.fixture
def witness(book: Book) -> Witness:
    return Witness(book, [W], {SIGNER.name: [Verifier(SIGNER.vkey)]}, lambda: 7)


def ask(witness: Witness, method: str, path: str, *pieces: bytes, ends: bool = True) -> tuple[int, bytes]:
    """One request, its body in pieces; ``ends`` False: the client goes away."""
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": piece, "more_body": True} for piece in pieces
    ]
    messages.append({"type": "http.request", "body": b""} if ends else {"type": "http.disconnect"})
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(witness({"type": "http", "method": method, "path": path}, receive, send))
    return sent[0]["status"], sent[1]["body"]


def request() -> bytes:
    log = Published()
    log.note("shard.open", 0)
    return Request(0, (), log.seal()).encode()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/add-checkpoint", 405),
        ("POST", "/healthz", 405),
        ("GET", "/healthz", 200),
        ("GET", HERE, 404),
        ("GET", "/log/", 404),
        ("GET", "/", 404),
    ],
)
def test_a_witness_has_few_routes(witness: Witness, method: str, path: str, status: int) -> None:
    """Everything else is not there."""
    assert ask(witness, method, path)[0] == status


@pytest.mark.requirement("A2")
def test_a_monitor_reads_there_what_was_cosigned_last(witness: Witness) -> None:
    """The log's own note with the witness's line: to compare with what the log shows the monitor."""
    assert ask(witness, "POST", "/add-checkpoint", request()[:50], request()[50:])[0] == 200
    status, note = ask(witness, "GET", HERE)
    assert status == 200
    found = Verifier(W.vkey).cosignature(note)
    assert found is not None
    assert found.time_s == 7
    assert Verifier(SIGNER.vkey).verify(note).startswith(SIGNER.name)


def test_a_request_is_bounded_and_must_end(witness: Witness) -> None:
    """413 before it is read to its end; a client that went away gets nothing into the book."""
    assert ask(witness, "POST", "/add-checkpoint", b"x" * LARGEST_REQUEST, b"x")[0] == 413
    assert ask(witness, "POST", "/add-checkpoint", request(), ends=False)[0] == 400
    assert ask(witness, "GET", HERE)[0] == 404


@pytest.mark.requirement("A2")
def test_nothing_is_cosigned_that_could_not_be_made_durable(
    witness: Witness, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk: 503, and no line leaves."""

    def full(*_: object) -> bool:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(book, "advance", full)
    status, body = ask(witness, "POST", "/add-checkpoint", request())
    assert (status, W.name.encode() in body) == (503, False)


@pytest.mark.fault(32)
def test_a_judgement_is_made_anew_when_the_book_moved_on(
    witness: Witness, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else was faster: judged again by what the book says now."""
    real, moved = book.advance, []

    def slow(*arguments: Any) -> bool:
        if not moved:
            moved.append(True)
            return False
        return real(*arguments)

    monkeypatch.setattr(book, "advance", slow)
    assert ask(witness, "POST", "/add-checkpoint", request())[0] == 200
