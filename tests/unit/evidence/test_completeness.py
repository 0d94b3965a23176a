"""An omission is found, not only an alteration: sequences, custody, heartbeats; and the three verdicts are told apart."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from tests.published import COSIGNER, EVERY_MS, SIGNER, START_US, Published, eid

from magistrate.evidence.attested import Attested
from magistrate.evidence.cosignature import ML_DSA_44, Cosigner
from magistrate.evidence.record import check_shape
from magistrate.evidence.report import Report, Verdict
from magistrate.evidence.verify import verify_log

Spoil = Callable[[list[dict[str, Any]]], None]


def verified(log: Published, **options: Any) -> Report:
    log.seal()
    return verify_log(log, SIGNER.vkey, **options)


def ordinary() -> Published:
    """Two traces, one of them an agent's with two calls, between the recorder's own records."""
    log = Published()
    log.note("shard.open", 0, heartbeat_ms=EVERY_MS)
    log.call("a" * 32, at_s=1)
    first = log.call("b" * 32, at_s=2)
    log.note("heartbeat", 10, heartbeat_ms=EVERY_MS)
    log.call("b" * 32, at_s=11, cause=[first["eid"]])
    log.note("heartbeat", 20, heartbeat_ms=EVERY_MS)
    return log


@pytest.mark.requirement("A2")
def test_a_whole_log_is_valid_and_says_nothing_else() -> None:
    """No finding and no remark."""
    report = verified(ordinary(), also=[COSIGNER.vkey])
    assert (report.verdict, report.findings, report.remarks, report.open_calls) == (Verdict.VALID, (), (), 0)


def leave_out(index: int) -> Spoil:
    def spoil(headers: list[dict[str, Any]]) -> None:
        del headers[index]

    return spoil


def change(index: int, **fields: Any) -> Spoil:
    def spoil(headers: list[dict[str, Any]]) -> None:
        headers[index] |= fields

    return spoil


def swap(first: int, second: int) -> Spoil:
    def spoil(headers: list[dict[str, Any]]) -> None:
        headers[first], headers[second] = headers[second], headers[first]

    return spoil


@pytest.mark.fault(47, 48, 50, 51)
@pytest.mark.requirement("A2", "A9")
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (leave_out(1), "went from 0 to 2"),
        (leave_out(4), "went from 3 to 5"),
        (leave_out(5), "went from 1 to 3"),
        (leave_out(6), "does not follow the record before it in its trace"),
        (leave_out(3), "is not recorded here"),
        (swap(6, 7), "is recorded after it"),
        (change(6, cause=["ffffffff-0000-7000-8000-000000000000"]), "is not recorded here"),
        (change(2, cause=[eid(6)]), "is recorded after it"),
        (change(7, eid=eid(3)), "was recorded before"),
        (change(6, prev="0" * 64), "does not follow"),
        (change(5, wseq=9), "went from 1 to 9: 7 records are missing"),
        (change(5, wseq=1), "counted 1 after 1"),
        (change(2, log="log.example/two"), "is a record of another log"),
    ],
)
def test_what_is_left_out_moved_or_foreign_is_tampered(spoil: Spoil, says: str) -> None:
    """Even by somebody who holds the signing key and signs the spoilt log anew."""
    log = ordinary()
    spoil(log.headers)
    report = verified(log)
    assert report.verdict is Verdict.TAMPERED
    assert any(says in problem.what for problem in report.findings), report.findings


@pytest.mark.fault(51)
def test_an_outcome_cannot_end_a_call_of_another_trace() -> None:
    """Its cause is an intent, and intents belong to their trace."""
    log = Published()
    intent = log.call("a" * 32, ends=False)
    log.add(log.header("llm.response", "outcome", trace="b" * 32, cause=[intent["eid"]]))
    report = verified(log)
    assert report.verdict is Verdict.TAMPERED
    assert "of another trace" in report.findings[0].what


def test_a_child_does_not_end_its_parent() -> None:
    """Only an outcome closes an intent: what merely follows from it leaves it open."""
    log = Published()
    parent = log.call("a" * 32, ends=False)
    log.call("a" * 32, cause=[parent["eid"]])
    assert verified(log).open_calls == 1


# --- calls that never ended


@pytest.mark.fault(50)
@pytest.mark.requirement("A2")
def test_a_call_without_an_end_is_remarked_on_once_it_cannot_be_under_way() -> None:
    """An hour of the log's own time; a recovery that names it is an end."""
    log = Published()
    lost, named = log.call("a" * 32, ends=False), log.call("b" * 32, ends=False)
    log.note("recovery", 5, records=0, calls=[named["eid"]])
    log.call("c" * 32, at_s=3599)
    assert verified(log).remarks == ()
    log.call("d" * 32, at_s=3601)
    report = verified(log)
    assert (report.verdict, report.open_calls) == (Verdict.VALID, 1)
    (remark,) = report.remarks
    assert lost["eid"] in remark.what
    assert "neither an outcome nor a recovery" in remark.what


