"""Signed notes, checkpoints and tiles that others made: C2SP's examples, Tessera's log, Sunlight's witnesses."""

import base64
import json
import re

import pytest
from tests.conformance.evidence.vectors import folder, load

from magistrate.evidence.checkpoint import parse
from magistrate.evidence.merkle import leaf_hash
from magistrate.evidence.note import NoteError, Verifier, key_id, open_note
from magistrate.evidence.tiles import encode_bundle, entries_path, entry, grow, root_of

EXAMPLE = load("signed-note/c2sp_example.json")
PARSE_ONLY = load("signed-note/c2sp_parse_only.json")
VKEYS = load("signed-note/formats_vkeys.json")["valid_vkeys"]
SUNLIGHT = folder("tlog-cosignature") / "sunlight"
TESSERA = folder("tlog-tiles") / "tessera-testdata-log"


def _witness_key(name: str) -> str:
    (vkey,) = json.loads((SUNLIGHT / f"{name}.v0.json").read_text())["verifier_keys"]
    return str(vkey)


def test_the_example_of_the_signed_note_specification_verifies() -> None:
    """C2SP's own note and key; and one flipped letter does not."""
    note = EXAMPLE["note"].encode()
    assert Verifier(EXAMPLE["vkey"]).verify(note) == "This is an example message.\n"
    with pytest.raises(NoteError, match="does not verify"):
        Verifier(EXAMPLE["vkey"]).verify(note.replace(b"example message", b"exbmple message"))


@pytest.mark.parametrize(("field", "lines"), [("checkpoint", 1), ("cosigned_checkpoint", 2)])
def test_the_checkpoints_of_the_specification_parse(field: str, lines: int) -> None:
    """With and without a witness's line."""
    text, signatures = open_note(PARSE_ONLY[field].encode())
    checkpoint = parse(text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert len(signatures) == lines


@pytest.mark.fault(29)
@pytest.mark.verifier("ours", "vectors")
@pytest.mark.parametrize("case", VKEYS, ids=lambda case: case["name"])
def test_published_verifier_keys_are_read_if_their_hash_is_their_keys(case: dict[str, str]) -> None:
    """Keys of logs and of witnesses of both kinds; the ML-DSA one is published with a hash that its makers never check."""
    name, stated, key = case["vkey"].split("+", 2)
    raw = base64.b64decode(key)
    right = key_id(name, raw[0], raw[1:]).hex()
    if "MLDSA44" in case["name"]:
        assert stated != right
        with pytest.raises(NoteError, match="hash is not its key's"):
            Verifier(case["vkey"])
    verifier = Verifier(f"{name}+{right}+{key}")
    assert (verifier.name, verifier.cosigns) == (name, raw[0] in {0x04, 0x06})


@pytest.mark.parametrize(
    ("witness", "checkpoint"),
    [("witness", "witness-checkpoint"), ("witness2", "witness2-checkpoint"), ("mirror", "mirror-checkpoint")],
)
def test_cosignatures_of_real_witnesses_verify(witness: str, checkpoint: str) -> None:
    """cosignature/v1 covers its time; a later time with the same signature does not verify."""
    note = (SUNLIGHT / checkpoint).read_bytes()
    assert parse(Verifier(_witness_key(witness)).verify(note)).size == 300
    with pytest.raises(NoteError, match="does not verify"):
        Verifier(_witness_key(witness)).verify(note.replace(b"\n300\n", b"\n301\n"))


def test_a_witness_that_did_not_sign_is_not_taken_for_one_that_did() -> None:
    """The key decides, not the presence of some signature."""
    with pytest.raises(NoteError, match="has not signed"):
        Verifier(_witness_key("witness2")).verify((SUNLIGHT / "witness-checkpoint").read_bytes())


@pytest.mark.fault(12)
@pytest.mark.verifier("ours", "vectors")
@pytest.mark.requirement("A2")
def test_a_split_view_shows_when_two_observers_compare() -> None:
    """Sunlight's mirror and witness signed different roots for one origin and size."""
    seen = parse(Verifier(_witness_key("witness")).verify((SUNLIGHT / "witness-checkpoint").read_bytes()))
    mirrored = parse(Verifier(_witness_key("mirror")).verify((SUNLIGHT / "mirror-checkpoint").read_bytes()))
    assert (seen.origin, seen.size) == (mirrored.origin, mirrored.size)
    assert seen.root != mirrored.root


def test_the_tiles_of_a_mirror_lead_to_its_signed_root() -> None:
    """300 leaves over two tiles and a second level, written by another program."""

    def read(path: str) -> bytes | None:
        file = SUNLIGHT / "mirror" / path
        return file.read_bytes() if file.is_file() else None

    note = (SUNLIGHT / "mirror-checkpoint").read_bytes()
    assert root_of(read, 300) == parse(Verifier(_witness_key("mirror")).verify(note)).root


@pytest.mark.requirement("A2")
@pytest.mark.parametrize("size", range(16))
def test_our_tiles_equal_those_of_tessera_byte_for_byte(size: int) -> None:
    """The same leaves give the same files, root and signed size as the log that Tessera wrote."""
    leaves = [text.encode() for text in json.loads((TESSERA / "leaves.json").read_text())]
    note = (TESSERA / f"checkpoint.{size}").read_bytes()
    checkpoint = parse(Verifier((TESSERA / "log.vkey").read_text()).verify(note))
    growth = grow(lambda _: None, 0, leaves[:size])
    assert (checkpoint.size, checkpoint.root) == (growth.size, growth.root)
    for path, data in growth.files.items():
        assert (TESSERA / path).read_bytes() == data, path


def test_entries_are_read_from_the_bundles_of_tessera() -> None:
    """Reading another log's entries, one by one."""
    leaves = [text.encode() for text in json.loads((TESSERA / "leaves.json").read_text())]

    def read(path: str) -> bytes | None:
        return (TESSERA / path).read_bytes() if (TESSERA / path).is_file() else None

    assert [entry(read, index, 15) for index in range(15)] == leaves
    assert encode_bundle(leaves) == read(entries_path(0, 15))
    hashes = read("tile/0/000.p/15") or b""
    assert re.findall(b"(?s).{32}", hashes) == [leaf_hash(leaf) for leaf in leaves]
