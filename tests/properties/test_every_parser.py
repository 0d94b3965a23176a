"""Whatever bytes come, a reader gives a value or refuses as it says; and no module reads bytes without standing in the list."""

import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.properties.parsers import AUTHORITY, PARSERS, STAMP, Parser

import magistrate
from magistrate.evidence.timestamp import StampError

ROOT = Path(magistrate.__file__).parent
LONGEST_S = 2.0
"""For inputs of some hundred bytes: far more than any reader needs, far less than one that goes wrong."""

EACH = pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
hard = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))

DEEP = [
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"zz":' + b"[" * 3_000 + b"]" * 3_000 + b"}",
    b"\x91" * 100_000,
    b"- " * 5_000,
]
ODD = [b"", b"\x00", b"\xff" * 64, b"\xed\xa0\x80", "é".encode() * 40, b"1" * 5_000, b"-1", b"1e999", b"\n" * 400, b"NaN", *DEEP]  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """Return a seed after some accidents: bytes changed, cut out, doubled, moved, put in; digits swapped; cut short."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, max(0, len(data) - 1))), draw(st.integers(0, 40))
        kind = draw(st.sampled_from(["flip", "set", "drop", "double", "insert", "splice", "cut", "number"]))
        if kind == "flip" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "set" and data:
            data[at] = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF, 0x0A, 0x22, 0x2B, 0x3D, 0x7B]))
        elif kind == "drop":
            del data[at : at + length]
        elif kind == "double":
            data[at:at] = data[at : at + length]
        elif kind == "insert":
            data[at:at] = draw(st.binary(max_size=12))
        elif kind == "splice":
            data[at:] = draw(st.sampled_from(seeds))[draw(st.integers(0, 200)) :]
        elif kind == "cut":
            del data[at:]
        else:
            text = re.sub(rb"[0-9]+", lambda _: draw(st.sampled_from([b"-1", b"99999999999999999999", b"0", b"1.5"])), bytes(data[at:]), count=1)  # fmt: skip
            data[at:] = text
    return bytes(data)


def outcome(parser: Parser, data: bytes) -> Any:
    began = time.thread_time()
    try:
        return parser.read(data)
    except parser.refusals:
        return None
    finally:
        assert time.thread_time() - began < LONGEST_S, "it took far too long"


@EACH
@pytest.mark.requirement("A9")
def test_a_reader_takes_what_a_writer_wrote(parser: Parser) -> None:
    """Otherwise the damage below would be done to what is refused at the door."""
    for seed in parser.seeds:
        parser.read(seed)


@EACH
@pytest.mark.requirement("A9")
def test_one_byte_changed_anywhere_is_read_or_refused(parser: Parser) -> None:
    for seed in parser.seeds:
        step = 1 + len(seed) // 500
        for at in range(0, len(seed), step):
            for byte in (0x00, 0x80, 0xFF):
                outcome(parser, seed[:at] + bytes([byte]) + seed[at + 1 :])


@EACH
@pytest.mark.requirement("A9")
def test_damage_is_read_or_refused(parser: Parser) -> None:
    @hard
    @given(damaged(parser.seeds))
    def holds(data: bytes) -> None:
        outcome(parser, data)

    holds()


@EACH
@pytest.mark.requirement("A9")
def test_noise_is_read_or_refused(parser: Parser) -> None:
    @hard
    @given(st.binary(max_size=300))
    def holds(data: bytes) -> None:
        outcome(parser, data)

    for odd in ODD:
        holds = example(odd)(holds)
    holds()


@pytest.mark.parametrize(("at", "byte"), [(185, 1), (231, 3), (554, 0)])
def test_what_a_library_raises_about_a_certificate_in_a_stamp_is_a_refusal(at: int, byte: int) -> None:
    """Found by fuzzing: InvalidVersion, TypeError and KeyError came out of the verifier, and ended the recorder's asking."""
    damaged = STAMP[:at] + bytes([byte]) + STAMP[at + 1 :]
    with pytest.raises(StampError, match="the token's certificates cannot be read"):
        AUTHORITY.verify(damaged, b"hello")


# --- that the list is whole

