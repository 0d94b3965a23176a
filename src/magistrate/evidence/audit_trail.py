"""Agent audit trail (draft-sharif-agent-audit-trail-04, an individual Internet-Draft): a trace as lines of JSON.

For tools that read that format. Each line names the SHA-256 of the line before it; nothing is signed, because what proves
these records is the log: every line says where in it the record stands and what its leaf hash is. Content is never in it.
"""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from magistrate.evidence.canonical import decode, encode
from magistrate.evidence.merkle import leaf_hash

MEDIA = "application/jsonl"
VERSION = "magistrate/1"
_OUTCOMES = {"deny": "denied", "escalate": "escalated", "indeterminate": "denied"}
_ENDINGS = {"completed": "success", "refused": "denied", "withheld": "denied"}


def trail(records: Iterable[tuple[int, bytes]]) -> bytes:
    """Return the trail of records (index in their shard, exact bytes), which come in the log's order.

    Raises:
        ValueError: one is no record.
    """
    lines: list[bytes] = []
    latest = 0
    known: set[str] = set()
    for index, raw in records:
        header = decode(raw)
        latest = max(latest, int(header["ts"]))  # the format asks for times that never go back
        line = encode(_line(index, raw, header, latest, lines[-1] if lines else b"", known))
        known.add(str(header["eid"]))
        lines.append(line)
    return b"".join(line + b"\n" for line in lines)


def _line(
    index: int, raw: bytes, header: dict[str, Any], ts: int, before: bytes, known: set[str]
) -> dict[str, Any]:
    cause = next((one for one in header.get("cause", []) if one in known), None)
    return {
        "record_id": header["eid"],
        "timestamp": _spelled(ts),
        "agent_id": f"{header.get('tenant', '')}/{header.get('app', '')}",
        "agent_version": VERSION,
        "session_id": header["trace"],
        "action_type": header["t"],
        "action_detail": _detail(header),
        "outcome": _outcome(header),
        "trust_level": 0,
        "parent_record_id": cause,
        "prev_hash": hashlib.sha256(before).hexdigest() if before else None,
        "record_phase": header["phase"],
        "evidence": {
            "log": header["log"],
            "index": index,
            "leaf_sha256": leaf_hash(raw).hex(),
            "recorded_us": header["ts"],
        },
    }


def _detail(header: dict[str, Any]) -> dict[str, Any]:
    verdict, model, policy = (_tree(header, name) for name in ("verdict", "model", "policy"))
    detail: dict[str, Any] = {
        "model": model.get("name"),
        "endpoint": model.get("endpoint"),
        "rules": verdict.get("rules"),
        "labels": header.get("labels"),
        "policy_bundle": policy.get("bundle"),
        "person": header.get("subj") or None,
        "bodies": [{"part": one["part"], "ciphertext_sha256": one["ct"]} for one in header.get("body", [])],
    }
    return {name: value for name, value in detail.items() if value not in (None, [])}


def _outcome(header: dict[str, Any]) -> str:
    effect, ending = _tree(header, "verdict").get("effect"), _tree(header, "outcome").get("ending")
    if header["phase"] == "outcome":
        return _ENDINGS.get(str(ending), "failure")
    return _OUTCOMES.get(str(effect), "success")


def _tree(header: dict[str, Any], name: str) -> dict[str, Any]:
    value = header.get(name)
    return value if isinstance(value, dict) else {}


def _spelled(ts_us: int) -> str:
    return (
        datetime.fromtimestamp(ts_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        + f".{ts_us % 1_000_000:06d}Z"
    )
