"""Laws of the log, each beside the obvious implementation: RFC 6962's recursion, rfc8785, plain lists."""

import datetime as dt
import enum
import hashlib
import io
import string
import uuid
from typing import Any

import orjson
import pytest
import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st

from magistrate.evidence.canonical import LARGEST_INTEGER, decode, encode
from magistrate.evidence.checkpoint import Checkpoint
from magistrate.evidence.checkpoint import parse as parse_checkpoint
from magistrate.evidence.merkle import leaf_hash, verify_consistency, verify_inclusion
from magistrate.evidence.note import NoteError, Signer, Verifier
from magistrate.evidence.proof import Proof, ProofError
from magistrate.evidence.proof import check as check_proof
from magistrate.evidence.proof import parse as parse_proof
from magistrate.evidence.seal import SealBroken, open_sealed, seal
from magistrate.evidence.segment import encode_frame, frames, read_frame
from magistrate.evidence.tiles import (
    decode_bundle,
    encode_bundle,
    entry,
    grow,
    prove_consistency,
    prove_inclusion,
    root_of,
    tile_path,
)

HASH = st.binary(min_size=32, max_size=32)
SIGNER = Signer("laws.example/log", bytes(32))


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 6962 section 2.1.1, word for word."""
    if len(leaves) == 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if index < k:
        return [*naive_path(index, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(index - k, leaves[k:]), naive_root(leaves[:k])]


def naive_consistency(old: int, leaves: list[bytes], whole: bool = True) -> list[bytes]:
    """RFC 6962 section 2.1.2, word for word."""
    if old == len(leaves):
        return [] if whole else [naive_root(leaves)]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if old <= k:
        return [*naive_consistency(old, leaves[:k], whole), naive_root(leaves[k:])]
    return [*naive_consistency(old - k, leaves[k:], False), naive_root(leaves[:k])]


def _leaves(size: int) -> list[bytes]:
    return [b"%d" % number for number in range(size)]


@pytest.mark.requirement("A2")
@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=6), st.data())
def test_a_log_grown_in_any_batches_is_the_tree_of_rfc_6962(batches: list[int], data: st.DataObject) -> None:
    """Root, every proof and every file depend on the entries alone, not on how they came; old sizes stay provable."""
    size = sum(batches)
    leaves, files, at, sizes = _leaves(size), dict[str, bytes](), 0, []
    for batch in batches:
        growth = grow(files.get, at, leaves[at : at + batch])
        files |= growth.files
        at += batch
        assert (growth.size, growth.root) == (at, naive_root(leaves[:at]))
        sizes.append(at)
    at_once = grow({}.get, 0, leaves)
    assert {path: files[path] for path in at_once.files} == at_once.files
    assert root_of(files.get, size) == at_once.root
    if size:
        index = data.draw(st.integers(0, size - 1))
        path = prove_inclusion(files.get, index, size)
        assert path == naive_path(index, leaves)
        assert verify_inclusion(leaf_hash(leaves[index]), index, size, path, at_once.root)
        assert entry(files.get, index, size) == leaves[index]
        old = data.draw(st.sampled_from([one for one in sizes if one] or [size]))
        proof = prove_consistency(files.get, old, size)
        assert proof == naive_consistency(old, leaves)
        assert verify_consistency(old, naive_root(leaves[:old]), size, at_once.root, proof)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 300), st.data())
def test_a_proof_proves_nothing_but_its_own_leaf_place_and_tree(size: int, data: st.DataObject) -> None:
    """Another leaf, index or size, a changed, missing or added hash: none is accepted."""
    leaves = _leaves(size)
    files = grow({}.get, 0, leaves)
    index = data.draw(st.integers(0, size - 1))
    path = prove_inclusion(files.files.get, index, size)
    leaf = leaf_hash(leaves[index])
    other = data.draw(st.integers(0, 400).filter(lambda one: one != index))
    assert not verify_inclusion(leaf, other, size, path, files.root)
    assert not verify_inclusion(leaf_hash(b"another"), index, size, path, files.root)
    assert not verify_inclusion(leaf, index, size, [*path, bytes(32)], files.root)
    if path:
        where = data.draw(st.integers(0, len(path) - 1))
        changed = path[:where] + [bytes(31) + b"x"] + path[where + 1 :]
        assert not verify_inclusion(leaf, index, size, changed, files.root)
        assert not verify_inclusion(leaf, index, size, path[:where] + path[where + 1 :], files.root)


@given(st.lists(st.binary(max_size=300), max_size=40))
def test_a_bundle_of_entries_comes_back_as_it_was(entries: list[bytes]) -> None:
    """Lengths and order survive."""
    assert decode_bundle(encode_bundle(entries)) == entries


@pytest.mark.fault(18, 63)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_bundle_or_refused(data: bytes) -> None:
    """What is read spells the same bytes again; nothing else is raised than ValueError."""
    try:
        entries = decode_bundle(data)
    except ValueError:
        return
    assert encode_bundle(entries) == data


@given(st.integers(0, 10**12), st.integers(1, 256))
def test_a_tile_has_a_path_of_its_own(number: int, width: int) -> None:
    """The path reads back to number and width; no two tiles share a file."""
    head, _, partial = tile_path(3, number, width).removeprefix("tile/3/").partition(".p/")
    assert int(head.replace("x", "").replace("/", "")) == number
    assert (int(partial) if partial else 256) == width
    assert [len(group.removeprefix("x")) for group in head.split("/")] == [3] * len(head.split("/"))


KEYS = st.text(string.ascii_letters + string.digits + "_.", max_size=8)
PROFILE = st.recursive(
    st.none() | st.booleans() | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(KEYS, PROFILE, max_size=6))
def test_inside_the_profile_the_quick_encoder_is_jcs(header: dict[str, Any]) -> None:
    """Byte for byte as rfc8785 spells it, and back."""
    data = encode(header)
    assert data == rfc8785.dumps(header)
    assert decode(data) == header


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=6)
    | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=10,
)


@pytest.mark.fault(8, 63)
@given(st.dictionaries(st.text(max_size=3), ANYTHING, max_size=4))
def test_anything_else_is_refused_with_its_place(header: dict[str, Any]) -> None:
    """A header is encoded as JCS spells it, or refused as ValueError: never as something in between."""
    problem = ""
    try:
        data = encode(header)
    except ValueError as error:
        problem = str(error)
    assert "`" in problem if problem else data == rfc8785.dumps(header)


def in_profile(value: object, left: int = 32) -> bool:
    """The profile, value by value. A value that is a kind of text is that text; a key is text and nothing more."""
    if type(value) in {dict, list, tuple}:
        pairs = value.items() if isinstance(value, dict) else (("", item) for item in value)  # type: ignore[attr-defined]
        return left > 0 and all(
            type(key) is str and key.isascii() and in_profile(item, left - 1) for key, item in pairs
        )
    if type(value) is int:
        return abs(value) <= LARGEST_INTEGER
    if isinstance(value, str):
        return not any("\ud800" <= character <= "\udfff" for character in value)
    return value is None or type(value) is bool


class Word(str):
    """Text, but not exactly."""

    __slots__ = ()


class Coin(enum.StrEnum):
    """Two texts that are no texts."""

    HEADS = "heads"


def nested(depth: int) -> object:
    value: object = 1
    for level in range(depth):
        value = {"a": value} if level % 3 else [value]
    return value


STRANGE = st.one_of(
    ANYTHING,
    st.integers(29, 34).map(nested),
    st.sampled_from([Word("a"), Coin.HEADS, (1, "a"), ({"b": 2},), uuid.UUID(int=1), dt.date(2026, 1, 1)]),
    st.sampled_from([2**53 - 1, 2**53, -(2**53), -(2**53) + 1, 2**64, "é", "\ud800", 1.0]),
)
STRANGE_KEYS = st.one_of(KEYS, st.sampled_from(["é", Word("b"), Coin.HEADS, 1, None, True]))


@pytest.mark.fault(8, 63)
@given(
    st.dictionaries(
        STRANGE_KEYS, st.one_of(STRANGE, st.dictionaries(STRANGE_KEYS, STRANGE, max_size=2)), max_size=3
    )
)
@example({"a": nested(31)})
@example({"a": nested(32)})
@example({"a": 2**53})
@example({Word("a"): 1})
@example({"a": Word("a")})
@example({"a": uuid.UUID(int=1)})
@example({"é": 1})
@example({"a": 1.0})
def test_a_header_is_encoded_exactly_if_each_value_stands_in_the_profile(header: dict[Any, Any]) -> None:
    """What only looks like text or a number is refused, too: ids, dates, keys that are members of enumerations."""
    try:
        data = encode(header)
    except ValueError:
        data = None
    assert (data is not None) == in_profile(header)
    assert data is None or data == rfc8785.dumps(header)


@pytest.mark.fault(63)
@given(st.binary(max_size=60) | st.text(max_size=40).map(str.encode))
def test_bytes_that_are_no_header_are_refused(data: bytes) -> None:
    """Decoding accepts exactly what encoding produces."""
    try:
        header = decode(data)
    except ValueError:
        return
    assert encode(header) == data


SPELLINGS = st.sampled_from(
    [
        *(b"0", b"-0", b"-1", b"1.0", b"1e5", b"1E2", b"-0.0", b"9007199254740991", b"9007199254740992"),
        *(
            b"-9007199254740992",
            b"18446744073709551616",
            b"1e999",
            b"01",
            b"null",
            b"true",
            b"NaN",
            b"{}",
            b"[]",
        ),
        *(
            b'"a"',
            b'"\\u0061"',
            b'"\\u00e9"',
            '"é"'.encode(),
            b'"\\ud800"',
            b'"\\n"',
            b'"\\u000a"',
            b'"\n"',
            b'"\x7f"',
        ),
        *(b"[" * depth + b"]" * depth for depth in (30, 31, 32, 33, 400)),
        *(b'{"a":' * depth + b"1" + b"}" * depth for depth in (30, 31, 32, 33, 400)),
        b'"\xff"',
    ]
)
NAMES = st.sampled_from([b'"a"', b'"b"', b'"b.c"', '"é"'.encode(), b'"\\u0062"', b'""', b"1", b'"a" '])


@st.composite
def spelt(draw: st.DrawFn) -> bytes:
    """An object spelled by hand, out of pieces that come near to the profile's borders; sometimes one byte is changed."""
    pairs = draw(st.lists(st.tuples(NAMES, SPELLINGS), max_size=4))
    if draw(st.booleans()):
        pairs = sorted(dict(pairs).items())
    data = bytearray(b"{" + b",".join(name + b":" + value for name, value in pairs) + b"}")
    if draw(st.booleans()):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data)


