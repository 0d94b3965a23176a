"""What whoever holds the log's key can sign: any records at all. A verifier must judge them, whatever they say.

Records travel as a JSON list of headers, so that who damages them damages what they say and not how they are spelt.
"""

from collections.abc import Iterable
from typing import Any

import orjson
from tests.beacons import QUICKNET
from tests.beacons import Signer as OwnBeacon
from tests.published import ORIGIN, SIGNER, START_US, Published

from magistrate.evidence.attested import Attested
from magistrate.evidence.beacon import drawn, read_source
from magistrate.evidence.bundle import Exported, verify_bundle, write_bundle
from magistrate.evidence.canonical import encode
from magistrate.evidence.checkpoint import Checkpoint
from magistrate.evidence.proof import Proof
from magistrate.evidence.report import Report
from magistrate.evidence.tiles import Growth, grow, prove_inclusion
from magistrate.evidence.verify import verify_log

MOST_RECORDS, LONGEST_LEAF = 16, 65_535
BEACON, DRAND = (read_source(orjson.dumps(info)) for info in (OwnBeacon().info, QUICKNET))
SOURCES = (BEACON, DRAND)
HASH, DAY_US = "ab" * 32, 86_400_000_000
META = {
    "part": "request",
    "media": "text/plain",
    "codec": "zstd",
    "alg": "A256GCM",
    "kid": "k-1",
    "len": 5,
    "ct": HASH,
    "cm": HASH,
}
RET = {"class": "standard", "days": 366, "until": START_US + 366 * DAY_US}


def leaves(data: bytes) -> list[bytes]:
    """Return the records that ``data`` lists, as far as a log can hold them."""
    try:
        listed = orjson.loads(data)
        spelt = [encode(header) for header in listed[:MOST_RECORDS] if type(header) is dict]
    except (ValueError, TypeError, RecursionError):
        return []
    return [leaf for leaf in spelt if len(leaf) <= LONGEST_LEAF]


def grown(records: list[bytes]) -> tuple[Growth, bytes]:
    """Return the tree over records, and its signed checkpoint."""
    growth = grow({}.get, 0, records)
    return growth, SIGNER.sign(Checkpoint(ORIGIN, growth.size, growth.root).text())


def judged_log(data: bytes) -> Report | None:
    """Let our verifier judge a log of these records, some of whose bodies are there."""
    records = leaves(data)
    if not records:
        return None
    growth, note = grown(records)
    log = Published()
    log.files = {**growth.files, "checkpoint": note}
    kept = {"request": b"a body that is another one"}
    return verify_log(
        log, SIGNER.vkey, attested=Attested(sources=SOURCES, now_us=START_US, max_age_us=DAY_US),
        ciphertext=lambda _, part: kept.get(part),
    )  # fmt: skip


def judged_bundle(data: bytes) -> Report | None:
    """Export these records as one call, with its page, and let our verifier judge the bundle."""
    records = leaves(data)
    if not records:
        return None
    growth, note = grown(records)
    exported = [
        Exported(raw, Proof(at, tuple(prove_inclusion(growth.files.get, at, growth.size)), note), {"request": (b"hello", bytes(32))})
        for at, raw in enumerate(records)
    ]  # fmt: skip
    bundle = write_bundle(0, exported, "quorum none\n", beacon=exported[-1])
    return verify_bundle(bundle, SIGNER.vkey, sources=SOURCES)


def _spelt(headers: Iterable[dict[str, Any]]) -> bytes:
    return orjson.dumps(list(headers))


def _a_call() -> bytes:
    log = Published()
    log.call(
        "a" * 32, closes=2, subj="s-" + "0" * 24, app="ward", tenant="default", labels=["pii.email"], ret=RET, body=[META],
        verdict={"effect": "allow", "rules": ["r1"], "code": ""}, policy={"bundle": HASH, "mode": "enforce"},
        model={"name": "demo", "endpoint": "e", "version": "1"}, route={"dialect": "openai", "operation": "chat"},
        endpoints=[{"id": "e", "effect": "allow", "rules": ["r1"]}], detectors={"rules": "3"}, rewritten={"pii.email": 1},
        outcome={"ending": "complete", "status": 200, "code": "", "detail": "", "rules": []},
        attempts=[{"id": "e", "result": "ok", "status": 200}], eligibility=[{"id": "f", "ok": False, "why": "down"}],
        usage={"in": 3, "out": 5, "cached": 1, "cost_nano": 17, "currency": "USD", "prices": "p1"}, steps_us=[["read", 12]],
        handed=1, durability="bounded-async", bound={"records": 4, "ms": 20},
    )  # fmt: skip
    return _spelt(log.headers)


def _a_recorder_s_life() -> bytes:
    log = Published()
    log.note("shard.open", 0, number=1, calls={})
    log.note("recorder.start", 1, heartbeat_ms=10_000)
    log.call("b" * 32, ends=False, body=[META], ret=RET)
    log.note("config.change", 2)["prices"] = {"p1": {"input": 2, "output": 3, "cached": 1}}
    log.note("beacon", 3, **drawn(BEACON, orjson.dumps(OwnBeacon().answer(START_US / 1e6))).facts)
    log.note("erasure.order", 4, kids=["k-1"], kept={}, by={"uid": 0, "token": ""})
    log.note(
        "retention.prune",
        5,
        segments=[
            {"name": "body/default/standard/2100-01-01/0.seg", "sha256": HASH, "bytes": 9, "bodies": 1}
        ],
    )
    log.note("recovery", 6, calls=[log.headers[2]["eid"]])
    log.note("trace.close", 7, records=1)["trace"] = "b" * 32
    log.note("writer.end", 8, writer="gateway-1", handed=1)
    log.note("heartbeat", 9, heartbeat_ms=10_000, records=9)
    log.note("key.event", 10, event="rotation", next=[SIGNER.vkey])
    log.note("shard.close", 11, next=[SIGNER.vkey])
    return _spelt(log.headers)


SEEDS = (_a_call(), _a_recorder_s_life())
"""Lists of headers with every field that some reader looks at."""
