"""Proofs, notes and keys that are not what they should be: three implementations refuse them, or all take them."""

import base64
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from magistrate.evidence.checkpoint import Checkpoint
from magistrate.evidence.merkle import leaf_hash, node_hash
from magistrate.evidence.note import Signer, Verifier, open_note
from magistrate.evidence.proof import HEADER, check, parse
from magistrate.evidence.tiles import grow, prove_inclusion
from tests.conformance.evidence.go_auditor import Ask
from tests.conftest import find_tool

BUNDLED = Path(__file__).parents[2] / "src" / "magistrate" / "evidence" / "bundled"
SIZE, INDEX = 300, 76
SIGNER, STRANGER = Signer("audit.example/log", bytes(range(32))), Signer("stranger.example/log", bytes(32))
LEAVES = [b'{"n":%d}' % number for number in range(SIZE)]
TREE = grow({}.get, 0, LEAVES)
PATH = prove_inclusion(TREE.files.get, INDEX, SIZE)
TEXT = Checkpoint(SIGNER.name, SIZE, TREE.root).text()
pytestmark = pytest.mark.timeout(300)  # because a cold Go cache builds the standard library


class Shown:
    """What a verifier is shown; good as it begins."""

    def __init__(self) -> None:
        self.index: Any = INDEX
        self.path, self.record, self.vkey = list(PATH), LEAVES[INDEX], SIGNER.vkey
        self.note = SIGNER.sign(TEXT)

    def proof(self) -> bytes:
        lines = [HEADER, f"index {self.index}", *(base64.b64encode(step).decode() for step in self.path)]
        return "\n".join([*lines, "", ""]).encode() + self.note


def line_of(signer: Signer, text: str = TEXT) -> bytes:
    return signer.sign(text).removeprefix(text.encode() + b"\n")


def forged_line() -> bytes:
    """Under our name and key id, a signature of something else."""
    return line_of(SIGNER, "audit.example/log\n1\nAAAA\n")


def nothing(_: Shown) -> None: ...


def a_hash_of_no_bytes(shown: Shown) -> None:
    shown.path[2] = b""


def a_hash_of_31_bytes(shown: Shown) -> None:
    shown.path[2] = shown.path[2][:31]


def an_index_beyond(shown: Shown) -> None:
    shown.index = SIZE


def an_index_far_beyond(shown: Shown) -> None:
    shown.index = SIZE + 512


def a_node_for_a_leaf(shown: Shown) -> None:
    """Second preimage: the two children of an inner node as one record, with the path from there."""
    left, right = leaf_hash(LEAVES[INDEX]), leaf_hash(LEAVES[INDEX + 1])
    assert node_hash(left, right) != leaf_hash(left + right)
    shown.record, shown.path, shown.index = left + right, shown.path[1:], INDEX // 2


def another_origin(shown: Shown) -> None:
    shown.note = SIGNER.sign(TEXT.replace("audit.example/log", "audit.example/two"))


def an_unknown_key_only(shown: Shown) -> None:
    shown.note = STRANGER.sign(TEXT)


def a_forged_line_first(shown: Shown) -> None:
    shown.note = TEXT.encode() + b"\n" + line_of(STRANGER) + forged_line() + line_of(SIGNER)


def a_forged_line_only(shown: Shown) -> None:
    shown.note = TEXT.encode() + b"\n" + line_of(STRANGER) + forged_line()


def grease(shown: Shown) -> None:
    """Seventeen lines by others, one of them of 5 KB."""
    shown.note += b"".join(line_of(Signer(f"other.example/{n}", bytes(31) + bytes([n]))) for n in range(16))
    shown.note += "— grease.example/x ".encode() + base64.b64encode(b"\x7f" * 5000) + b"\n"


def carriage_returns(shown: Shown) -> None:
    shown.note = shown.note.replace(b"\n", b"\r\n")


def control_characters(shown: Shown) -> None:
    shown.note = SIGNER.sign(TEXT + "an extension\x07\n")


def no_final_newline(shown: Shown) -> None:
    shown.note = shown.note[:-1]


def a_leading_zero(shown: Shown) -> None:
    shown.note = SIGNER.sign(TEXT.replace(f"\n{SIZE}\n", f"\n0{SIZE}\n"))


def a_key_with_a_wrong_id(shown: Shown) -> None:
    name, _, key = SIGNER.vkey.split("+", 2)
    shown.vkey = f"{name}+00000000+{key}"


def ours(shown: Shown, _place: Path, _go: Ask | None) -> bool:
    try:
        return check(parse(shown.proof()), shown.record, Verifier(shown.vkey)) == SIZE
    except ValueError:
        return False


