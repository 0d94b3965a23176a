"""The HTTP side of a witness (C2SP tlog-witness): ``POST /add-checkpoint``, and ``GET /log/…`` for monitors."""

import hashlib
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, TypeAlias

import msgspec

from magistrate.adapters.witness.book import Book
from magistrate.evidence.checkpoint import parse as parse_checkpoint
from magistrate.evidence.cosignature import Cosigner
from magistrate.evidence.note import Verifier, open_note
from magistrate.evidence.witness import LARGEST_REQUEST, SIZE_TYPE, Refusal, judge, parse

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

TRIES = 3
"""How often a judgement is made anew because the book moved on in between. One process: once would do."""

log = logging.getLogger("magistrate.witness")


class _Answer(msgspec.Struct, frozen=True):
    status: int
    body: bytes
    media: str = "text/plain; charset=utf-8"


class Witness:
    """An ASGI application. What it does with the book is short and blocking on purpose: one request at a time."""

    def __init__(
        self,
        book: Book,
        cosigners: Sequence[Cosigner],
        logs: Mapping[str, Sequence[Verifier]],
        now_s: Callable[[], int],
    ) -> None:
        self._book = book
        self._cosigners = cosigners
        self._logs = logs
        self._now_s = now_s
        self._monitored = {hashlib.sha256(origin.encode()).hexdigest(): origin for origin in logs}

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        method, path = scope["method"], scope["path"]
        if path == "/add-checkpoint":
            answer = await self._take(receive) if method == "POST" else _Answer(405, b"only POST\n")
        elif method != "GET":
            answer = _Answer(405, b"only GET\n")
        elif path == "/healthz":
            answer = _Answer(200, b"ok\n")
        else:
            answer = self._monitor(path)
        headers = [(b"content-type", answer.media.encode()), (b"x-content-type-options", b"nosniff")]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _take(self, receive: Receive) -> _Answer:
        body = b""
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return _Answer(400, b"the request ended early\n")
            body += message.get("body", b"")
            if len(body) > LARGEST_REQUEST:
                return _Answer(413, b"the request is too large\n")
            if not message.get("more_body"):
                return self.add_checkpoint(body)

    def add_checkpoint(self, body: bytes) -> _Answer:
        """Judge one request, enter it into the book, and only then cosign."""
        try:
            request = parse(body)
            for _ in range(TRIES):
                accepted = judge(request, self._logs, self._book.seen)
                now = self._now_s()
                if self._book.advance(accepted, now):
                    lines = b"".join(cosigner.line(accepted.text, now) for cosigner in self._cosigners)
                    return _Answer(200, lines)
        except Refusal as refusal:
            return self._refuse(refusal, body)
        except sqlite3.Error as error:
            log.error("the book cannot be written: %s", error)
            return _Answer(503, b"the witness cannot make its book durable\n")
        return _Answer(503, b"too many at once\n")

    def _refuse(self, refusal: Refusal, body: bytes) -> _Answer:
        if refusal.conflict:
            note = parse(body).note
            origin = parse_checkpoint(open_note(note)[0]).origin
            log.critical("log `%s` contradicts itself: %s", origin, refusal)
            try:
                self._book.contradicted(origin, note, self._now_s())
            except sqlite3.Error as error:
                log.error("the contradiction could not be kept: %s", error)
        if refusal.latest is not None:
            return _Answer(refusal.status, f"{refusal.latest}\n".encode(), SIZE_TYPE)
        return _Answer(refusal.status, f"{refusal}\n".encode())

    def _monitor(self, path: str) -> _Answer:
        """Answer ``/log/SHA-256(origin)`` with the newest checkpoint that was cosigned, for whoever compares."""
        origin = self._monitored.get(path.removeprefix("/log/")) if path.startswith("/log/") else None
        found = [entry for entry in self._book.entries() if entry.origin == origin]
        if not found:
            return _Answer(404, b"not here\n")
        text = open_note(found[0].note)[0]
        lines = b"".join(cosigner.line(text, found[0].at_s) for cosigner in self._cosigners)
        return _Answer(200, found[0].note + lines)
