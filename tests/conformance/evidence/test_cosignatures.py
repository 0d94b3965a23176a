"""Cosignatures of both kinds, checked by a second implementation of ML-DSA and against the specification's structure."""

import base64
import struct

import pytest
from dilithium_py.ml_dsa import ML_DSA_44 as SecondImplementation
from tests.conformance.evidence.vectors import load

from magistrate.evidence.checkpoint import Checkpoint
from magistrate.evidence.cosignature import ED25519, ML_DSA_44, Cosigner, message
from magistrate.evidence.note import NoteError, Signer, Verifier, open_note

LOG = Signer("log.example/one", bytes(32))
TEXT = Checkpoint(LOG.name, 20852163, bytes(range(32))).text()
KINDS = pytest.mark.parametrize("kind", [ED25519, ML_DSA_44])


def cosigned(
    kind: int, *, name: str = "witness.example/w1", text: str = TEXT, now_s: int = 1_700_000_000
) -> bytes:
    return LOG.sign(text) + Cosigner(name, bytes(range(32)), kind).line(text, now_s)


@KINDS
@pytest.mark.requirement("A2")
def test_a_cosignature_names_its_time_and_covers_name_time_origin_size_and_root(kind: int) -> None:
    """One change anywhere, and it does not verify; an extension line is covered by Ed25519 only, as specified."""
    cosigner = Cosigner("witness.example/w1", bytes(range(32)), kind)
    note = cosigned(kind)
    found = Verifier(cosigner.vkey).cosignature(note)
    assert found is not None
    assert found.time_s == 1_700_000_000
    assert Verifier(LOG.vkey).verify(note) == TEXT
    text, signatures = open_note(note)
    _, identifier, blob = signatures[1]
    for wrong in (
        note.replace(b"log.example/one\n", b"log.example/two\n", 1),
        note.replace(b"20852163", b"20852164"),
        note.replace(b"AAECAwQF", b"AAECAwQG"),
        _with(text, identifier + struct.pack(">Q", 1_700_000_001) + blob[8:]),
        _with(text, identifier + blob[:-1] + bytes([blob[-1] ^ 1])),
        _with(text, identifier + blob[:-1]),
    ):
        with pytest.raises(NoteError):
            Verifier(cosigner.vkey).cosignature(wrong)


def _with(text: str, blob: bytes) -> bytes:
    return f"{text}\n— witness.example/w1 {base64.b64encode(blob).decode()}\n".encode()


@pytest.mark.requirement("A2")
def test_a_second_implementation_accepts_our_ml_dsa_cosignature() -> None:
    """FIPS 204 by other hands, over the structure spelt out here from the specification's text."""
    cosigner = Cosigner("witness.example/w1", bytes(range(32)), ML_DSA_44)
    _, signatures = open_note(cosigned(ML_DSA_44))
    moment, signature = signatures[1][2][:8], signatures[1][2][8:]
    structure = (
        b"subtree/v1\n\0"
        + bytes([18]) + b"witness.example/w1" + moment
        + bytes([15]) + b"log.example/one"
        + (0).to_bytes(8) + (20852163).to_bytes(8) + bytes(range(32))
    )  # fmt: skip
    assert structure == message(ML_DSA_44, "witness.example/w1", 1_700_000_000, TEXT)
    public = Verifier(cosigner.vkey).public
    assert SecondImplementation.verify(public, structure, signature)
    assert not SecondImplementation.verify(public, structure + b"x", signature)


def test_we_accept_a_second_implementations_ml_dsa_cosignature() -> None:
    """The same seed gives the same key there, and its signature verifies here."""
    cosigner = Cosigner("witness.example/w1", bytes(range(32)), ML_DSA_44)
    public, secret = SecondImplementation.key_derive(bytes(range(32)))
    assert public == Verifier(cosigner.vkey).public
    signature = SecondImplementation.sign(secret, message(ML_DSA_44, cosigner.name, 5, TEXT))
    found = Verifier(cosigner.vkey).cosignature(_with(TEXT, cosigner.id + struct.pack(">Q", 5) + signature))
    assert found is not None
    assert found.time_s == 5


def test_the_published_time_of_a_cosignature_is_where_we_read_it() -> None:
    """A line that another implementation published, with its time."""
    vector = load("signed-note/formats_vkeys.json")["cosigv1_timestamp"]
    blob = base64.b64decode(vector["signature_base64"])
    assert struct.unpack(">Q", blob[4:12])[0] == vector["unix"]
    assert len(blob) == 4 + 8 + 64


@KINDS
@pytest.mark.parametrize("moment", [0, 2**63 - 1])
def test_the_first_and_the_last_time_survive(kind: int, moment: int) -> None:
    """The borders of the field."""
    cosigner = Cosigner("witness.example/w1", bytes(range(32)), kind)
    found = Verifier(cosigner.vkey).cosignature(cosigned(kind, now_s=moment))
    assert found is not None
    assert found.time_s == moment


@pytest.mark.fault(30)
def test_a_time_beyond_the_field_is_refused() -> None:
    """2^63 and more: whoever reads it as signed would read a negative time."""
    cosigner = Cosigner("witness.example/w1", bytes(range(32)))
    with pytest.raises(NoteError, match="beyond"):
        Verifier(cosigner.vkey).cosignature(cosigned(ED25519, now_s=2**63))


@pytest.mark.fault(30)
def test_a_cosignature_of_one_log_does_not_pass_under_anothers_checkpoint() -> None:
    """Replayed under another origin, an ML-DSA or Ed25519 line does not verify."""
    for kind in (ED25519, ML_DSA_44):
        cosigner = Cosigner("witness.example/w1", bytes(range(32)), kind)
        line = cosigner.line(TEXT, 7)
        other = Signer("log.example/two", bytes(32))
        note = other.sign(TEXT.replace("/one", "/two")) + line
        with pytest.raises(NoteError, match="does not verify"):
            Verifier(cosigner.vkey).cosignature(note)