@pytest.mark.fault(6, 7, 63)
@given(spelt())
@example(b'{"a":' * 32 + b"1" + b"}" * 32)
@example(b'{"a":9007199254740991}')
def test_the_quick_reader_takes_what_the_careful_one_takes(data: bytes) -> None:
    """A header counts exactly if its value, looked at piece by piece, is spelled so and stands in the profile."""
    try:
        value = orjson.loads(data)
        careful = value if type(value) is dict and encode(value) == data else None
    except ValueError:
        careful = None
    try:
        quick = decode(data)
    except ValueError:
        quick = None
    assert quick == careful


@pytest.mark.fault(63)
@given(st.binary(max_size=400), st.binary(max_size=80))
def test_notes_proofs_and_checkpoints_fail_as_themselves(noise: bytes, more: bytes) -> None:
    """Whatever the bytes: NoteError or ProofError, and never a signature that is none."""
    for data in (
        noise,
        noise + b"\n\n" + more,
        b"a\n1\n" + noise + "\n\n— laws.example/log ".encode() + more + b"\n",
    ):
        with pytest.raises(NoteError):
            Verifier(SIGNER.vkey).verify(data)
        with pytest.raises(ProofError):
            check_proof(
                parse_proof(b"c2sp.org/tlog-proof@v1\nindex 0\n" + data), b"leaf", Verifier(SIGNER.vkey)
            )


