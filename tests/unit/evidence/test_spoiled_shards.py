"""What an operator who holds every key could do to a log of three shards, and what is found of it: by a verifier, by a monitor."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.published import Published

from magistrate.evidence.chain import Copy, number_of, verify_shards
from magistrate.evidence.checkpoint import parse
from magistrate.evidence.monitor import Memory, Observation, look
from magistrate.evidence.note import Signer, Verifier, open_note
from magistrate.evidence.proof import Proof
from magistrate.evidence.report import Report, Verdict
from magistrate.evidence.shards import Beginning, beginning, beginning_path, closed, origin_after
from magistrate.evidence.succession import Step, kept_path
from magistrate.evidence.tiles import Missing, entry, prove_inclusion

SIGNERS = [Signer(f"log.example/s{end}", bytes(31) + bytes([at])) for at, end in enumerate(("", "/2", "/3"))]
HOUR = 3600.0


class Log:
    """Three shards, each with a call; ``opens`` and ``closes`` may change what a shard's first and last record say.

    ``seen`` are the first shard's checkpoints with two records and with all of them.
    """

    def __init__(
        self,
        *,
        opens: Callable[[int, dict[str, Any]], dict[str, Any]] = lambda _, facts: facts,
        closes: Callable[[int, str], tuple[str, list[str]]] = lambda _, vkey: ("shard.close", [vkey]),
        calls: int = 2,
    ) -> None:
        self.shards: list[Published] = []
        self.steps: list[Step] = []
        self.beginnings: dict[int, Beginning] = {}
        self.seen: list[bytes] = []
        previous: dict[str, Any] = {}
        for number, signer in enumerate(SIGNERS, 1):
            shard = Published(signer, None, ids_from=number * 1000)
            shard.note("shard.open", number * HOUR, **opens(number, {"number": number, **previous}))
            for call in range(calls):
                shard.call(f"{number * 100 + call:032x}", at_s=number * HOUR + call)
            self.shards.append(shard)
            if number == 1:
                shard.seal()
                self.seen.append(shard.files["checkpoint"])
            if number < len(SIGNERS):
                previous = {"previous": self._close(number, shard, closes)}
            else:
                shard.seal()
            if number > 1:
                self.beginnings[number] = beginning(shard.get, shard.files["checkpoint"])
        self.seen.append(self.shards[0].files["checkpoint"])

    def _close(
        self, number: int, shard: Published, closes: Callable[[int, str], tuple[str, list[str]]]
    ) -> dict[str, Any]:
        following = SIGNERS[number]
        kind, keys = closes(number, following.vkey)
        shard.note(kind, number * HOUR + 60, next=keys)
        note = shard.seal()
        text = open_note(note)[0]
        note += following.sign(text).removeprefix(f"{text}\n".encode())
        shard.files["checkpoint"] = note
        tree = parse(text)
        path = prove_inclusion(shard.get, tree.size - 1, tree.size)
        self.steps.append(
            Step(entry(shard.get, tree.size - 1, tree.size), Proof(tree.size - 1, tuple(path), note))
        )
        return {"origin": tree.origin, "size": tree.size, "root": tree.root.hex()}

    def publish(self, *, without: tuple[int, ...] = ()) -> Published:
        """Let what leads from shard to shard stand beside the newest one, and the closed ones below it; return that."""
        newest = self.shards[-1]
        for at, step in enumerate(self.steps, 1):
            newest.files[kept_path(at, proof=False)] = step.raw
            newest.files[kept_path(at, proof=True)] = step.proof.encode()
        for number, first in self.beginnings.items():
            if number < len(SIGNERS):
                newest.files[beginning_path(number, proof=False)] = first.raw
                newest.files[beginning_path(number, proof=True)] = first.proof.encode()
        for number, shard in enumerate(self.shards[:-1], 1):
            if number not in without:
                newest.files |= {f"shards/{number}/{path}": data for path, data in shard.files.items()}
        return newest

    def verified(self, signer: Signer = SIGNERS[0], *, without: tuple[int, ...] = ()) -> Report:
        self.publish(without=without)
        copies = [
            Copy(number, shard, SIGNERS[number - 1].vkey)
            for number, shard in enumerate(self.shards, 1)
            if number not in without
        ]
        return verify_shards(copies, signer.vkey)

    def observed(self, seen: bytes, *, without: tuple[int, ...] = ()) -> Observation:
        """What a monitor says now that saw ``seen`` of the first shard."""
        tree = parse(open_note(seen)[0])
        memory = Memory(tree.origin, tree.size, seen.decode(), 1, 1)
        key = Verifier(SIGNERS[0].vkey)
        return look(self.publish(without=without).get, key, memory, now_us=0, max_age_us=0)


def told(report: Report | Observation) -> list[str]:
    return [f"{one.place}: {one.what}" for one in report.findings]


@pytest.mark.requirement("A2")
def test_an_honest_log_of_three_shards_is_valid_for_every_key_and_for_whoever_saw_it_before() -> None:
    for signer in SIGNERS:
        assert told(Log().verified(signer)) == []
        assert told(Log().verified(signer, without=(1,))) == []
    log = Log()
    for seen in log.seen:
        assert log.observed(seen).verdict is Verdict.VALID
    assert number_of(log.publish().get) == 3
    assert [one.number for one in closed(log.publish().get)] == [1, 2]


OTHER_END = {"origin": SIGNERS[0].name, "size": 6, "root": "00" * 32}


@pytest.mark.requirement("A2")
@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"previous": OTHER_END}, "names another end of shard 1 than the one that is here"),
        ({"number": 3}, "does not open shard 2"),
        ({"number": 0}, "does not open shard 2"),
        ({"number": "two"}, "does not open shard 2"),
        ({"previous": None}, "does not open shard 2"),
        ({"previous": {"origin": "x"}}, "does not open shard 2"),
        ({"previous": {**OTHER_END, "root": "00"}}, "does not open shard 2"),
        ({"previous": {**OTHER_END, "size": "6"}}, "does not open shard 2"),
    ],
)
def test_a_shard_that_begins_with_something_else_than_the_end_before_it(
    changed: dict[str, Any], says: str
) -> None:
    """Signed by the right keys all the same: a first shard was swapped for another one, or never was."""
    log = Log(opens=lambda number, facts: {**facts, **changed} if number == 2 else facts)
    report = log.verified()
    assert report.verdict is Verdict.TAMPERED
    assert f"shard 2, record 0: {says}" in told(report)
    for seen in log.seen:
        observation = log.observed(seen)
        assert observation.verdict is Verdict.TAMPERED, told(observation)
        assert observation.contradiction


@pytest.mark.requirement("A2")
def test_a_shard_that_another_one_follows_ends_with_its_close() -> None:
    """Also for who has only the newest key, when the step that would show it is left out."""
    log = Log(closes=lambda _, vkey: ("heartbeat", [vkey]))
    assert log.verified().verdict is Verdict.TAMPERED
    assert log.verified(SIGNERS[2]).verdict is Verdict.TAMPERED
    silent = Log(closes=lambda _, vkey: ("heartbeat", [vkey]))
    silent.steps = []
    says = "shard 2, record 5: does not close the shard, and another one follows"
    assert says in told(silent.verified(SIGNERS[2]))


@pytest.mark.requirement("A2")
def test_a_close_that_names_another_key_leads_nowhere() -> None:
    """The keys that really follow are not believed, because the tree does not name them."""
    stranger = Signer(SIGNERS[1].name, b"9" * 32)
    log = Log(closes=lambda number, vkey: ("shard.close", [stranger.vkey if number == 1 else vkey]))
    assert log.verified().verdict is Verdict.TAMPERED
    nobody = Log(closes=lambda number, vkey: ("shard.close", [] if number == 1 else [vkey]))
    assert nobody.verified().verdict is Verdict.TAMPERED
    assert nobody.observed(nobody.seen[0]).verdict is Verdict.TAMPERED


@pytest.mark.requirement("A2")
def test_a_first_shard_that_was_rolled_back_or_forked_before_it_was_closed_is_contradicted() -> None:
    """A monitor saw more of it, as much of another one, and less of another one."""
    long, short = Log(calls=4), Log(calls=2)
    assert "was closed with 6 records, and had 9" in told(short.observed(long.seen[0]))[0]
    other = Log(opens=lambda number, facts: {**facts, "aside": number})
    assert "two trees of 6 records were signed: a split view" in told(other.observed(short.seen[1]))[0]
    assert "no continuation of the 5 records seen before" in told(other.observed(short.seen[0]))[0]
    alien = Published(SIGNERS[0], None)
    alien.note("shard.open", 0, number=1)
    nothing = Log()
    nothing.steps = nothing.steps[1:]
    assert nothing.observed(nothing.seen[0]).verdict is Verdict.TAMPERED


@pytest.mark.requirement("A2")
def test_what_is_away_leaves_it_open() -> None:
    """How the first shard grew to its end cannot be shown without it; that the rest follows its end can."""
    log = Log()
    early, end = log.seen
    assert log.observed(end, without=(1,)).verdict is Verdict.VALID
    observation = Log().observed(early, without=(1,))
    assert observation.verdict is Verdict.UNDECIDABLE
    assert "`shards/1` is not here" in told(observation)[0]
    without_beginning = Log()
    del without_beginning.beginnings[2]
    assert without_beginning.observed(end).verdict is Verdict.UNDECIDABLE


@pytest.mark.requirement("A2")
def test_files_beside_a_log_that_are_no_steps_are_refused_and_not_read_past() -> None:
    for path, data in (
        (kept_path(1, proof=True), b"no proof"),
        (kept_path(1, proof=False), b"no record"),
        (beginning_path(2, proof=True), b"no proof"),
    ):
        log = Log()
        log.publish().files[path] = data
        copies = [Copy(3, log.shards[-1], "")]
        assert verify_shards(copies, SIGNERS[0].vkey).verdict is Verdict.TAMPERED, path
    log = Log()
    log.publish().files[kept_path(1, proof=True)] = b"no proof"
    assert number_of(log.shards[-1].get) == 1


@pytest.mark.requirement("A2")
def test_a_shard_without_a_checkpoint_leaves_it_open_and_a_forged_one_does_not() -> None:
    log = Log()
    del log.shards[0].files["checkpoint"]
    report = log.verified()
    assert (report.verdict, told(report)) == (
        Verdict.UNDECIDABLE,
        ["shard 1, checkpoint: there is no checkpoint"],
    )
    log = Log()
    stranger = Signer(SIGNERS[0].name, b"9" * 32)
    log.shards[0].files["checkpoint"] = stranger.sign(open_note(log.seen[1])[0].replace("\n6\n", "\n5\n"))
    report = log.verified()
    assert report.verdict is Verdict.TAMPERED
    assert told(report)[0].startswith("shard 1, checkpoint: ")


def test_an_empty_shard_has_no_first_record() -> None:
    empty = Published(SIGNERS[0], None)
    with pytest.raises(Missing):
        beginning(empty.get, empty.seal())


def test_names_of_shards_are_those_of_the_first_and_a_count() -> None:
    assert [origin_after("a/log", 1), origin_after("a/log/2", 2), origin_after("a/log/3", 3)] == [
        "a/log/2",
        "a/log/3",
        "a/log/4",
    ]
