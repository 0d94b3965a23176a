"""What witnesses and authorities said is held against the tree, whoever signed the tree since."""

from pathlib import Path

import pytest
from tests.authority import TestAuthority, make
from tests.published import COSIGNER, SIGNER, START_US, Published

from magistrate.evidence.attested import Attested
from magistrate.evidence.checkpoint import Checkpoint
from magistrate.evidence.cosignature import ML_DSA_44, Cosigner
from magistrate.evidence.note import Verifier
from magistrate.evidence.report import Report, Verdict
from magistrate.evidence.stamped import Token
from magistrate.evidence.timestamp import Authority, request, stamped_digest
from magistrate.evidence.trust import Trust, of_witnesses
from magistrate.evidence.verify import verify_log

W1 = Cosigner("witness.example/w1", bytes(31) + b"1")
W2 = Cosigner("witness.example/w2", bytes(31) + b"2", ML_DSA_44)
AT_S = START_US // 1_000_000


NOW_S = START_US // 10**6 + 1000


def trust(quorum: int | None = None) -> Trust:
    return of_witnesses([Verifier(SIGNER.vkey)], [("", Verifier(W1.vkey)), ("", Verifier(W2.vkey))], quorum)


def grown() -> Published:
    """Seven records sealed, then nine."""
    log = Published()
    log.note("shard.open", 0)
    for number in range(3):
        log.call(f"{number:032x}", at_s=number)
    log.seal()
    log.call("a" * 32, at_s=9)
    log.seal()
    return log


def cosigned(log: Published, size: int, *witnesses: Cosigner, root: bytes | None = None) -> bytes:
    text = log.text(size) if root is None else Checkpoint(SIGNER.name, size, root).text()
    return SIGNER.sign(text) + b"".join(witness.line(text, AT_S) for witness in witnesses)


def judged(log: Published, **attested: object) -> Report:
    return verify_log(log, SIGNER.vkey, also=[COSIGNER.vkey], attested=Attested(**attested))  # type: ignore[arg-type]


@pytest.mark.requirement("A2", "A7")
@pytest.mark.parametrize(
    ("quorum", "witnesses", "verdict"),
    [
        (None, (W1, W2), Verdict.VALID),
        (1, (W2,), Verdict.VALID),
        (2, (W1,), Verdict.UNDECIDABLE),
        (1, (), Verdict.UNDECIDABLE),
    ],
)
def test_a_quorum_of_witnesses_is_asked_for(
    quorum: int | None, witnesses: tuple[Cosigner, ...], verdict: Verdict
) -> None:
    """An older checkpoint will do: the log continues it, which the tree shows."""
    log = grown()
    report = judged(log, trust=trust(quorum), cosigned=cosigned(log, 7, *witnesses))
    assert report.verdict is verdict
    assert set(report.cosigned.values()) <= {AT_S}
    assert len(report.cosigned) == len(witnesses)


def test_no_cosigned_checkpoint_is_undecidable_where_one_is_asked_for() -> None:
    """And no matter where none is."""
    log = grown()
    assert judged(log, trust=trust()).verdict is Verdict.UNDECIDABLE
    assert judged(log, trust=Trust()).verdict is Verdict.VALID


@pytest.mark.fault(10, 11, 12)
@pytest.mark.requirement("A2")
@pytest.mark.parametrize(
    ("size", "root", "says"),
    [(7, bytes(32), "another tree of 7"), (10, bytes(32), "witnesses saw 10 records"), (9, bytes(32), "another tree of 9")],
)  # fmt: skip
def test_a_log_that_is_not_the_one_witnesses_saw_is_tampered(size: int, root: bytes, says: str) -> None:
    """A full rewrite with the real key, a truncated tail, a fork: the witness remembers."""
    log = grown()
    report = judged(log, trust=trust(), cosigned=cosigned(log, size, W1, W2, root=root))
    assert report.verdict is Verdict.TAMPERED
    assert any(says in problem.what for problem in report.findings), report.findings


def test_a_false_line_under_a_witnesss_name_is_tampered() -> None:
    """Nobody but a forger writes it."""
    log = grown()
    line = W1.line(log.text(9), AT_S)
    note = SIGNER.sign(log.text(7)) + line
    assert judged(log, trust=trust(1), cosigned=note).verdict is Verdict.TAMPERED


def test_an_old_cosignature_is_stale() -> None:
    """Witnesses that fell silent are noticed like a log that did."""
    log = grown()
    note = cosigned(log, 9, W1, W2)
    fresh = {"trust": trust(), "cosigned": note, "max_age_us": 60_000_000}
    assert judged(log, now_us=START_US + 60_000_000, **fresh).verdict is Verdict.VALID
    report = judged(log, now_us=START_US + 61_000_000, **fresh)
    assert report.verdict is Verdict.STALE
    assert "cosignature is 61 s old" in report.findings[0].what


