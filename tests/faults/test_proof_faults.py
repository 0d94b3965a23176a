"""Proofs, notes and keys that are not what they should be: three implementations refuse them, or all take them."""

import base64
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from magistrate.adapters.fetch import FileObjects
from magistrate.adapters.recorder.index import Index
from magistrate.evidence.checkpoint import Checkpoint
from magistrate.evidence.checkpoint import parse as parse_checkpoint
from magistrate.evidence.draft import Draft
from magistrate.evidence.merkle import leaf_hash, node_hash
from magistrate.evidence.note import Signer, Verifier, open_note
from magistrate.evidence.proof import HEADER, Proof, check, check_in, parse
from magistrate.evidence.record import ONE_CALL
from magistrate.evidence.tiles import entry, grow, prove_inclusion
from tests.conformance.evidence.go_auditor import Ask
from tests.conftest import find_tool

from .custody import Custody, draft

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


MILLION = 1_000_000


def a_call() -> tuple[Draft, Draft]:
    """A call that is its trace's only one, without content."""
    asked = draft(retention="pci")
    answered = draft(phase="outcome", trace=str(asked.header["trace"]), cause=(str(asked.header["eid"]),))
    answered.header["closes"] = ONE_CALL
    return Draft(asked.header, (), subject=asked.subject), Draft(answered.header, (), subject=asked.subject)


@pytest.mark.requirement("A2", "A3")
@pytest.mark.fault(66)
@pytest.mark.verifier("ours", "go")
@pytest.mark.tool("go")
def test_proofs_of_a_million_records_of_a_recorder_are_followed(
    go_ask: Ask | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every hundredth, and the edges of tiles; ours and Go follow each, and Go proves each anew from the recorder's tiles."""
    if go_ask is None:
        pytest.skip("Go's sumdb packages are not on this machine")
    for name in ("add", "fill"):
        monkeypatch.setattr(Index, name, lambda *_: None)  # nobody searches, and proofs never ask it
    custody = Custody(tmp_path)
    for _ in range(MILLION // 20_000):
        for _ in range(20):
            custody.write(*(one for _ in range(500) for one in a_call()))
        custody.ledger.seal()
    custody.ledger.close(clean=True)
    root = tmp_path / "evidence"
    objects, vkey = FileObjects(root), (root / "log.vkey").read_text()
    note = (root / "checkpoint").read_bytes()
    tree = parse_checkpoint(Verifier(vkey).verify(note))
    assert tree.size >= MILLION
    edges = [0, 1, 255, 256, 65_535, 65_536, 983_039, 983_040, *range(tree.size - 260, tree.size)]
    asked = []
    for index in sorted({*edges, *range(17, tree.size, 100)}):
        leaf, path = entry(objects.get, index, tree.size), prove_inclusion(objects.get, index, tree.size)
        assert check_in(Proof(index, tuple(path), note), leaf, tree) == tree.size
        asked.append({"Index": index, "Leaf": leaf, "Path": path})
    answer = go_ask(
        {"Vkey": vkey.strip(), "Checkpoint": note.decode(), "Tiles": str(root), "Inclusion": asked}
    )
    assert answer["Derived"] is True
    assert answer["Inclusion"] == [True] * len(asked)
    assert len(asked) > MILLION // 100