# --- silence


def pulse(*notes: tuple[str, float]) -> Report:
    log = Published()
    log.note("shard.open", 0, heartbeat_ms=EVERY_MS)
    for kind, at_s in notes:
        log.note(kind, at_s, heartbeat_ms=EVERY_MS)
    return verified(log)


@pytest.mark.requirement("A2")
@pytest.mark.parametrize(
    ("notes", "says"),
    [
        ([("heartbeat", 10), ("heartbeat", 20), ("heartbeat", 50)], []),
        ([("heartbeat", 10), ("heartbeat", 41)], ["for 31 s"]),
        ([("heartbeat", 10), ("recovery", 100)], ["recovers from a crash"]),
        ([("recorder.stop", 10), ("recorder.start", 86_400), ("heartbeat", 86_410)], []),
        ([("recorder.stop", 10), ("recorder.start", 86_400), ("heartbeat", 86_500)], ["for 100 s"]),
        ([("heartbeat", 10), ("recorder.start", 100)], ["for 90 s"]),
        ([("heartbeat", 10), ("heartbeat", 5)], ["went back by 5.000 s"]),
    ],
)
def test_a_silence_longer_than_announced_is_shown(notes: list[tuple[str, float]], says: list[str]) -> None:
    """Who stops says so; who falls silent without a word is shown. Nothing was falsified, so the verdict stays."""
    report = pulse(*notes)
    assert report.verdict is Verdict.VALID
    assert len(report.remarks) == len(says)
    for remark, expected in zip(report.remarks, says, strict=True):
        assert expected in remark.what


@pytest.mark.parametrize(("facts", "silent"), [({"next": ["k"]}, False), ({"epoch": 2}, True)])
def test_only_a_change_of_the_logs_own_keys_announces_a_silence(
    facts: dict[str, object], silent: bool
) -> None:
    """It is made while the recorder stands still; other events of keys happen while it runs."""
    log = Published()
    log.note("shard.open", 0, heartbeat_ms=EVERY_MS)
    log.note("key.event", 1, **facts)
    log.note("recorder.start", 500, heartbeat_ms=EVERY_MS)
    assert bool(verified(log).remarks) is silent


def test_a_log_that_announced_nothing_is_not_blamed_for_silence() -> None:
    """As older versions wrote it."""
    log = Published(cosigner=None)
    log.note("shard.open", 0, origin="x")
    log.note("heartbeat", 100_000, records=1)
    assert verified(log).remarks == ()


@pytest.mark.parametrize("facts", [None, 7, [], {"heartbeat_ms": "soon"}, {"heartbeat_ms": -1}, {"calls": 7}])
def test_odd_facts_in_a_note_are_no_accident(facts: object) -> None:
    """A verifier never stumbles over what somebody wrote into a header."""
    log = Published()
    log.note("shard.open", 0, heartbeat_ms=EVERY_MS)
    log.headers.append(log.note("recovery", 1) | {"ext": facts, "eid": eid(99), "wseq": 3})
    assert verified(log).verdict is Verdict.VALID


# --- verdicts


@pytest.mark.fault(10)
@pytest.mark.requirement("A2")
def test_tampered_undecidable_and_stale_are_three_things() -> None:
    """Changed bytes, unreadable bytes, and a log that ended too long ago; the worst one decides."""
    log = ordinary()
    now = Attested(now_us=START_US + 320_000_000, max_age_us=300_000_000)
    assert verified(log, attested=now).verdict is Verdict.VALID
    late = Attested(now_us=START_US + 321_000_000, max_age_us=300_000_000)
    report = verify_log(log, SIGNER.vkey, attested=late)
    assert report.verdict is Verdict.STALE
    assert "301 s old" in report.findings[0].what
    del log.files["tile/0/000.p/9"]
    assert verify_log(log, SIGNER.vkey, attested=late).verdict is Verdict.UNDECIDABLE
    bundle = log.files["tile/entries/000.p/9"]
    log.files["tile/entries/000.p/9"] = bundle.replace(b"gateway-1", b"gateway-2", 1)
    assert verify_log(log, SIGNER.vkey, attested=late).verdict is Verdict.TAMPERED


