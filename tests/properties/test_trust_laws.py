"""Laws of trust policies and of witnesses, each beside the obvious implementation."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from magistrate.adapters.witness.book import Book
from magistrate.adapters.witness.listener import Witness
from magistrate.evidence.checkpoint import Checkpoint, parse
from magistrate.evidence.cosignature import Cosigner
from magistrate.evidence.merkle import Frontier, leaf_hash
from magistrate.evidence.note import NoteError, Signer, Verifier, open_note
from magistrate.evidence.tiles import grow, prove_consistency
from magistrate.evidence.trust import Group, Trust, TrustError
from magistrate.evidence.trust import Witness as Known
from magistrate.evidence.trust import parse as parse_policy
from magistrate.evidence.witness import Request

LOG = Signer("laws.example/log", bytes(32))
WITNESSES = [Cosigner(f"witness.example/{n}", bytes(31) + bytes([n])) for n in range(5)]
TEXT = Checkpoint(LOG.name, 7, bytes(32)).text()


@st.composite
def policies(draw: st.DrawFn) -> Trust:
    """Witnesses in groups of groups; each name a member once."""
    names = [f"W{n}" for n in range(draw(st.integers(1, 5)))]
    known = {name: Known(name, Verifier(WITNESSES[n].vkey)) for n, name in enumerate(names)}
    free, groups = list(names), dict[str, Group]()
    for number in range(draw(st.integers(0, 3))):
        if not free:
            break
        members = draw(st.lists(st.sampled_from(free), min_size=1, unique=True))
        free = [name for name in free if name not in members] + [f"G{number}"]
        groups[f"G{number}"] = Group(draw(st.integers(1, len(members))), tuple(members))
    return Trust((Verifier(LOG.vkey),), known, groups, draw(st.sampled_from([*names, *groups, "none"])))


def naive(policy: Trust, name: str, cosigned: set[str]) -> bool:
    """The specification's sentence, word for word."""
    if name == "none":
        return True
    if name in policy.witnesses:
        return name in cosigned
    group = policy.groups[name]
    return len([member for member in group.members if naive(policy, member, cosigned)]) >= group.threshold


@pytest.mark.requirement("A2")
@settings(deadline=None)
@given(policies(), st.sets(st.integers(0, 4)))
def test_a_quorum_is_what_the_specification_says(policy: Trust, chosen: set[int]) -> None:
    """Over any groups of groups, and whoever cosigned; strangers' lines count for nothing."""
    note = LOG.sign(TEXT) + b"".join(WITNESSES[n].line(TEXT, n + 1) for n in sorted(chosen))
    seen = policy.witnessed(note)
    cosigned = {f"W{n}" for n in chosen} & set(policy.witnesses)
    assert set(seen.cosigned) == cosigned
    assert set(seen.missing) == set(policy.witnesses) - cosigned
    assert seen.quorum == naive(policy, policy.quorum, cosigned)


@settings(deadline=None)
@given(policies())
def test_a_policy_is_read_as_it_was_written(policy: Trust) -> None:
    """File and value are one."""
    again = parse_policy(policy.encode())
    assert again.encode() == policy.encode()
    assert (again.groups, again.quorum) == (policy.groups, policy.quorum)


@pytest.mark.fault(63)
@given(st.text(max_size=200) | st.lists(st.sampled_from(
    ["log", "witness", "group", "quorum", "none", "a", "b", "1", "any", "\n", "#x\n", LOG.vkey, WITNESSES[0].vkey]
), max_size=12).map(" ".join))  # fmt: skip
def test_any_text_is_a_policy_or_refused(text: str) -> None:
    """TrustError with its line, and nothing else."""
    try:
        policy = parse_policy(text)
    except TrustError:
        return
    assert policy.quorum == "none" or policy.quorum in {**policy.witnesses, **policy.groups}


