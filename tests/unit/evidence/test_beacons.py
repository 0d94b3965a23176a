"""A beacon's value is believed only when its source signed it, and then what stands behind it is not older."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.beacons import MAINNET, MAINNET_72785, QUICKNET, QUICKNET_123, Network, Signer, Speaks
from tests.published import SIGNER, START_US, Published

from magistrate.evidence import beacon
from magistrate.evidence.attested import Attested
from magistrate.evidence.beacon import (
    LARGEST_SOURCE,
    SCHEMES,
    BeaconError,
    Source,
    Unverifiable,
    drawn,
    moment,
    published,
    read_source,
)
from magistrate.evidence.bundle import Exported, verify_bundle, write_bundle
from magistrate.evidence.canonical import encode
from magistrate.evidence.proof import Proof
from magistrate.evidence.report import Report, Verdict
from magistrate.evidence.stretches import Bound, Stretch, stretches
from magistrate.evidence.tiles import prove_inclusion
from magistrate.evidence.verify import verify_log

SOURCES: dict[str, Callable[[], Speaks]] = {
    **{name: lambda name=name: Network(name) for name in SCHEMES},  # type: ignore[misc]
    "signed": Signer,
}


def source_of(speaks: Speaks) -> Source:
    return read_source(json.dumps(speaks.info).encode())


@pytest.mark.requirement("A7")
@pytest.mark.verifier("vectors")
@pytest.mark.parametrize(
    ("info", "found", "time_s"),
    [(QUICKNET, QUICKNET_123, 1_692_803_733), (MAINNET, MAINNET_72785, 1_597_614_570)],
)
def test_rounds_that_the_public_networks_published_hold(
    info: dict[str, Any], found: dict[str, Any], time_s: int
) -> None:
    """One of each kind of signature; a bit in it, or another number, and it is nobody's."""
    source = read_source(json.dumps(info).encode())
    told = drawn(source, json.dumps(found).encode())
    assert told.time_us == time_s * 1_000_000
    assert published([source], told.facts) == (source, told.time_us)
    last = found["signature"][-1]
    changed = found["signature"][:-1] + ("0" if last != "0" else "1")
    for wrong in ({**found, "signature": changed}, {**found, "round": found["round"] + 1}):
        with pytest.raises(BeaconError):
            drawn(source, json.dumps(wrong).encode())


@pytest.mark.requirement("A7")
@pytest.mark.parametrize("kind", SOURCES)
def test_every_kind_of_source_is_verified_by_its_own_key_only(kind: str) -> None:
    speaks = SOURCES[kind]()
    source, now_s = source_of(speaks), getattr(speaks, "genesis_s", 1_000_000) + 500
    answer = json.dumps(speaks.answer(now_s)).encode()
    told = drawn(source, answer)
    assert 0 <= now_s - told.time_us / 1e6 <= 1
    others = {"signed": Signer(b"1" * 32)}
    stranger = source_of(others.get(kind) or Network(kind, secret=7))
    with pytest.raises(BeaconError):
        drawn(stranger, answer)
    with pytest.raises(Unverifiable, match="no source that holds the key"):
        published([stranger], told.facts)


@pytest.mark.requirement("A7")
@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("value", [None, "", "zz", 7, [], "00" * 48, "c0" + "00" * 95, "ab" * 200])
def test_a_record_that_says_anything_else_is_no_value(kind: str, value: object) -> None:
    """Whatever stands in any of its fields; nothing but a refusal comes of it."""
    speaks = SOURCES[kind]()
    source = source_of(speaks)
    facts = drawn(source, json.dumps(speaks.answer(getattr(speaks, "genesis_s", 0) + 500)).encode()).facts
    for name in facts.keys() - {"source", "kind", "key", "value" if value == "ab" * 200 else ""}:
        with pytest.raises(BeaconError):
            moment(source, {**facts, name: value})


