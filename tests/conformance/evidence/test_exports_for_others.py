"""What is exported in other people's formats is believed by whoever reads it by their rules, and only when it is true."""

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
import orjson
import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from scitt_cose import receipt as cose
from tests.faults.custody import IDS, Custody, draft, opened

from magistrate.adapters.recorder.orders import RotateShard
from magistrate.app.cli import run
from magistrate.evidence.note import NoteError, Signer, Verifier
from magistrate.evidence.receipt import cbor

VALUES = st.recursive(
    st.none() | st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=300) | st.text(max_size=300),
    lambda inner: (
        st.lists(inner, max_size=30) | st.dictionaries(st.integers(-(2**64), 2**64 - 1), inner, max_size=30)
    ),
    max_leaves=40,
)


def pem(vkey: str) -> bytes:
    key = Ed25519PublicKey.from_public_bytes(Verifier(vkey).public)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def a_call(custody: Custody) -> str:
    trace = IDS.trace()
    intent = draft(trace=trace)
    outcome = draft(trace=trace, phase="outcome", cause=(str(intent.header["eid"]),))
    outcome.header["outcome"] = {"ending": "completed"}
    custody.write(*(draft() for _ in range(20)), intent, outcome)
    return str(intent.header["eid"])


def exported(directory: Path, record: str, form: str, output: Path) -> None:
    assert (
        run(["evidence", "export", record, "--format", form, "-o", str(output), "--data", str(directory)])
        == 0
    )


@given(VALUES)
def test_what_we_write_in_cbor_another_reads_and_writes_the_same(value: object) -> None:
    data = cbor(value)  # type: ignore[arg-type]  # because the strategy makes nothing else
    assert cbor2.dumps(value, canonical=False) == data or cbor2.loads(data) == value
    assert cbor2.loads(data) == value


@pytest.mark.requirement("A2")
@pytest.mark.verifier("vectors")
def test_a_receipt_is_believed_by_another_implementation(tmp_path: Path) -> None:
    """Of the shard that is written, and of a closed one whose key is gone. Not for other bytes, and not by another key."""
    with opened(tmp_path) as custody:
        first = a_call(custody)
        custody.obey(RotateShard())
        second = a_call(custody)
    root = tmp_path / "evidence"
    for record, shard in ((first, root / "shards" / "1"), (second, root)):
        output = tmp_path / f"{record}.cose"
        exported(tmp_path, record, "cose", output)
        leaf = output.with_name(f"{output.name}.json").read_bytes()
        assert orjson.loads(leaf)["eid"] == record
        vkey = (shard / "log.vkey").read_text()
        data = output.read_bytes()
        found = cose.verify_receipt(data, leaf_entry_hex=leaf.hex(), log_public_key_pem=pem(vkey))
        assert found.ok, found.errors
        assert found.issuer == Verifier(vkey).name
        assert found.protected_header_ext == {4: Verifier(vkey).id}
        assert found.tree_size is not None
        assert found.leaf_index is not None
        assert 0 <= found.leaf_index < found.tree_size
        changed = (leaf[:-1] + b" ").hex()
        assert not cose.verify_receipt(data, leaf_entry_hex=changed, log_public_key_pem=pem(vkey)).ok
        stranger = Signer(Verifier(vkey).name, bytes(32)).vkey
        assert not cose.verify_receipt(data, leaf_entry_hex=leaf.hex(), log_public_key_pem=pem(stranger)).ok


def test_nothing_that_could_be_a_note_is_signed_as_a_structure() -> None:
    signer = Signer("log.example", bytes(31) + b"1")
    for data in (b"", b"log.example\n1\n", b"\x7f", b"\xa0"):
        with pytest.raises(NoteError):
            signer.sign_structure(data)


@pytest.mark.requirement("A2")
def test_a_trace_is_read_as_an_agent_audit_trail(tmp_path: Path) -> None:
    """By the published rules the chain is whole, and broken when a line is changed or left out. Content is not in it."""
    with opened(tmp_path) as custody:
        record = a_call(custody)
    output = tmp_path / "trail.jsonl"
    exported(tmp_path, record, "aat", output)
    lines = output.read_bytes().splitlines()
    first, second = map(orjson.loads, lines)
    assert (first["record_id"], first["outcome"], second["outcome"]) == (record, "success", "success")
    assert second["parent_record_id"] == record
    assert b"yes" not in output.read_bytes()
    assert wrong_in(lines) == []
    assert wrong_in(lines[1:]) == ["line 0: `prev_hash`", "line 0: `parent_record_id`"]
    assert wrong_in([lines[0].replace(b"success", b"denied"), lines[1]]) == ["line 1: `prev_hash`"]
    assert wrong_in([lines[0], lines[1].replace(b'"trust_level":0', b'"trust_level":9')]) == [
        "line 1: `trust_level`"
    ]
    assert wrong_in([lines[0], lines[0]]) != []


OF_TRAIL: dict[str, Callable[[Any], bool]] = {
    "record_id": lambda value: str(uuid.UUID(value)) == value,
    "timestamp": lambda value: dt.datetime.fromisoformat(value).tzinfo is not None,
    "agent_id": lambda value: type(value) is str,
    "agent_version": lambda value: type(value) is str and value != "",
    "session_id": lambda value: type(value) is str and value != "",
    "action_type": lambda value: type(value) is str and value != "",
    "action_detail": lambda value: type(value) is dict,
    "outcome": lambda value: value in {"success", "failure", "timeout", "denied", "escalated"},
    "trust_level": lambda value: type(value) is int and 0 <= value <= 4,
    "parent_record_id": lambda value: value is None or type(value) is str,
    "prev_hash": lambda value: value is None or (type(value) is str and len(value) == 64),
    "record_phase": lambda value: type(value) is str,
}
"""The format's twelve mandatory fields, and what each may be."""


def wrong_in(lines: list[bytes]) -> list[str]:
    """Read a trail by the rules of the draft alone, with another's RFC 8785; return what is wrong, line by line.

    A reader of our own: the only other one is under a licence that is not open.
    """
    wrong, known, before, latest = list[str](), set[str](), None, ""
    for number, line in enumerate(lines):
        record = json.loads(line)
        bad = [name for name, good in OF_TRAIL.items() if name not in record or not good(record[name])]
        if record.get("prev_hash") != (before and hashlib.sha256(before).hexdigest()):
            bad.append("prev_hash")
        if record.get("parent_record_id") not in {None, *known}:
            bad.append("parent_record_id")
        if record.get("record_id") in known:
            bad.append("record_id")
        if record.get("timestamp", "") < latest:
            bad.append("timestamp")
        if rfc8785.dumps(record) != line:
            bad.append("canonical form")
        wrong += [f"line {number}: `{name}`" for name in bad]
        known.add(record.get("record_id"))
        before, latest = rfc8785.dumps(record), record.get("timestamp", latest)
    return wrong