@pytest.mark.fault(30)
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no `quorum`"),
        ("quorum none\nquorum none", "line 2: there is more than one"),
        ("quorum x", "`x` is not defined above"),
        (
            f"witness a {WITNESSES[0].vkey}\nwitness b {WITNESSES[0].vkey}\nquorum none",
            "line 2: a key stands there twice",
        ),
        (f"witness a {WITNESSES[0].vkey}\nwitness a {WITNESSES[1].vkey}\nquorum none", "`a` is taken"),
        (f"witness none {WITNESSES[0].vkey}\nquorum none", "`none` is taken"),
        (f"witness a {LOG.vkey}\nquorum a", "a log's, not a witness's"),
        (f"witness a {WITNESSES[0].vkey}\ngroup g 2 a\nquorum g", "no number between 1 and 1"),
        (f"witness a {WITNESSES[0].vkey}\ngroup g 0 a\nquorum g", "no number between 1 and 1"),
        (f"witness a {WITNESSES[0].vkey}\ngroup g any a a\nquorum g", "a member twice"),
        ("group g any g\nquorum g", "`g` is not defined above"),
        ("log x\nquorum none", "line 1: a vkey is"),
        (f"log {LOG.vkey}\nlog {LOG.vkey}\nquorum none", "a key stands there twice"),
    ],
)
def test_a_policy_that_could_mean_two_things_is_refused(text: str, says: str) -> None:
    """With the line, and what is wrong. A group may not contain itself, by any road."""
    with pytest.raises(TrustError, match=says):
        parse_policy(text)


@given(st.integers(0, 600))
def test_a_frontier_has_the_root_of_the_tree(size: int) -> None:
    """Leaf by leaf, as at once."""
    leaves = [b"%d" % number for number in range(size)]
    frontier = Frontier()
    for leaf in leaves:
        frontier.add(leaf_hash(leaf))
    assert (frontier.size, frontier.root()) == (size, grow({}.get, 0, leaves).root)


def grown_one_by_one(leaves: list[bytes]) -> tuple[dict[str, bytes], list[bytes]]:
    """Return every file that the log published, and its root at every size."""
    tree, roots = dict[str, bytes](), []
    for size in range(len(leaves) + 1):
        growth = grow(tree.get, max(0, size - 1), leaves[size - 1 : size] if size else [])
        tree |= growth.files
        roots.append(growth.root)
    return tree, roots


class TwoFacedLog(RuleBasedStateMachine):
    """A log with two histories that tries to get both cosigned, in any order, with any claims."""

    faces = (
        grown_one_by_one([b"%d" % n for n in range(40)]),
        grown_one_by_one([b"%d" % n for n in range(20)] + [b"other"] * 20),
    )

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        Book(Path(self.directory.name), create=True).close()
        self.open()
        self.cosigned: dict[int, bytes] = {}

    def open(self) -> None:
        self.book = Book(Path(self.directory.name))
        key = Verifier(LOG.vkey)
        self.witness = Witness(self.book, WITNESSES[:1], {key.name: [key]}, lambda: 1)

    def teardown(self) -> None:
        self.book.close()
        self.directory.cleanup()

    @rule(face=st.integers(0, 1), old=st.integers(0, 40), size=st.integers(0, 40), honest=st.booleans())
    def submit(self, face: int, old: int, size: int, honest: bool) -> None:
        old = self.book.seen(LOG.name).size if honest else old
        proof = prove_consistency(self.faces[face][0].get, old, size) if 0 < old <= size else []
        note = LOG.sign(Checkpoint(LOG.name, size, self.faces[face][1][size]).text())
        answer = self.witness.add_checkpoint(Request(old, tuple(proof), note).encode())
        if answer.status == 200:
            signed = parse(open_note(note)[0])
            assert self.cosigned.setdefault(signed.size, signed.root) == signed.root
            assert Verifier(WITNESSES[0].vkey).cosignature(note + answer.body) is not None

    @rule()
    def restart(self) -> None:
        self.book.close()
        self.open()

    @invariant()
    def all_that_was_cosigned_is_one_history(self) -> None:
        """Every cosigned root is of the same tree, and none is larger than the book says."""
        faces = [all(roots[size] == root for size, root in self.cosigned.items()) for _, roots in self.faces]
        assert any(faces)
        assert max(self.cosigned, default=0) == self.book.seen(LOG.name).size


TestTwoFacedLog = pytest.mark.requirement("A2")(TwoFacedLog.TestCase)
TestTwoFacedLog.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)


@pytest.mark.fault(63)
@given(st.binary(max_size=300))
def test_no_bytes_upset_a_policy(noise: bytes) -> None:
    """A note that is none is an error of its own."""
    policy: Any = Trust((), {"a": Known("a", Verifier(WITNESSES[0].vkey))}, {}, "a")
    try:
        assert not policy.witnessed(noise).quorum
    except NoteError:
        return