# --- the log's two keys


@pytest.mark.requirement("A2")
def test_either_key_of_the_log_verifies_alone() -> None:
    """Who holds only the Ed25519 key needs no other; who holds only the ML-DSA-44 key neither."""
    log = ordinary()
    log.seal()
    for vkey in (SIGNER.vkey, COSIGNER.vkey):
        assert verify_log(log, vkey).verdict is Verdict.VALID


def test_a_missing_second_signature_is_undecidable_and_a_wrong_one_tampered() -> None:
    """Missing: an older version signed last. Wrong: nobody but a forger writes that."""
    log = ordinary()
    note = log.seal()
    ed25519_only = note.rsplit("— ".encode(), 1)[0]
    log.files["checkpoint"] = ed25519_only
    assert verify_log(log, SIGNER.vkey).verdict is Verdict.VALID
    assert verify_log(log, SIGNER.vkey, also=[COSIGNER.vkey]).verdict is Verdict.UNDECIDABLE
    other = Cosigner(SIGNER.name, bytes(31) + b"x", ML_DSA_44)
    name, _, encoded = other.line(log.text(log.size), 1).decode().rpartition(" ")
    forged = base64.b64encode(COSIGNER.id + base64.b64decode(encoded)[4:]).decode()
    log.files["checkpoint"] = ed25519_only + f"{name} {forged}\n".encode()
    report = verify_log(log, SIGNER.vkey, also=[COSIGNER.vkey])
    assert report.verdict is Verdict.TAMPERED
    assert "does not verify" in report.findings[0].what


@pytest.mark.requirement("A2")
@pytest.mark.fault(50)
@pytest.mark.parametrize(
    ("said", "verdict"),
    [(2, Verdict.VALID), (3, Verdict.TAMPERED), (1, Verdict.TAMPERED), ("2", Verdict.TAMPERED)],
)
def test_the_end_of_a_trace_counts_its_records(said: Any, verdict: Verdict) -> None:
    """A record too few or too many is found even where the operator chained and signed everything anew."""
    log = ordinary()
    log.add(
        log.header("trace.close", "note", wid="recorder-1", trace="a" * 32, at_s=21, ext={"records": said})
    )
    report = verified(log)
    assert report.verdict is verdict
    assert [problem.what for problem in report.findings] == (
        [] if verdict is Verdict.VALID else [f"closes its trace with {said} records, 2 are here"]
    )


@pytest.mark.requirement("A2")
@pytest.mark.fault(50)
@pytest.mark.parametrize(
    ("closes", "verdict"), [(2, Verdict.VALID), (1, Verdict.TAMPERED), (3, Verdict.TAMPERED)]
)
def test_an_outcome_that_ends_its_trace_counts_its_records(closes: int, verdict: Verdict) -> None:
    log = Published()
    log.call("a" * 32, at_s=1, closes=closes)
    report = verified(log)
    assert report.verdict is verdict
    assert [problem.what for problem in report.findings] == (
        [] if verdict is Verdict.VALID else [f"closes its trace with {closes} records, 2 are here"]
    )


@pytest.mark.requirement("A2")
@pytest.mark.parametrize("closes", ["2", 2.0, 0, -1, True, None, []])
def test_an_end_that_is_no_count_is_no_record(closes: Any) -> None:
    log = Published()
    header = log.header("llm.response", "outcome", trace="a" * 32, at_s=1, cause=[eid(1)], closes=closes)
    with pytest.raises(ValueError, match="`closes` is no count"):
        check_shape(header)


@pytest.mark.requirement("A2")
def test_a_trace_that_goes_on_is_counted_from_its_last_end() -> None:
    log = ordinary()
    for at_s in (21, 25):
        log.call("a" * 32, at_s=at_s)
        records = 4 if at_s == 21 else 2
        log.add(
            log.header(
                "trace.close", "note", wid="recorder-1", trace="a" * 32, at_s=at_s, ext={"records": records}
            )
        )
    assert verified(log).verdict is Verdict.VALID


@pytest.mark.fault(50)
def test_an_end_of_a_trace_that_is_not_here_is_tampered() -> None:
    """Both its records are gone, their numbers closed up: what counts them is still there."""
    log = Published()
    log.note("shard.open", 0, heartbeat_ms=EVERY_MS)
    log.add(log.header("trace.close", "note", wid="recorder-1", trace="a" * 32, at_s=1, ext={"records": 2}))
    assert verified(log).verdict is Verdict.TAMPERED
