"""Merkle proofs against the vectors of transparency-dev/merkle: 196 cases, 184 of them to be rejected."""

from base64 import b64decode
from typing import Any

import pytest
from tests.conformance.evidence.vectors import load

from magistrate.evidence.merkle import EMPTY_ROOT, leaf_hash, node_hash, verify_consistency, verify_inclusion
from magistrate.evidence.tiles import grow, prove_consistency, prove_inclusion, root_of

INCLUSION = load("rfc6962/inclusion.json")["cases"]
CONSISTENCY = load("rfc6962/consistency.json")["cases"]
REFERENCE = load("rfc6962/reference_tree.json")


def _bytes(text: str | None) -> bytes:
    return b64decode(text or "")


def _path(case: dict[str, Any]) -> list[bytes]:
    return [_bytes(step) for step in case["proof"] or []]


@pytest.mark.fault(20, 22)
@pytest.mark.verifier("ours", "vectors")
@pytest.mark.requirement("A2")
@pytest.mark.parametrize("case", INCLUSION, ids=lambda case: case["file"])
def test_an_inclusion_proof_is_accepted_exactly_when_it_should_be(case: dict[str, Any]) -> None:
    """Every published case, right and wrong, ends in the published verdict."""
    accepted = verify_inclusion(
        _bytes(case["leafHash"]), case["leafIdx"], case["treeSize"], _path(case), _bytes(case["root"])
    )
    assert accepted is not case["wantErr"]


@pytest.mark.fault(20)
@pytest.mark.verifier("ours", "vectors")
@pytest.mark.requirement("A2")
@pytest.mark.parametrize("case", CONSISTENCY, ids=lambda case: case["file"])
def test_a_consistency_proof_is_accepted_exactly_when_it_should_be(case: dict[str, Any]) -> None:
    """Every published case ends in the published verdict, but one: its roots are the words `dont care 2`.

    Whoever accepts hashes that are not 32 bytes long accepts empty ones; so this room is stricter there.
    """
    roots = _bytes(case["root1"]), _bytes(case["root2"])
    accepted = verify_consistency(case["size1"], roots[0], case["size2"], roots[1], _path(case))
    assert accepted is (not case["wantErr"] and all(len(root) == 32 for root in roots))


def test_the_reference_tree_has_the_published_hashes() -> None:
    """Leaves, inner nodes and the roots of all sizes from 0 to 8."""
    leaves = [bytes.fromhex(text) for text in REFERENCE["leaf_inputs_hex"]]
    level = [leaf_hash(leaf) for leaf in leaves]
    for name in ("leaf_hashes_hex", "level1_hex", "level2_hex", "level3_hex"):
        assert [value.hex() for value in level] == REFERENCE[name]
        level = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
    roots = [grow(lambda _: None, 0, leaves[:size]).root.hex() for size in range(len(leaves) + 1)]
    assert roots == REFERENCE["root_by_size_hex"]
    assert REFERENCE["empty_root_hex"] == EMPTY_ROOT.hex()


def test_our_own_proofs_of_the_reference_tree_are_accepted() -> None:
    """Every leaf in every size, and every pair of sizes."""
    leaves = [bytes.fromhex(text) for text in REFERENCE["leaf_inputs_hex"]]
    files = grow(lambda _: None, 0, leaves).files | {
        path: data
        for size in range(1, 9)
        for path, data in grow(lambda _: None, 0, leaves[:size]).files.items()
    }
    roots = [bytes.fromhex(text) for text in REFERENCE["root_by_size_hex"]]
    for size in range(1, 9):
        assert root_of(files.get, size) == roots[size]
        for index in range(size):
            path = prove_inclusion(files.get, index, size)
            assert verify_inclusion(leaf_hash(leaves[index]), index, size, path, roots[size])
        for old in range(1, size + 1):
            proof = prove_consistency(files.get, old, size)
            assert verify_consistency(old, roots[old], size, roots[size], proof)
