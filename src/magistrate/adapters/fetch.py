"""One HTTP exchange with a stranger: bounded in time and size, no redirects, no retries.

For threads and small commands (witnesses, time-stamping authorities, an auditor's monitor); the gateway's own client is
elsewhere. Nothing of ours is sent along: no cookie, no credential.
"""

import http.client
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

LARGEST_TILE = 32 * 1024 * 1024
"""Bytes: an entry bundle of 256 records of 65,535 bytes each, and room."""

_PIECE = 64 * 1024


class Unreachable(OSError):  # noqa: N818  because it names the state of the other side
    """The other side does not answer, not in time, or not with what was asked for."""


class Answer(msgspec.Struct, frozen=True):
    """What came back. ``media`` is the content type, without parameters."""

    status: int
    media: str
    body: bytes


class Ask(msgspec.Struct, frozen=True):
    """What is sent: a GET without ``body``, else a POST of it."""

    url: str
    body: bytes | None = None
    media: str = ""
    within_s: float = 5.0
    limit: int = 1 << 20


Exchange = Callable[[Ask], Answer]
"""Sends an `Ask`. Raises `Unreachable`."""


def exchange(ask: Ask) -> Answer:
    """Send ``ask`` and return the answer.

    Raises:
        Unreachable: with the reason.
    """
    deadline = time.monotonic() + ask.within_s
    url = urlsplit(ask.url)
    try:
        connection = _connection(url.scheme, url.hostname or "", url.port, ask.within_s)
        try:
            headers = {"user-agent": "magistrate", "accept": "*/*"} | (
                {"content-type": ask.media} if ask.media else {}
            )
            target = (url.path or "/") + (f"?{url.query}" if url.query else "")
            connection.request("GET" if ask.body is None else "POST", target, ask.body, headers)
            with connection.getresponse() as response:
                body = b""
                while piece := response.read1(min(_PIECE, ask.limit + 1 - len(body))):
                    body += piece
                    if len(body) > ask.limit:
                        raise Unreachable(f"answers with more than {ask.limit} bytes")
                    if time.monotonic() > deadline:
                        raise Unreachable(f"did not finish within {ask.within_s:g} s")
                media = (response.getheader("content-type") or "").partition(";")[0].strip().lower()
                return Answer(response.status, media, body)
        finally:
            connection.close()
    except Unreachable:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unreachable(_reason(error, ask.within_s)) from None


class HttpObjects:
    """A published log behind a URL, to be read only. What is not there (404) is None, like a file that is not there."""

    def __init__(self, base: str, send: Exchange = exchange) -> None:
        self._base = base.rstrip("/")
        self._send = send

    def get(self, path: str) -> bytes | None:
        """Return the file. Raises `Unreachable`."""
        answer = self._send(Ask(f"{self._base}/{path}", within_s=30.0, limit=LARGEST_TILE))
        if answer.status == http.client.NOT_FOUND:
            return None
        if answer.status != http.client.OK:
            raise Unreachable(f"`{path}` is answered with status {answer.status}")
        return answer.body


class FileObjects:
    """A log in a directory (a mounted copy, a backup), to be read only."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def get(self, path: str) -> bytes | None:
        """Return the file, or None. Raises OSError when it is there and cannot be read."""
        if path.startswith("/") or ".." in path.split("/"):
            raise ValueError(f"`{path}` is no path of an object")
        try:
            return (self._root / path).read_bytes()
        except FileNotFoundError:
            return None


def _connection(scheme: str, host: str, port: int | None, within_s: float) -> http.client.HTTPConnection:
    if scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=within_s, context=context)
    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=within_s)
    raise Unreachable("is neither an http nor an https URL")


def _reason(error: Exception, within_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"does not answer within {within_s:g} s"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
