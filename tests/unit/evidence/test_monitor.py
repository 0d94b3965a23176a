"""An auditor who looks now and then notices every way in which a log stops being itself."""

import pytest
from tests.published import COSIGNER, EVERY_MS, SIGNER, START_US, Published

from magistrate.evidence.cosignature import Cosigner
from magistrate.evidence.monitor import Memory, Observation, look
from magistrate.evidence.note import Signer, Verifier
from magistrate.evidence.report import Verdict
from magistrate.evidence.trust import Trust, of_witnesses

LOG = Verifier(SIGNER.vkey)
W = Cosigner("witness.example/w", bytes(31) + b"w")
TRUST = of_witnesses([LOG], [("", Verifier(W.vkey))], 1)


def log_of(records: int, *, fork_at: int = 10**6) -> Published:
    """A log whose records differ from ``fork_at`` on from those of another one."""
    log = Published()
    log.note("shard.open", 0, heartbeat_ms=EVERY_MS)
    for number in range(1, records):
        log.note("heartbeat", number * 10, heartbeat_ms=EVERY_MS, fork=number >= fork_at)
        log.seal()
    log.seal()
    return log


def seen(log: Published, memory: Memory | None = None, *, at_s: float = 0, max_age_s: int = 0, trust: Trust | None = None) -> Observation:  # fmt: skip
    return look(
        log.get, LOG, memory, now_us=START_US + int(at_s * 1e6), max_age_us=max_age_s * 10**6, trust=trust
    )


@pytest.mark.requirement("A2")
def test_a_log_that_grows_is_valid_and_remembered() -> None:
    """The memory moves with it; so it does when nothing has changed."""
    first = seen(log_of(5))
    assert (first.verdict, first.size) == (Verdict.VALID, 5)
    again = seen(log_of(5), first.memory, at_s=60)
    assert again.memory is not None
    assert first.memory is not None
    assert (again.verdict, again.memory.first_us) == (Verdict.VALID, first.memory.first_us)
    later = seen(log_of(300), again.memory)
    assert later.memory is not None
    assert (later.verdict, later.memory.size) == (Verdict.VALID, 300)


@pytest.mark.fault(10, 12, 13)
@pytest.mark.requirement("A2")
@pytest.mark.parametrize(
    ("before", "now", "fork_at", "says"),
    [
        (9, 5, 10**6, "rolled back from 9 to 5"),
        (9, 9, 4, "a split view"),
        (9, 300, 4, "no continuation of the 9"),
        (300, 301, 299, "no continuation"),
    ],
)
def test_rollback_split_view_and_fork_are_tampered_and_proved(
    before: int, now: int, fork_at: int, says: str
) -> None:
    """The memory stays, and the note that contradicts it is handed out: together they are the proof."""
    memory = seen(log_of(before)).memory
    other = log_of(now, fork_at=fork_at)
    observation = seen(other, memory)
    assert observation.verdict is Verdict.TAMPERED
    assert any(says in problem.what for problem in observation.findings), observation.findings
    assert observation.memory == memory
    assert observation.contradiction == other.files["checkpoint"]


def test_another_key_is_tampered() -> None:
    """A checkpoint that the trusted key has not signed says nothing about that log."""
    log = Published(signer=Signer(SIGNER.name, bytes(31) + b"x"), cosigner=COSIGNER)
    log.note("shard.open", 0)
    log.seal()
    assert seen(log).verdict is Verdict.TAMPERED


@pytest.mark.requirement("A2")
@pytest.mark.parametrize(
    ("path", "at"),
    [("tile/0/001.p/44", 900), ("tile/1/000.p/1", 20), ("tile/entries/001.p/44", -40), ("checkpoint", 25)],
)
def test_what_cannot_be_read_is_undecidable_and_what_was_changed_tampered(path: str, at: int) -> None:
    """The difference between a broken disk and a lie. What was seen before is not forgotten."""
    memory = seen(log_of(257)).memory
    log = log_of(300)
    whole = log.files.pop(path)
    lost = seen(log, memory)
    assert (lost.verdict, lost.memory) == (Verdict.UNDECIDABLE, memory)
    changed = bytearray(whole)
    changed[at] ^= 1
    log.files[path] = bytes(changed)
    assert seen(log, memory).verdict is Verdict.TAMPERED


def test_a_log_that_cannot_be_reached_is_undecidable() -> None:
    """Whatever the road's error."""

    def broken(_: str) -> bytes | None:
        raise OSError("no route to host")

    observation = look(broken, LOG, None, now_us=0, max_age_us=0)
    assert (observation.verdict, observation.memory) == (Verdict.UNDECIDABLE, None)
    assert "no route to host" in observation.findings[0].what


@pytest.mark.requirement("A2", "A7")
def test_a_log_that_stopped_growing_is_stale() -> None:
    """Its newest record is older than it may be; it is remembered all the same."""
    assert seen(log_of(5), at_s=100, max_age_s=60).verdict is Verdict.VALID
    observation = seen(log_of(5), at_s=101, max_age_s=60)
    assert observation.verdict is Verdict.STALE
    assert "61 s old" in observation.findings[0].what
    assert observation.memory is not None


@pytest.mark.requirement("A2", "A7")
def test_witnesses_are_asked_for_and_held_against_the_tree() -> None:
    """None, a quorum, one that saw another tree, one that fell silent."""
    log, fork = log_of(20), log_of(20, fork_at=4)
    assert seen(log, trust=TRUST).verdict is Verdict.UNDECIDABLE
    log.files["cosig/latest"] = SIGNER.sign(log.text(9)) + W.line(log.text(9), START_US // 10**6)
    assert seen(log, trust=TRUST).verdict is Verdict.VALID
    assert seen(log, trust=TRUST, at_s=300, max_age_s=299).verdict is Verdict.STALE
    log.files["cosig/latest"] = SIGNER.sign(log.text(9))
    assert seen(log, trust=TRUST).verdict is Verdict.UNDECIDABLE
    log.files["cosig/latest"] = SIGNER.sign(fork.text(9)) + W.line(fork.text(9), START_US // 10**6)
    observation = seen(log, trust=TRUST)
    assert observation.verdict is Verdict.TAMPERED
    assert observation.contradiction == log.files["cosig/latest"]