DECODES = re.compile(
    r"orjson\.loads\(|json\.loads\(|msgspec\.(?:json|msgpack|yaml)\.(?:decode\(|Decoder\()|(?<!En)\b_?\w*[dD]ecoder\.decode\("
    r"|Struct\(\"|from_bytes\(|b64decode\(|fromhex\(|yaml\.compose|zipfile\.ZipFile\(|ZstdDecompressor\(|zlib\.decompressobj\("
    r"|decode_timestamp_response\(|load_(?:der|pem)_|policies_to_json|literal_eval\("
)

OWN = {
    "adapters/parallel.py": "what a process that this one started says over a pipe",
    "adapters/recorder/attesting.py": "its own standing file; an authority's answers are read by `timestamp`, `note` and `beacon`",
    "adapters/recorder/cold.py": "cells of a derived index that carries a digest",
    "adapters/recorder/connection.py": "the kernel's word on who connects; messages are read by `frames` and `orders`",
    "adapters/recorder/deferred.py": "sealed in the vault",
    "adapters/recorder/erasure.py": "headers that `canonical` wrote and the tree proves",
    "adapters/recorder/holds.py": "sealed in the vault",
    "adapters/recorder/index.py": "cells of a derived index",
    "adapters/recorder/keys.py": "a header that `canonical` wrote",
    "adapters/recorder/ledger.py": "headers that `canonical` wrote; a schedule sealed in the vault",
    "adapters/recorder/outage.py": "its own standing file",
    "adapters/recorder/reader.py": "headers that `canonical` wrote",
    "adapters/recorder/recovery.py": "headers that a write-ahead group with a checksum holds",
    "adapters/recorder/rotation.py": "its own marks, and a root that it signed",
    "adapters/recorder/row.py": "ids of the index",
    "adapters/recorder/sealer.py": "its own staging file",
    "adapters/recorder/sealing.py": "what a process that this one forked says over a socket",
    "adapters/recorder/vault.py": "sealed in the vault",
    "adapters/recorder/written.py": "headers that this recorder sealed",
    "adapters/state/keys.py": "cells of its own database",
    "adapters/telemetry/receiver.py": "telemetry of a process that the supervisor started, without content",
    "adapters/upstreams/local_model.py": "a stand-in's own requests",
    "adapters/upstreams/simulator/conversation.py": "a stand-in's own requests",
    "adapters/upstreams/simulator/model.py": "a stand-in's own requests",
    "app/cli/evidence.py": "headers that `canonical` wrote",
    "app/cli/tail.py": "the control process's feed",
    "app/config.py": "secrets' files are read as lines; the configuration by `yaml_source`",
    "app/exporting.py": "headers that `canonical` wrote",
    "app/judged.py": "judgements that this product sealed, opened under its key",
    "app/policies.py": "bundles that it kept itself, checked by their hash",
    "app/verifying.py": "the monitor's own memory",
    "classify/artefact.py": "artefacts in the wheel",
    "classify/spellings.py": "a table of its own",
    "classify/surrogates.py": "digests of its own",
    "evidence/cosignature.py": "lines that `note` took apart",
    "evidence/shapes.py": "lists that its own pattern accepted; damaged at every byte by `test_header_shapes`",
    "pipeline/inspecting.py": "a body that `strict` read",
    "pipeline/vault.py": "sealed under the conversation's key",
}
"""Modules that decode only what this product itself wrote, or what a reader of the list hands them, and why that is so."""


def decoding_modules() -> set[str]:
    return {
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        if DECODES.search(path.read_text(encoding="utf-8"))
    }


def test_every_module_that_decodes_stands_in_the_list() -> None:
    """Or says why what it decodes cannot come from a stranger."""
    listed = {str(Path(str(module.__file__)).relative_to(ROOT)) for parser in PARSERS for module in parser.by}
    decoding = decoding_modules()
    assert decoding - listed - set(OWN) == set(), "these decode bytes and stand neither in PARSERS nor in OWN"
    assert set(OWN) - decoding == set(), "these stand in OWN and decode nothing any more"
    assert set(OWN) & listed == set(), "these stand in both"
