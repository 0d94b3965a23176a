"""A log that this code wrote, judged by verifiers that others wrote: Go's sumdb, OpenSSL, and Node's standard library."""

import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from tests.conformance.evidence import go_auditor
from tests.conformance.evidence.go_auditor import Ask
from tests.conformance.evidence.vectors import load

from magistrate.evidence.checkpoint import Checkpoint
from magistrate.evidence.merkle import leaf_hash
from magistrate.evidence.note import Signer, Verifier, open_note, verifies
from magistrate.evidence.proof import Proof
from magistrate.evidence.tiles import Growth, grow, prove_consistency, prove_inclusion

BUNDLED = Path(__file__).parents[3] / "src" / "magistrate" / "evidence" / "bundled"
SIGNER = Signer("audit.example/log", bytes(range(32)))
SIZES = (1, 2, 255, 256, 257, 700, 70_000)


class Log:
    """A log that grew in batches; ``files`` holds every file it ever published."""

    def __init__(self, sizes: tuple[int, ...] = SIZES) -> None:
        self.files: dict[str, bytes] = {}
        self.grown: dict[int, Growth] = {}
        self.leaves = [f'{{"n":{number}}}'.encode() for number in range(sizes[-1])]
        at = 0
        for size in sizes:
            self.grown[size] = grow(self.files.get, at, self.leaves[at:size])
            self.files |= self.grown[size].files
            at = size
        self.size, self.root = at, self.grown[at].root

    def checkpoint(self) -> bytes:
        return SIGNER.sign(Checkpoint(SIGNER.name, self.size, self.root).text())

    def proof(self, index: int) -> Proof:
        return Proof(index, tuple(prove_inclusion(self.files.get, index, self.size)), self.checkpoint())


@pytest.fixture(scope="module")
def log() -> Log:
    return Log()


@pytest.fixture(scope="module")
def auditor(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Build the Go program once; return how to ask it."""
    if not go_auditor.available():
        pytest.skip(f"Go's sumdb packages are not on this machine: {go_auditor.PACKAGES}")
    return go_auditor.build(tmp_path_factory.mktemp("auditor"))


def _inclusion(log: Log, index: int) -> dict[str, Any]:
    return {"Index": index, "Leaf": log.leaves[index], "Path": list(log.proof(index).path)}


@pytest.mark.requirement("A2")
@pytest.mark.tool("go")
@pytest.mark.timeout(300)  # because a cold Go cache builds the standard library
def test_go_accepts_our_signature_tiles_inclusion_and_consistency(
    log: Log, auditor: Ask, tmp_path: Path
) -> None:
    """Go's own prover walks our tiles on disk; Go's own checker follows our proofs."""
    for path, data in log.files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    indexes = [0, 1, 254, 255, 256, 511, 699, 700, 65_535, 65_536, 69_887, 69_888, 69_999]
    answer = auditor(
        {
            "Vkey": SIGNER.vkey,
            "Checkpoint": log.checkpoint().decode(),
            "Tiles": str(tmp_path),
            "Inclusion": [_inclusion(log, index) for index in indexes],
            "Consistency": [
                {
                    "Size": size,
                    "Root": log.grown[size].root,
                    "Path": prove_consistency(log.files.get, size, log.size),
                }
                for size in SIZES
            ],
        }
    )
    assert answer["Checkpoint"] == ""
    assert answer["Size"] == log.size
    assert answer["Derived"] is True
    assert answer["Inclusion"] == [True] * len(indexes)
    assert answer["Consistency"] == [True] * len(SIZES)


@pytest.mark.fault(22)
@pytest.mark.verifier("ours", "go")
@pytest.mark.requirement("A2")
@pytest.mark.tool("go")
@pytest.mark.timeout(300)
def test_go_rejects_what_was_changed(log: Log, auditor: Ask) -> None:
    """Another record, another place, a flipped hash, a shorter path, another tree's past."""
    good = _inclusion(log, 300)
    flipped = [*good["Path"]]
    flipped[3] = bytes([flipped[3][0] ^ 1]) + flipped[3][1:]
    past = {"Size": 700, "Root": log.grown[700].root, "Path": prove_consistency(log.files.get, 700, log.size)}
    answer = auditor(
        {
            "Vkey": SIGNER.vkey,
            "Checkpoint": log.checkpoint().decode(),
            "Inclusion": [
                good,
                {**good, "Leaf": b'{"n":301}'},
                {**good, "Index": 301},
                {**good, "Path": flipped},
                {**good, "Path": good["Path"][:-1]},
            ],
            "Consistency": [past, {**past, "Size": 701}, {**past, "Root": log.grown[257].root}],
        }
    )
    assert answer["Inclusion"] == [True, False, False, False, False]
    assert answer["Consistency"] == [True, False, False]
    forged = log.checkpoint().replace(b"\n70000\n", b"\n70001\n").decode()
    assert "invalid signature" in auditor({"Vkey": SIGNER.vkey, "Checkpoint": forged})["Checkpoint"]


@pytest.mark.tool("go")
@pytest.mark.timeout(300)
def test_go_and_we_accept_the_same_odd_signatures(auditor: Ask) -> None:
    """914 signatures with low-order and misencoded points: no log that one of us accepts and the other rejects."""
    cases = [
        (bytes.fromhex(case["key"]), case["msg"].encode(), bytes.fromhex(case["sig"]))
        for case in load("cctv/ed25519vectors.json")
    ]
    ours = [verifies(Ed25519PublicKey.from_public_bytes(key), sig, msg) for key, msg, sig in cases]
    question = {"Signatures": [{"Key": key, "Message": msg, "Signature": sig} for key, msg, sig in cases]}
    assert auditor(question)["Signatures"] == ours
    assert 0 < sum(ours) < len(ours)


@pytest.mark.tool("openssl")
@pytest.mark.parametrize("text", ["as signed", "changed"])
def test_openssl_agrees_about_a_checkpoint(tool: str, log: Log, text: str, tmp_path: Path) -> None:
    """`openssl pkeyutl -verify -rawin` over the note's text with the key of the vkey."""
    document, ((_, _, signature),) = open_note(log.checkpoint())
    public = base64.b64decode(SIGNER.vkey.split("+", 2)[2])[1:]
    (tmp_path / "key").write_bytes(bytes.fromhex("302a300506032b6570032100") + public)
    (tmp_path / "text").write_bytes(document.encode() if text == "as signed" else b"x" + document.encode())
    (tmp_path / "signature").write_bytes(signature)
    command = f"{tool} pkeyutl -verify -pubin -keyform DER -inkey key -rawin -in text -sigfile signature"
    run = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, check=False, timeout=30)
    assert (run.returncode == 0) is (text == "as signed"), run.stderr


