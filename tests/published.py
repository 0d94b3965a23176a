"""A log in memory as it is published: what a recorder would write, without one; and every way to spoil it."""

import hashlib
from typing import Any

from magistrate.evidence.canonical import encode
from magistrate.evidence.checkpoint import Checkpoint
from magistrate.evidence.cosignature import ML_DSA_44, Cosigner
from magistrate.evidence.note import Signer
from magistrate.evidence.tiles import grow

ORIGIN = "log.example/one"
SIGNER = Signer(ORIGIN, bytes(32))
COSIGNER = Cosigner(ORIGIN, bytes(32), ML_DSA_44)
START_US = 4_102_444_800_000_000
"""The year 2100: no test depends on today's date."""

EVERY_MS = 10_000


def eid(number: int) -> str:
    return f"00000000-0000-7000-8000-{number:012x}"


class Published:
    """Files by path. Records are added in order; `seal` signs what is there. Their ids count from ``ids_from``."""

    def __init__(
        self, signer: Signer = SIGNER, cosigner: Cosigner | None = COSIGNER, *, ids_from: int = 0
    ) -> None:
        self.files: dict[str, bytes] = {}
        self.headers: list[dict[str, Any]] = []
        self.roots: dict[int, bytes] = {}
        self.size = 0
        self._signer, self._cosigner = signer, cosigner
        self._ids_from = ids_from
        self._last: dict[str, bytes] = {}
        self._wseq: dict[str, int] = {}

    def get(self, path: str) -> bytes | None:
        return self.files.get(path)

    def put(self, path: str, data: bytes) -> None:
        self.files[path] = data

    def header(
        self, kind: str, phase: str, *, wid: str = "gateway-1", at_s: float = 0.0, **fields: Any
    ) -> dict[str, Any]:
        """A header as the recorder would complete it, next in its writer's count and its trace's chain."""
        trace = fields.get("trace", "")
        self._wseq[wid] = self._wseq.get(wid, 0) + 1
        return {
            "v": 1, "eid": eid(self._ids_from + len(self.headers)), "t": kind, "phase": phase, "ts": START_US + int(at_s * 1e6),
            "trace": "", "log": self._signer.name, "wid": wid, "wseq": self._wseq[wid],
            "prev": self._last.get(trace, b"").hex() if trace else "", **fields,
        }  # fmt: skip

    def add(self, header: dict[str, Any]) -> dict[str, Any]:
        if header["trace"]:
            self._last[header["trace"]] = hashlib.sha256(encode(header)).digest()
        self.headers.append(header)
        return header

    def call(
        self, trace: str, *, at_s: float = 0.0, ends: bool = True, closes: int = 0, **fields: Any
    ) -> dict[str, Any]:
        """An intent, and its outcome, which is the end of the trace if it says how many records ``closes`` it."""
        intent = self.add(self.header("llm.request", "intent", trace=trace, at_s=at_s, **fields))
        if ends:
            end = {"closes": closes} if closes else {}
            self.add(
                self.header("llm.response", "outcome", trace=trace, at_s=at_s, cause=[intent["eid"]], **end)
            )
        return intent

    def note(self, kind: str, at_s: float, /, **facts: Any) -> dict[str, Any]:
        """One of the recorder's own records."""
        actor = {"kind": "recorder", "handle": ""}
        return self.add(self.header(kind, "note", wid="recorder-1", at_s=at_s, actor=actor, ext=facts))

    def seal(self, *, now_s: int = START_US // 1_000_000) -> bytes:
        """Sign and publish what was added since; return the checkpoint."""
        growth = grow(self.files.get, self.size, [encode(header) for header in self.headers[self.size :]])
        self.files |= growth.files
        self.size = growth.size
        self.roots[growth.size] = growth.root
        text = Checkpoint(self._signer.name, growth.size, growth.root).text()
        note = self._signer.sign(text) + (self._cosigner.line(text, now_s) if self._cosigner else b"")
        self.files["checkpoint"] = note
        return note

    def text(self, size: int) -> str:
        return Checkpoint(self._signer.name, size, self.roots[size]).text()
