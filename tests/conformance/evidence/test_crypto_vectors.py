"""The primitives that the log stands on, against Wycheproof; and the canonical form against RFC 8785's own data."""

import json
from typing import Any

import orjson
import pytest
import rfc8785
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tests.conformance.evidence.vectors import folder, load

from magistrate.evidence.canonical import decode, encode
from magistrate.evidence.note import verifies
from magistrate.evidence.seal import derive

JCS = folder("rfc8785")


def _cases(name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [
        (group, test)
        for group in load(f"wycheproof/{name}_test.json")["testGroups"]
        for test in group["tests"]
    ]


def test_ed25519_agrees_with_wycheproof() -> None:
    """Valid signatures verify, malleable, truncated and misencoded ones do not."""
    wrong = []
    for group, test in _cases("ed25519"):
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(group["publicKey"]["pk"]))
        accepted = verifies(key, bytes.fromhex(test["sig"]), bytes.fromhex(test["msg"]))
        if accepted is not (test["result"] == "valid"):
            wrong.append((test["tcId"], test["comment"]))
    assert wrong == []


def test_aes_gcm_agrees_with_wycheproof_in_the_form_we_use() -> None:
    """256-bit keys, 96-bit nonces: what is sealed equals the vector, and a changed tag or text does not open."""
    checked = 0
    for group, test in _cases("aes_gcm"):
        if (group["keySize"], group["ivSize"], group["tagSize"]) != (256, 96, 128):
            continue
        key, nonce, aad, text, sealed, tag = (
            bytes.fromhex(test[name]) for name in ("key", "iv", "aad", "msg", "ct", "tag")
        )
        if test["result"] == "valid":
            assert AESGCM(key).encrypt(nonce, text, aad) == sealed + tag, test["tcId"]
            assert AESGCM(key).decrypt(nonce, sealed + tag, aad) == text, test["tcId"]
        else:
            with pytest.raises(InvalidTag):
                AESGCM(key).decrypt(nonce, sealed + tag, aad)
        checked += 1
    assert checked > 50


def test_key_derivation_agrees_with_wycheproof() -> None:
    """HKDF-SHA256 with an empty salt: 32 bytes are the beginning of every longer output."""
    checked = 0
    for _, test in _cases("hkdf_sha256"):
        if test["salt"] or test["result"] != "valid":
            continue
        got = derive(bytes.fromhex(test["ikm"]), bytes.fromhex(test["info"]))
        expected = bytes.fromhex(test["okm"])
        length = min(32, len(expected))
        assert got[:length] == expected[:length], test["tcId"]
        checked += 1
    assert checked >= 10


@pytest.mark.fault(8)
@pytest.mark.verifier("ours", "vectors")
@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("arrays", ""),
        ("unicode", ""),
        ("french", "no ASCII key"),
        ("structures", "is a float"),
        ("values", "is a float"),
        ("weird", "no ASCII key"),
    ],
)
def test_a_published_document_is_spelt_as_published_or_refused(name: str, refused: str) -> None:
    """Inside the profile our bytes are the published ones; outside it the document is refused, never misspelt."""
    document = {"in": json.loads((JCS / "input" / f"{name}.json").read_text(encoding="utf-8"))}
    published = b'{"in":' + (JCS / "output" / f"{name}.json").read_bytes() + b"}"
    assert rfc8785.dumps(document) == published
    if refused:
        with pytest.raises(ValueError, match=refused):
            encode(document)
    else:
        assert encode(document) == published
        assert decode(published) == document


def test_characters_that_encoders_disagree_about_are_spelt_as_in_rfc_8785() -> None:
    """Control characters, DEL, line separators, slashes, astral characters: every code point of the first planes."""
    everything = {
        f"{start:x}": "".join(map(chr, range(start, start + 0x400)))
        for start in [*range(0, 0xD800, 0x400), *range(0xE000, 0x10800, 0x400)]
    }
    for name, text in everything.items():
        assert encode({name: text}) == rfc8785.dumps({name: text})
    assert orjson.loads(encode({"a": "\x7f\u2028/"})) == {"a": "\x7f\u2028/"}