@pytest.mark.requirement("A2")
@pytest.mark.tool("node")
@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ("nothing", "VERIFIED: record 300 "),
        ("record", "REJECTED: the record is not in the signed tree"),
        ("path", "REJECTED: the record is not in the signed tree"),
        ("index", "REJECTED: the record is not in the signed tree"),
        ("size", "REJECTED: the checkpoint is not signed by this key"),
        ("key", "REJECTED: the checkpoint is not signed by this key"),
    ],
)
def test_the_bundled_verifier_decides_like_ours(
    tool: str, log: Log, change: str, verdict: str, tmp_path: Path
) -> None:
    """`verify.mjs` from the export bundle, on Node's standard library alone."""
    proof, record, vkey = log.proof(300).encode(), log.leaves[300], SIGNER.vkey
    if change == "record":
        record = record.replace(b"300", b"301")
    elif change == "path":
        proof = proof.replace(base64.b64encode(log.proof(300).path[2]), base64.b64encode(leaf_hash(b"")))
    elif change == "index":
        proof = proof.replace(b"index 300\n", b"index 301\n")
    elif change == "size":
        proof = proof.replace(b"\n70000\n", b"\n70001\n")
    elif change == "key":
        vkey = Signer(SIGNER.name, bytes(32)).vkey
    (tmp_path / "proof").write_bytes(proof)
    (tmp_path / "record").write_bytes(record)
    run = subprocess.run(
        [tool, BUNDLED / "verify.mjs", tmp_path / "proof", tmp_path / "record", vkey],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert run.stdout.startswith(verdict), run.stderr
    assert run.returncode == (0 if change == "nothing" else 1)


def test_we_verify_what_we_sign(log: Log) -> None:
    """The counterpart of the above on our own side."""
    assert Verifier(SIGNER.vkey).verify(log.checkpoint()).startswith("audit.example/log\n70000\n")