def go(shown: Shown, _place: Path, ask: Ask | None) -> bool:
    if ask is None:
        pytest.skip("Go's sumdb packages are not on this machine")
    inclusion = {"Index": shown.index, "Leaf": shown.record, "Path": shown.path}
    if any(len(step) != 32 for step in shown.path):
        return False  # its type of a hash has 32 bytes: the question cannot be asked
    answer = ask({"Vkey": shown.vkey, "Checkpoint": shown.note.decode(), "Inclusion": [inclusion]})
    return answer["Checkpoint"] == "" and answer["Inclusion"] == [True]


def node(shown: Shown, place: Path, _go: Ask | None) -> bool:
    program = find_tool("node")
    assert program is not None
    (place / "proof").write_bytes(shown.proof())
    (place / "record").write_bytes(shown.record)
    command = [program, BUNDLED / "verify.mjs", place / "proof", place / "record", shown.vkey]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert run.stdout.startswith("VERIFIED") is (run.returncode == 0)
    return run.returncode == 0


@pytest.mark.requirement("A2")
@pytest.mark.verifier("ours", "go", "node")
@pytest.mark.parametrize(
    "judge",
    [
        ours,
        pytest.param(go, marks=pytest.mark.tool("go")),
        pytest.param(node, marks=pytest.mark.tool("node")),
    ],
)
@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (nothing, True),
        pytest.param(a_hash_of_no_bytes, False, marks=pytest.mark.fault(21)),
        pytest.param(a_hash_of_31_bytes, False, marks=pytest.mark.fault(21)),
        pytest.param(an_index_beyond, False, marks=pytest.mark.fault(22)),
        pytest.param(an_index_far_beyond, False, marks=pytest.mark.fault(22)),
        pytest.param(a_node_for_a_leaf, False, marks=pytest.mark.fault(23)),
        pytest.param(another_origin, False, marks=pytest.mark.fault(24)),
        pytest.param(an_unknown_key_only, False, marks=pytest.mark.fault(25)),
        pytest.param(a_forged_line_first, False, marks=pytest.mark.fault(26)),
        pytest.param(a_forged_line_only, False, marks=pytest.mark.fault(26)),
        pytest.param(grease, True, marks=pytest.mark.fault(27)),
        pytest.param(carriage_returns, False, marks=pytest.mark.fault(28)),
        pytest.param(control_characters, False, marks=pytest.mark.fault(28)),
        pytest.param(no_final_newline, False, marks=pytest.mark.fault(28)),
        pytest.param(a_leading_zero, False, marks=pytest.mark.fault(28)),
        pytest.param(a_key_with_a_wrong_id, False, marks=pytest.mark.fault(29)),
    ],
)
def test_three_implementations_take_and_refuse_the_same(
    tmp_path: Path,
    go_ask: Ask | None,
    judge: Callable[[Shown, Path, Ask | None], bool],
    change: Callable[[Shown], None],
    verdict: bool,
) -> None:
    """Ours, Go's note and tlog packages, and the script in the bundle."""
    shown = Shown()
    change(shown)
    assert judge(shown, tmp_path, go_ask) is verdict


def test_a_note_has_at_most_a_hundred_signatures() -> None:
    """More are a way to make a verifier work, and Go's limit is the same."""
    note = TEXT.encode() + b"\n" + line_of(STRANGER) * 99 + line_of(SIGNER)
    assert len(open_note(note)[1]) == 100
    with pytest.raises(ValueError, match="more than 100"):
        open_note(note + line_of(STRANGER))


@pytest.mark.requirement("A2", "A3")
@pytest.mark.fault(66)
@pytest.mark.verifier("ours", "go")
@pytest.mark.tool("go")
def test_proofs_of_a_million_records_are_followed_by_go(go_ask: Ask | None, tmp_path: Path) -> None:
    """A sample of 400, the edges of tiles among them; Go proves them from our tiles and follows our own proofs."""
    if go_ask is None:
        pytest.skip("Go's sumdb packages are not on this machine")
    size = 1_000_000
    leaves = [b"%d" % number for number in range(size)]
    tree = grow({}.get, 0, leaves)
    for path, data in tree.files.items():
        if not path.startswith("tile/entries/"):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(data)
    edges = [0, 1, 255, 256, 65_535, 65_536, 983_039, 983_040, size - 65, size - 64, size - 1]
    chosen = sorted({*edges, *range(17, size, size // 390)})
    answer = go_ask(
        {
            "Vkey": SIGNER.vkey,
            "Checkpoint": SIGNER.sign(Checkpoint(SIGNER.name, size, tree.root).text()).decode(),
            "Tiles": str(tmp_path),
            "Inclusion": [
                {"Index": i, "Leaf": leaves[i], "Path": prove_inclusion(tree.files.get, i, size)}
                for i in chosen
            ],
        }
    )
    assert answer["Derived"] is True
    assert answer["Inclusion"] == [True] * len(chosen)