@pytest.mark.requirement("A7")
def test_a_log_that_grew_on_without_its_witnesses_says_so() -> None:
    """An outage is no tampering; whoever reads the report sees how long it lasted."""
    log = grown()
    note = cosigned(log, 9, W1, W2)
    log.note("heartbeat", 3600)
    log.seal()
    assert judged(log, trust=trust(), cosigned=note).remarks == ()
    log.note("heartbeat", 3601)
    log.seal()
    report = judged(log, trust=trust(), cosigned=note)
    assert report.verdict is Verdict.VALID
    assert any("3601 s older than the newest record" in remark.what for remark in report.remarks)


# --- time


@pytest.fixture
def tsa(tmp_path: Path, tool: str) -> TestAuthority:
    return make(tmp_path / "tsa", tool)


def stamped(tsa: TestAuthority, log: Published, size: int) -> Token:
    return Token(f"receipts/{size}.tsr", size, tsa.reply(request(log.text(size).encode())[0]))


@pytest.mark.tool("openssl")
@pytest.mark.requirement("A7")
def test_stamps_of_any_size_verify_against_the_tree(tsa: TestAuthority) -> None:
    """Also of a tree that has grown since; of another size or a larger tree they are tampered."""
    log = grown()
    trusted = [Authority(tsa.ca.read_bytes())]
    token = stamped(tsa, log, 7)
    report = judged(log, authorities=trusted, tokens=[token, stamped(tsa, log, 9)])
    assert (report.verdict, report.stamps) == (Verdict.VALID, 2)
    for size, says in ((9, "other data"), (10, "this log has fewer")):
        report = judged(log, authorities=trusted, tokens=[Token("t", size, token.data)])
        assert report.verdict is Verdict.TAMPERED
        assert says in report.findings[0].what


@pytest.mark.tool("openssl")
def test_a_stamp_by_somebody_unknown_is_undecidable_and_unchecked_ones_are_told(
    tsa: TestAuthority, tmp_path: Path, tool: str
) -> None:
    """Trust is the verifier's to give."""
    log = grown()
    token = stamped(tsa, log, 9)
    other = [Authority(make(tmp_path / "other", tool, name="Other").ca.read_bytes())]
    assert judged(log, authorities=other, tokens=[token]).verdict is Verdict.UNDECIDABLE
    report = judged(log, tokens=[token])
    assert report.verdict is Verdict.VALID
    assert "not checked" in report.remarks[0].what


@pytest.mark.fault(37)
@pytest.mark.tool("openssl")
@pytest.mark.requirement("A7")
def test_a_clock_outside_the_bounds_that_stamps_set_is_remarked_on(tsa: TestAuthority) -> None:
    """Ahead: a record below a stamp claims a later time. Behind: one names a stamp of its future. Neither is rejected."""
    log = grown()  # its clock shows the year 2100, its stamps today
    token = stamped(tsa, log, 7)
    trusted = [Authority(tsa.ca.read_bytes())]
    report = judged(log, authorities=trusted, tokens=[token])
    assert "the clock was ahead" in report.remarks[0].what
    log.headers.append(
        log.header("heartbeat", "note", wid="recorder-1", ext={"beacon": stamped_digest(token.data).hex()})
        | {"ts": 5}
    )
    log.seal()
    report = judged(log, authorities=trusted, tokens=[token])
    assert report.verdict is Verdict.VALID
    assert any("the clock was behind" in remark.what for remark in report.remarks)


@pytest.mark.requirement("A2")
@pytest.mark.fault(30)
@pytest.mark.parametrize(
    ("time_s", "verdict"),
    [
        (0, Verdict.UNDECIDABLE),
        (NOW_S + 61, Verdict.UNDECIDABLE),
        (NOW_S + 60, Verdict.VALID),
        (1, Verdict.VALID),
    ],
)
def test_a_cosignature_of_no_time_or_of_the_future_counts_for_nothing(time_s: int, verdict: Verdict) -> None:
    """It verifies, so it is no forgery; it says nothing of what had been seen until now. It is shown, and not counted."""
    log = grown()
    text = log.text(7)
    note = SIGNER.sign(text) + W1.line(text, time_s) + W2.line(text, NOW_S)
    report = judged(log, trust=trust(), cosigned=note, now_us=NOW_S * 10**6)
    assert report.verdict is verdict
    told = [remark.what for remark in report.remarks if "does not count" in remark.what]
    assert len(told) == (verdict is Verdict.UNDECIDABLE)
    assert set(report.cosigned) == ({W2.name} if told else {W1.name, W2.name})
    assert judged(log, trust=trust(1), cosigned=note, now_us=NOW_S * 10**6).verdict is Verdict.VALID


@pytest.mark.fault(30)
def test_without_a_clock_no_time_is_too_late_and_none_at_all_still_counts_for_nothing() -> None:
    text = grown().text(7)
    late = SIGNER.sign(text) + W1.line(text, 2**62) + W2.line(text, 0)
    seen = trust(1).witnessed(late)
    assert (seen.quorum, seen.missing, dict(seen.cosigned)) == (True, (W2.name,), {W1.name: 2**62})