@pytest.mark.parametrize(
    ("info", "says"),
    [
        (b"", "is no description"),
        (b"[]", "is no description"),
        (b" " * (LARGEST_SOURCE + 1), "is too long"),
        (json.dumps({**QUICKNET, "schemeID": "of-tomorrow"}).encode(), "is not known"),
        (json.dumps({**QUICKNET, "kind": "lottery"}).encode(), "is not known"),
        (json.dumps({**QUICKNET, "period": 0}).encode(), "`period`"),
        (json.dumps({**QUICKNET, "genesis_time": -1}).encode(), "`genesis_time`"),
        (json.dumps({**QUICKNET, "public_key": "c0" + "00" * 95}).encode(), "everything would verify"),
        (json.dumps({**QUICKNET, "public_key": MAINNET["public_key"]}).encode(), "has 48 bytes"),
        (json.dumps({**QUICKNET, "name": "a b"}).encode(), "a name that is none"),
        (json.dumps({"kind": "signed", "public_key": "00"}).encode(), "has 1 bytes"),
    ],
)
def test_a_file_that_describes_no_source_is_refused(info: bytes, says: str) -> None:
    with pytest.raises(BeaconError, match=says):
        read_source(info)


@pytest.mark.parametrize("answer", [b"", b"{}", b"[1]", b"x" * 20_000, b'{"round": 1, "signature": 3}'])
def test_an_answer_that_is_none_is_refused(answer: bytes) -> None:
    with pytest.raises(BeaconError):
        drawn(source_of(Network()), answer)


def test_randomness_that_is_not_the_signature_s_hash_is_refused() -> None:
    network = Network()
    with pytest.raises(BeaconError, match="not the hash"):
        drawn(source_of(network), json.dumps({**network.round(5), "randomness": "00" * 32}).encode())


# --- in a log


def a_log(*values: tuple[float, dict[str, object]], records: int = 3) -> Published:
    """A log of ``records`` calls, then a beacon's record, and so on; each value comes with its record's own time."""
    log = Published()
    number = 0
    for at_s, facts in values:
        for _ in range(records):
            number += 1
            log.call(f"{number:032x}", at_s=at_s)
        log.note("beacon", at_s, **facts)
    log.call("f" * 32, at_s=values[-1][0])
    log.seal()
    return log


def judged(log: Published, *sources: Source) -> Report:
    return verify_log(log, SIGNER.vkey, attested=Attested(sources=sources))


def value(network: Network, at_s: float) -> dict[str, object]:
    answer = json.dumps(network.answer(START_US / 1e6 + at_s)).encode()
    return drawn(source_of(network), answer).facts


@pytest.mark.requirement("A2", "A7")
def test_what_stands_behind_a_value_is_not_older() -> None:
    """Before the first value nobody knows; behind each, not before its time. A bound never goes back."""
    network = Network()
    at = START_US // 1_000_000
    log = a_log((10, value(network, 10)), (20, value(network, 20)), (30, value(network, 15)))
    report = judged(log, source_of(network))
    assert (report.verdict, report.beacons, report.remarks) == (Verdict.VALID, 3, ())
    assert report.stretches == (
        Stretch("", 7, 13, (at + 10) * 1_000_000, 0, "testnet"),
        Stretch("", 14, 20, (at + 20) * 1_000_000, 0, "testnet"),
        Stretch("", 21, 22, (at + 20) * 1_000_000, 0, "testnet"),
    )


@pytest.mark.requirement("A2", "A7")
def test_a_value_that_no_beacon_gave_is_tampering_and_an_unknown_source_says_nothing() -> None:
    network = Network()
    good = value(network, 10)
    report = judged(a_log((10, good)), source_of(Network(secret=9)))
    assert (report.verdict, report.beacons, report.stretches) == (Verdict.VALID, 0, ())
    assert [one.what for one in report.remarks] == [
        "1 were not checked: no source that holds the key is trusted"
    ]
    for wrong in ({"round": 5}, {"time": 7}, {"signature": "00" * 48}):
        report = judged(a_log((10, {**good, **wrong})), source_of(network))
        assert (report.verdict, report.stretches) == (Verdict.TAMPERED, ())
        assert report.findings[0].place == "record 6"
        assert "names a value that no beacon gave" in report.findings[0].what


@pytest.mark.requirement("A7")
@pytest.mark.fault(37)
def test_a_clock_that_is_behind_a_beacon_is_remarked_on() -> None:
    """A record that holds a value from after its own time: the machine's clock was behind."""
    network = Network()
    report = judged(a_log((10, value(network, 500))), source_of(network))
    assert report.verdict is Verdict.VALID
    assert [one.what for one in report.remarks] == [
        "names a beacon's value of 490 s after its own time: the clock was behind"
    ]


