"""What others may rely on of one record, taken out of its header: small, so that it can pass between processes."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

SHARD_OPEN, SHARD_CARRY = "shard.open", "shard.carry"
"""The first records of a shard: the second kind names the calls that the first had no room for."""

CARRYING = frozenset({SHARD_OPEN, SHARD_CARRY})

AHEAD = "bounded-async"
"""What a record's ``durability`` says when its effect did not wait for it."""


class Said(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Who wrote a record, what it follows, its own words if it is a note, and what it counts and costs."""

    eid: str
    trace: str
    wid: str
    wseq: int
    prev: str
    cause: list[str]
    phase: str
    t: str
    ts: int
    own: bool
    """Whether it is the recorder's."""
    ext: dict[str, Any]
    digest: str
    """SHA-256 of its bytes, hex: what the next one of its trace names."""
    hand: dict[str, Any] | None
    """``handed``, ``ahead`` and ``bound`` of a writer some of whose records go ahead of their durability."""
    prices: dict[str, Any] | None
    """The prices that it puts in force."""
    usage: dict[str, Any] | None
    """Tokens and cost, if it names the prices they were reckoned with."""
    closes: int | None
    """How many records its trace has, itself included, if it is the trace's end."""


_OWN = {"kind": "recorder", "handle": ""}
_NO_FACTS: dict[str, Any] = {}


def said(header: dict[str, Any], raw: bytes) -> Said:
    """Return what a header says; `check_shape` found nothing wrong with it."""
    prices, usage = header.get("prices"), header.get("usage")
    return Said(
        header["eid"],
        header["trace"],
        header["wid"],
        header["wseq"],
        header["prev"],
        header.get("cause", []),
        header["phase"],
        header["t"],
        header["ts"],
        header.get("actor", _NO_FACTS) == _OWN,
        facts(header),
        digest_of(raw),
        _hand(header) if "handed" in header else None,
        prices if type(prices) is dict and header["t"] == "config.change" else None,
        usage if type(usage) is dict and type(usage.get("prices")) is str else None,
        header.get("closes"),
    )


def digest_of(raw: bytes) -> str:
    """Return what the next record of a trace names this one by."""
    return hashlib.sha256(raw).hexdigest()


def facts(header: dict[str, Any]) -> dict[str, Any]:
    """Return what a note of the recorder says (``ext``); nothing, if that is no object."""
    ext = header.get("ext")
    return ext if type(ext) is dict else _NO_FACTS


def continues(record: Said) -> bool:
    """Return whether a record says that its shard follows another one."""
    return record.t == SHARD_OPEN and "previous" in record.ext


def carried(kind: str, facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the calls, id and trace, that a record of this type takes over from the shard before its own."""
    calls = facts.get("calls") if kind in CARRYING else None
    if type(calls) is not dict:
        return {}
    return {call: trace for call, trace in calls.items() if type(trace) is str}


def _hand(header: dict[str, Any]) -> dict[str, Any]:
    return {
        "handed": header["handed"],
        "ahead": header.get("durability") == AHEAD,
        "bound": header.get("bound"),
    }
