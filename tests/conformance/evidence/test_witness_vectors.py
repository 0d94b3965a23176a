"""The exchange that another witness's tests publish, against ours; and the answers that the specification asks for."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.evidence.vectors import load

from magistrate.adapters.witness.book import Book
from magistrate.adapters.witness.listener import Witness
from magistrate.evidence.checkpoint import Checkpoint
from magistrate.evidence.cosignature import ED25519, ML_DSA_44, Cosigner, vkey
from magistrate.evidence.note import Signer, Verifier
from magistrate.evidence.tiles import grow, prove_consistency
from magistrate.evidence.witness import SIZE_TYPE, Request

VECTORS = load("tlog-witness/litewitness_add_checkpoint.json")
ORIGIN = "sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562"
SIGSUM = vkey(ORIGIN, 0x01, bytes.fromhex(VECTORS["setup"][0].partition("-key=")[2]))
COSIGNERS = [Cosigner("example.com/witness", bytes(32), kind) for kind in (ED25519, ML_DSA_44)]
LOG = Signer("log.example/one", bytes(32))
STRANGER = Signer("log.example/one", bytes(31) + b"x")


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    opened = Book(tmp_path, create=True)
    yield opened
    opened.close()


@pytest.fixture
def witness(book: Book) -> Witness:
    keys = [Verifier(SIGSUM), Verifier(LOG.vkey)]
    return Witness(book, COSIGNERS, {key.name: [key] for key in keys}, lambda: 1_700_000_000)


@pytest.mark.fault(31)
@pytest.mark.verifier("ours", "vectors")
@pytest.mark.requirement("A2", "A7")
def test_the_published_exchange_goes_as_published(witness: Witness) -> None:
    """Nine requests in a row. Only the unknown log's status differs: the specification (v1.0.0) says 404, not 403."""
    for number, step in enumerate(VECTORS["exchanges"]):
        answer = witness.add_checkpoint(step["body"].encode())
        expected = 404 if "unknown log" in str(step["expect_body"]) else step["expect_status"]
        assert answer.status == expected, (number, answer)
        if expected == 200:
            note = step["body"].encode().partition(b"\n\n")[2]
            for cosigner in COSIGNERS:
                found = Verifier(cosigner.vkey).cosignature(note + answer.body)
                assert found is not None
                assert found.time_s == 1_700_000_000
        if expected == 409:
            assert answer.media == SIZE_TYPE
            assert repr(answer.body.decode()).replace("'", '"') == step["expect_body"][0][1]


class Tree:
    """A log of 300 records, signed as it stood at any size."""

    files: dict[str, bytes] = {}
    roots: dict[int, bytes] = {}

    def __init__(self) -> None:
        if not self.roots:
            for size in range(301):
                growth = grow(self.files.get, max(0, size - 1), [b"%d" % (size - 1)] if size else [])
                self.files.update(growth.files)
                self.roots[size] = growth.root

    def request(self, old: int, size: int, *, signer: Signer = LOG, root: bytes | None = None) -> Request:
        note = signer.sign(Checkpoint(LOG.name, size, root or self.roots[size]).text())
        proof = prove_consistency(self.files.get, old, size) if 0 < old <= size else []
        return Request(old, tuple(proof), note)


TREE = Tree()
BAD = b"x" * 32


def changed(request: Request, **fields: Any) -> Request:
    return Request(**{"old": request.old, "proof": request.proof, "note": request.note, **fields})


@pytest.mark.fault(34)
@pytest.mark.parametrize(
    ("seen", "request_", "status"),
    [
        (0, TREE.request(0, 0), 200),
        (0, TREE.request(0, 5), 200),
        (5, TREE.request(5, 5), 200),
        (5, TREE.request(5, 300), 200),
        (5, TREE.request(0, 6), 409),
        (5, TREE.request(4, 6), 409),
        (5, TREE.request(6, 5), 400),
        (5, TREE.request(5, 6, signer=STRANGER), 403),
        (5, TREE.request(5, 5, root=BAD), 409),
        (5, TREE.request(5, 6, root=BAD), 422),
        (5, changed(TREE.request(5, 6), proof=()), 422),
        (5, changed(TREE.request(5, 5), proof=(BAD,)), 422),
        (0, changed(TREE.request(0, 5), proof=(BAD,)), 422),
        (0, TREE.request(0, 0, root=BAD), 409),
        (5, changed(TREE.request(5, 300), proof=(BAD,) * 64), 400),
        (5, changed(TREE.request(5, 300), proof=(b"short",)), 400),
        (5, changed(TREE.request(5, 6), note=b"no note"), 400),
        (5, changed(TREE.request(5, 6), note=LOG.sign("unknown.example/x\n5\n" + base64.b64encode(BAD).decode() + "\n")), 404),
    ],
)  # fmt: skip
def test_every_request_gets_the_status_of_the_specification(
    witness: Witness, book: Book, seen: int, request_: Request, status: int
) -> None:
    """After a checkpoint of ``seen`` records. What is refused changes nothing in the book."""
    if seen:
        assert witness.add_checkpoint(TREE.request(0, seen).encode()).status == 200
    answer = witness.add_checkpoint(request_.encode())
    assert answer.status == status, answer
    if status != 200:
        assert book.seen(LOG.name).size == seen
    if status == 409:
        assert answer.body == b"%d\n" % seen


@pytest.mark.parametrize(
    "body",
    [b"", b"old 5", b"old 05\n\nx\n", b"old -1\n\nx\n", b"new 5\n\nx\n", b"old 5\n!!!\n\nx\n", b"old " + b"9" * 20 + b"\n\nx\n",
     b"old 1\r\n\r\nx\n", b"\n\n"],
)  # fmt: skip
def test_what_is_no_request_is_refused_as_such(witness: Witness, body: bytes) -> None:
    """400, whatever the bytes."""
    assert witness.add_checkpoint(body).status == 400


@pytest.mark.requirement("A2")
def test_two_trees_of_one_size_are_kept_as_proof(witness: Witness, book: Book) -> None:
    """A log that signs another root for a size it showed before has proved its own misbehaviour."""
    witness.add_checkpoint(TREE.request(0, 7).encode())
    assert witness.add_checkpoint(TREE.request(7, 7, root=BAD).encode()).status == 409
    (entry,) = book.entries()
    assert (entry.size, entry.conflicts) == (7, 1)
    assert entry.note == TREE.request(0, 7).note


def test_a_stranger_cannot_accuse_a_log(witness: Witness, book: Book) -> None:
    """A garbled proof beside an honest checkpoint is the sender's doing, not the log's."""
    witness.add_checkpoint(TREE.request(0, 7).encode())
    witness.add_checkpoint(changed(TREE.request(7, 9), proof=(BAD,)).encode())
    assert book.entries()[0].conflicts == 0