@given(st.integers(0, 2**62), HASH)
def test_a_checkpoint_is_read_as_it_was_signed(size: int, root: bytes) -> None:
    """Origin, size and root survive signing."""
    checkpoint = Checkpoint(SIGNER.name, size, root)
    assert parse_checkpoint(Verifier(SIGNER.vkey).verify(SIGNER.sign(checkpoint.text()))) == checkpoint


@given(st.integers(0, 2**62), st.lists(HASH, max_size=63))
def test_a_proof_is_read_as_it_was_written(index: int, path: list[bytes]) -> None:
    """Index, path and checkpoint survive the file."""
    proof = Proof(index, tuple(path), SIGNER.sign("laws.example/log\n1\nAAAA\n"))
    assert parse_proof(proof.encode()) == proof


@settings(deadline=None)
@given(st.binary(max_size=3000), HASH, st.binary(min_size=12, max_size=12), st.data())
def test_a_sealed_body_opens_to_itself_or_not_at_all(
    content: bytes, key: bytes, nonce: bytes, data: st.DataObject
) -> None:
    """Under its key, place and bytes it opens; with one bit, the key or the place changed it does not."""
    eid = "0192f0c1-2345-7abc-8def-0123456789ab"
    salt = hashlib.sha256(content).digest()
    sealed = seal(
        content,
        key=key,
        log="l",
        eid=eid,
        part="request",
        media="text/plain",
        kid="k",
        salt=salt,
        nonce=nonce,
    )
    assert open_sealed(sealed.ciphertext, sealed.meta, key=key, log="l", eid=eid) == (content, salt)
    bit = data.draw(st.integers(0, len(sealed.ciphertext) * 8 - 1))
    changed = bytearray(sealed.ciphertext)
    changed[bit // 8] ^= 1 << bit % 8
    relabelled = {**sealed.meta, "ct": hashlib.sha256(changed).hexdigest()}
    wrong: list[tuple[bytes, dict[str, Any], bytes, str, str]] = [
        (bytes(changed), sealed.meta, key, "l", eid),
        (bytes(changed), relabelled, key, "l", eid),
        (sealed.ciphertext, sealed.meta, bytes(31) + b"k", "l", eid),
        (sealed.ciphertext, sealed.meta, key, "other", eid),
        (sealed.ciphertext, sealed.meta, key, "l", eid.replace("9ab", "9ac")),
        (sealed.ciphertext, {**sealed.meta, "part": "response"}, key, "l", eid),
        (sealed.ciphertext, {**sealed.meta, "len": len(content) + 1}, key, "l", eid),
        (sealed.ciphertext, {**sealed.meta, "cm": "0" * 64}, key, "l", eid),
    ]
    for ciphertext, meta, one_key, log, one_eid in wrong:
        with pytest.raises(SealBroken):
            open_sealed(ciphertext, meta, key=one_key, log=log, eid=one_eid)


@pytest.mark.fault(40)
@given(
    st.lists(st.tuples(st.text(max_size=40), st.text(max_size=9), st.binary(max_size=60)), max_size=6),
    st.data(),
)
def test_a_segment_torn_anywhere_keeps_its_whole_frames(
    bodies: list[tuple[str, str, bytes]], data: st.DataObject
) -> None:
    """Cut at any byte, the frames before the cut are there and the torn one is not."""
    spelt = [encode_frame(*body) for body in bodies]
    segment = b"".join(spelt)
    cut = data.draw(st.integers(0, len(segment)))
    whole, end = 0, 0
    while whole < len(spelt) and end + len(spelt[whole]) <= cut:
        end += len(spelt[whole])
        whole += 1
    found = list(frames(segment[:cut]))
    assert [(frame.eid, frame.part, frame.ciphertext) for frame in found] == bodies[:whole]
    for frame in found:
        file = io.BytesIO(segment)
        file.seek(frame.offset)
        assert read_frame(file) == frame