@pytest.mark.requirement("A7")
def test_without_the_library_nothing_of_a_round_is_believed_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = Network()
    log = a_log((10, value(network, 10)))
    monkeypatch.setattr(beacon, "installed", lambda: False)
    report = judged(log, source_of(network))
    assert (report.verdict, report.beacons, report.stretches) == (Verdict.VALID, 0, ())
    assert "install the extra `drand`" in report.remarks[0].what


def test_a_gateway_s_record_is_no_beacon() -> None:
    """Only the recorder's own are: nobody else can say it."""
    network = Network()
    log = Published()
    log.add(log.header("beacon", "note", ext=value(network, 10)))
    log.call("a" * 32)
    log.seal()
    assert judged(log, source_of(network)).beacons == 0


bounds = st.lists(st.builds(Bound, st.integers(0, 40), st.integers(1, 1000), st.just("x")), max_size=12)


@given(st.integers(1, 40), bounds, bounds)
def test_stretches_say_of_each_record_what_all_bounds_say_of_it(
    size: int, earliest: list[Bound], latest: list[Bound]
) -> None:
    """Beside the clever walk the obvious one: every record by itself."""
    found = stretches(size, earliest, latest)
    told = {index: one for one in found for index in range(one.first, one.last + 1)}
    for index in range(size):
        begins = max((one.time_us for one in earliest if one.at <= index), default=0)
        ends = min((one.time_us for one in latest if one.at > index), default=0)
        one = told.get(index)
        assert (one.not_before_us, one.not_after_us) == (begins, ends) if one else not (begins or ends)


def test_very_many_bounds_are_joined_at_the_end() -> None:
    earliest = [Bound(at, at, "x") for at in range(1, 3000)]
    found = stretches(3000, earliest, [])
    assert len(found) == 999
    assert (found[-1].first, found[-1].last, found[-1].not_before_us) == (999, 2999, 999)


# --- in a bundle


def bundled(log: Published, at: int, before: int | None) -> bytes:
    """The bundle of the call at ``at``, with record ``before`` as its beacon."""

    def exported(index: int) -> Exported:
        path = tuple(prove_inclusion(log.get, index, log.size))
        return Exported(encode(log.headers[index]), Proof(index, path, log.files["checkpoint"]))

    records = [exported(at), exported(at + 1)]
    return write_bundle(at, records, "", beacon=None if before is None else exported(before))


@pytest.mark.requirement("A2", "A7")
def test_a_bundle_says_before_when_its_call_was_not_written() -> None:
    """To who trusts the source; to others it says that it was not checked."""
    network = Network()
    log = a_log((10, value(network, 10)))
    for sources, beacons, says in (
        ([source_of(network)], 1, "not before 2100-01-01T00:00:10+00:00, proves a value of `testnet`"),
        ([], 0, "was not checked: no source that holds the key is trusted"),
    ):
        report = verify_bundle(bundled(log, 7, 6), SIGNER.vkey, sources=sources)
        assert (report.verdict, report.beacons) == (Verdict.VALID, beacons), report.findings
        assert says in [one.what for one in report.remarks if one.place == "beacon.json"]
    assert verify_bundle(bundled(log, 7, None), SIGNER.vkey, sources=[source_of(network)]).beacons == 0


@pytest.mark.requirement("A2", "A7")
def test_a_bundle_s_beacon_is_a_record_of_a_beacon_before_its_call() -> None:
    """Not one behind it, not another record, not one that the source did not sign, and not the gateway's word."""
    network = Network()
    good = value(network, 10)
    log = a_log((10, good), (20, value(network, 20)))
    forged = a_log((10, {**good, "round": 5}))
    gateway = a_log((10, good))
    del gateway.headers[6]["actor"]
    gateway.size = 0
    gateway.seal()
    for source, before in ((log, 13), (log, 0), (forged, 6), (gateway, 6)):
        report = verify_bundle(bundled(source, 7, before), SIGNER.vkey, sources=[source_of(network)])
        assert report.verdict is Verdict.TAMPERED, before
        assert [one.place for one in report.findings] == ["beacon.json"]
