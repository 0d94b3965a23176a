"""A detector that somebody else runs, asked over HTTP under a deadline.

It is sent the texts and answers with labels and spans, never sees credentials, and is not trusted to be well: what it says of
places that are not there, too late, too much or not at all is no finding but an INDETERMINATE one, unless its owner
configured that the check may be skipped; then a finding says that it was.
"""

import asyncio
import hashlib
import io
import re
from collections.abc import Sequence
from typing import Literal

import aiohttp
import msgspec

from magistrate.exchange.content import Part, PartKind
from magistrate.exchange.finding import Finding, incomplete

SKIPPED = "inspection.skipped"
LONGEST_ANSWER = 1 << 20
MOST_FINDINGS = 1000
LABEL = re.compile(r"[a-z][a-z0-9_]{0,31}(?:\.[a-z0-9_]{1,32}){0,3}")

Failure = Literal["indeterminate", "skip"]
Streams = Literal["read", "indeterminate", "skip"]


class Remote(msgspec.Struct, frozen=True):
    """Where a detector is reached and what its silence means. ``token`` goes out as a bearer token.

    ``streams`` says whether it reads streamed answers, sentence by sentence, and if not what is said of them.
    """

    id: str
    url: str
    timeout_s: float
    on_failure: Failure = "indeterminate"
    streams: Streams = "read"
    token: str = ""


class _Found(msgspec.Struct, frozen=True):
    """One finding in an answer: ``start`` and ``end`` are characters of part ``part``."""

    label: str
    part: int
    start: int
    end: int
    score: float = 1.0


class _Answer(msgspec.Struct, frozen=True):
    findings: tuple[_Found, ...]
    version: str = ""


class RemoteDetector:
    """One `Remote`, over one connection pool."""

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        self.version = hashlib.sha256(remote.url.encode()).hexdigest()[:16]
        self._session: aiohttp.ClientSession | None = None

    async def classify(self, parts: Sequence[Part]) -> tuple[Finding, ...]:
        """Return what the detector finds in the readable parts. Total."""
        try:
            async with asyncio.timeout(self.remote.timeout_s):
                answer = await self._ask(parts)
            return self._findings(answer, parts)
        except TimeoutError:
            return (self.unable(f"no answer within {self.remote.timeout_s:g} s"),)
        except Exception as error:  # noqa: BLE001  because one detector's failure is a finding, not an end
            return (self.unable(type(error).__name__),)

    async def aclose(self) -> None:
        """Let go of connections."""
        if self._session is not None:
            await self._session.close()

    @property
    def reads_streams(self) -> bool:
        return self.remote.streams == "read"

    def not_in_streams(self) -> Finding:
        """Return what there is to say of a stream that this detector is not to read."""
        return self.unable(
            "does not read streams", "skip" if self.remote.streams == "skip" else "indeterminate"
        )

    def unable(self, reason: str, failure: Failure | None = None) -> Finding:
        if (failure or self.remote.on_failure) == "skip":
            return Finding(SKIPPED, self.remote.id, self.version, detail=reason)
        return incomplete(self.remote.id, self.version, reason)

    async def _ask(self, parts: Sequence[Part]) -> _Answer:
        texts = [
            {"part": index, "role": part.role.value, "text": part.text}
            for index, part in enumerate(parts)
            if part.kind is not PartKind.OPAQUE and part.text
        ]
        if not texts:
            return _Answer(())
        if self._session is None:
            self._session = _session(self.remote)
        body = io.BytesIO(msgspec.json.encode({"v": 1, "texts": texts}))
        async with self._session.post(self.remote.url, data=body, allow_redirects=False) as response:
            if response.status != 200:
                raise ConnectionError
            data = bytearray()
            async for chunk in response.content.iter_any():
                data += chunk
                if len(data) > LONGEST_ANSWER:
                    raise OverflowError
        return read_answer(bytes(data))

    def _findings(self, answer: _Answer, parts: Sequence[Part]) -> tuple[Finding, ...]:
        if len(answer.findings) > MOST_FINDINGS:
            raise OverflowError
        found = []
        for each in answer.findings:
            if not (0 <= each.part < len(parts) and 0 <= each.start < each.end <= len(parts[each.part].text)):
                raise IndexError
            if not LABEL.fullmatch(each.label) or not 0 <= each.score <= 1:
                raise ValueError
            found.append(
                Finding(
                    each.label,
                    self.remote.id,
                    answer.version[:64] or self.version,
                    part=each.part,
                    start=each.start,
                    end=each.end,
                    score_milli=round(each.score * 1000),
                )
            )
        return tuple(found)


def read_answer(data: bytes) -> _Answer:
    """Return the answer in a response's body.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError: it is none. RecursionError: it is nested too deeply.
    """
    return msgspec.json.decode(data, type=_Answer)


def _session(remote: Remote) -> aiohttp.ClientSession:
    headers = {"content-type": "application/json", "user-agent": "magistrate", "accept-encoding": "identity"}
    if remote.token:
        headers["authorization"] = f"Bearer {remote.token}"
    return aiohttp.ClientSession(
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=remote.timeout_s),
        auto_decompress=False,
        trust_env=False,
    )
