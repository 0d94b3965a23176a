"""The record: what a header says, and what every reader may rely on.

A header is one JSON object in the restricted profile of `canonical`. Fields that this version does not know are kept
and hashed like the others; a verifier hashes bytes and never writes a header anew.

From the gateway:

==============  ==================================================================================================
``v``           version of this layout, 1
``eid``         id of the record: UUIDv7, the idempotency key
``t``           type, see `PHASES`
``phase``       ``intent``: before an effect; ``outcome``: after it; ``note``: neither
``ts``          microseconds since the epoch, by the clock that ``clk`` describes (nanoseconds would pass 2^53)
``clk``         ``src`` of the time, ``sync``: whether the kernel held that clock for synchronised when the record was made,
                and ``err_us``: by how much it was wrong at most; what nobody could be asked about is left out
``trace``       id that the records of one interaction share; empty for notes of the recorder
``parent``      span that the client named as its own
``cause``       ids of earlier records that this one follows from; an outcome names its intent
``closes``      records of the trace up to this one, if it is its end; kept only where the recorder counts the same
``tenant``, ``app``, ``actor``       who called, as key and application; never a person's name
``policy``      bundle hash and mode; ``verdict``, ``labels``, ``endpoints``: what was decided, and by which rules
``data``        datasets that the caller says the call draws on: ``id``, ``version``, and ``sha256`` where it was told
``model``, ``usage``, ``outcome``, ``attempts``, ``eligibility``   what happened
==============  ==================================================================================================

From the recorder:

==============  ==================================================================================================
``log``         origin of the log: a record copied into another log does not pass for one of its own
``wid``         writer: one gateway worker's life; ``wseq``: 1, 2, 3… without a gap
``prev``        SHA-256 (hex) of the previous header of the same trace; empty for the first
``subj``        random handle of the person, or empty; the vault alone knows whose
``ret``         retention: class, days, and the time in microseconds until which bodies are kept
``body``        for each body: part, media, codec, alg, kid, len, ct (SHA-256 of the ciphertext), cm (commitment)
==============  ==================================================================================================
"""

import re
from collections.abc import Mapping
from typing import Any

from magistrate.evidence.canonical import LARGEST_INTEGER
from magistrate.evidence.seal import LARGEST_BODY

PHASES: Mapping[str, str] = {
    "llm.request": "intent",
    "llm.response": "outcome",
    "config.change": "note",
    "heartbeat": "note",
    "recovery": "note",
    "key.event": "note",
    "recorder.start": "note",
    "recorder.stop": "note",
    "shard.open": "note",
    "trace.close": "note",
    "writer.end": "note",
    "shard.carry": "note",
    "shard.close": "note",
    "beacon": "note",
    "access.read": "note",
    "erasure.order": "intent",
    "erasure": "outcome",
    "erasure.deferred": "note",
    "hold.place": "note",
    "hold.release": "note",
    "retention.change": "note",
    "retention.prune": "note",
}
"""Every type that this product writes, with the phase it has."""

ONE_CALL = 2
"""Records of a call, and what the outcome of one that is its trace's only call says in ``closes``."""

MOST_BODIES = 64

_EID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HASH = re.compile(r"[0-9a-f]{64}")
_PART = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_TEXTS = ("t", "phase", "trace", "wid", "log")


def validate(header: Mapping[str, object]) -> None:
    """Check a header that this product is about to write.

    Raises:
        ValueError: a type or phase it does not write, or a shape that no reader could rely on.
    """
    check_shape(header)
    kind, phase = header["t"], header["phase"]
    expected = PHASES.get(str(kind))
    if phase != expected:
        raise ValueError(
            f"`t` is `{kind}` in phase `{phase}`; "
            + (f"its phase is `{expected}`" if expected else "no such type")
        )
    if phase == "outcome" and not header.get("cause"):
        raise ValueError("an outcome names its intent in `cause`")


def check_shape(header: Mapping[str, object]) -> None:
    """Check what verification relies on, whatever version wrote the record.

    Raises:
        ValueError: a field is missing or of another kind; the message names it.
    """
    get = header.get
    for name in _TEXTS:
        if type(get(name)) is not str:
            raise ValueError(f"`{name}` is no text")
    eid, prev, wseq, ts = get("eid"), get("prev"), get("wseq"), get("ts")
    if type(eid) is not str or not _EID.fullmatch(eid):
        raise ValueError("`eid` is no UUID in lower case")
    if type(prev) is not str or (prev and not _HASH.fullmatch(prev)):
        raise ValueError("`prev` is no SHA-256")
    if type(wseq) is not int or not 0 < wseq <= LARGEST_INTEGER:
        raise ValueError("`wseq` is no number from 1 on")
    if type(ts) is not int or not 0 <= ts <= LARGEST_INTEGER:
        raise ValueError("`ts` is no time in microseconds")
    closes, cause, body = get("closes", 1), get("cause", ()), get("body", ())
    if type(closes) is not int or not 0 < closes <= LARGEST_INTEGER:
        raise ValueError("`closes` is no count from 1 on")
    if cause != () and not (isinstance(cause, list | tuple) and all(type(one) is str for one in cause)):
        raise ValueError("`cause` is no list of ids")
    if body == ():
        return
    if not (isinstance(body, list | tuple) and len(body) <= MOST_BODIES):
        raise ValueError(f"`body` is no list of at most {MOST_BODIES}")
    parts = [_part(meta, index) for index, meta in enumerate(body)]
    if len(parts) > 1 and len(set(parts)) < len(parts):
        raise ValueError("`body` names a part twice")


def _part(meta: Any, index: int) -> str:
    if type(meta) is not dict:
        raise ValueError(f"`body[{index}]` is no object")
    part, length = meta.get("part"), meta.get("len")
    if type(part) is not str or not _PART.fullmatch(part):
        raise ValueError(f"`body[{index}].part` is no name")
    if type(length) is not int or not 0 <= length <= LARGEST_BODY:
        raise ValueError(f"`body[{index}].len` is no length")
    for name in ("ct", "cm"):
        digest = meta.get(name)
        if type(digest) is not str or not _HASH.fullmatch(digest):
            raise ValueError(f"`body[{index}].{name}` is no SHA-256")
    return part
