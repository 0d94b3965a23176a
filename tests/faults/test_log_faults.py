"""Content and log changed on disk, by somebody without the key and by the operator with it: two judges agree each time."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from magistrate.adapters.recorder.ledger import Ledger
from magistrate.evidence.canonical import encode
from magistrate.evidence.checkpoint import Checkpoint
from magistrate.evidence.note import Signer
from magistrate.evidence.tiles import tile_path
from tests.conformance.evidence import go_auditor
from tests.conformance.evidence.go_auditor import Ask

from .custody import draft, opened
from .spoiled import Spoiled, go, ours, spelt_otherwise, write

Judge = Callable[[Spoiled], tuple[str, str]]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    directory = tmp_path_factory.mktemp("written")
    return directory, write(directory)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another log, as long."""
    directory = tmp_path_factory.mktemp("other")
    write(directory)
    return directory


@pytest.fixture(scope="module")
def judges(go_ask: Ask | None) -> dict[str, Judge]:
    return {"ours": ours} | ({"go": go(go_ask)} if go_ask else {})


@pytest.fixture
def log(written: tuple[Path, bytes], tmp_path: Path) -> Iterator[Spoiled]:
    yield Spoiled(written[0], tmp_path / "copy", written[1])
    shutil.rmtree(tmp_path / "copy")


JUDGES = ["ours", pytest.param("go", marks=pytest.mark.tool("go"))]
pytestmark = pytest.mark.timeout(300)  # because a cold Go cache builds the standard library


def judged(judges: dict[str, Judge], judge: str, log: Spoiled) -> tuple[str, str]:
    if judge not in judges:
        pytest.skip(f"Go's sumdb packages are not on this machine: {go_auditor.PACKAGES}")
    return judges[judge](log)


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("seen", [False, True])
def test_an_untouched_copy_is_valid(judges: dict[str, Judge], judge: str, log: Spoiled, seen: bool) -> None:
    """Also for somebody who remembers an earlier checkpoint: else no verdict below would mean anything."""
    log.seen = log.middle if seen else b""
    assert judged(judges, judge, log) == ("valid", "" if judge == "go" else "()")


# --- by somebody who can write to the disk and has no key


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def a_bit_of_a_header(log: Spoiled) -> None:
    log.change("tile/entries/000", lambda data: flip(data, 700))


def a_bit_of_a_ciphertext(log: Spoiled) -> None:
    (segment,) = (log.root / "body").rglob("*.seg")
    log.change(str(segment.relative_to(log.root)), lambda data: flip(data, len(data) - 3))


def a_bit_of_a_tile(log: Spoiled) -> None:
    log.change("tile/0/000", lambda data: flip(data, 4000))


def a_bit_of_a_tile_further_up(log: Spoiled) -> None:
    (path,) = (log.root / "tile/1").rglob("1")
    log.change(str(path.relative_to(log.root)), lambda data: flip(data, 0))


def two_bodies(log: Spoiled) -> None:
    (segment,) = (log.root / "body").rglob("*.seg")
    data = segment.read_bytes()
    frames = [b"MSEG" + part for part in data.split(b"MSEG")[1:]]
    first = frames[2]
    second = next(frame for frame in frames[3:] if len(frame) == len(first))
    # The heads name whose body it is and stay; what follows them changes places.
    names = 16 + 36 + len("request")
    swapped = data.replace(first, first[:names] + second[names:])
    log.change(
        str(segment.relative_to(log.root)), lambda _: swapped.replace(second, second[:names] + first[names:])
    )


def two_headers(log: Spoiled) -> None:
    entries = log.entries()
    log.replace(20, entries[21])
    log.replace(21, entries[20])


def a_header_spelt_otherwise(log: Spoiled) -> None:
    log.replace(20, spelt_otherwise(log.entries()[20]))


def a_record_deleted_and_tiles_rebuilt(log: Spoiled) -> None:
    entries = log.entries()
    log.rebuild(entries[:100] + entries[101:])


def a_record_exchanged_and_tiles_rebuilt(log: Spoiled) -> None:
    entries = log.entries()
    log.rebuild([*entries[:100], entries[100].replace(b'"app":"ward"', b'"app":"bank"'), *entries[101:]])


def a_partial_tile_for_a_full_one(log: Spoiled) -> None:
    log.change("tile/0/000", lambda data: data[: 200 * 32])


def a_partial_bundle_for_a_full_one(log: Spoiled) -> None:
    log.change("tile/entries/000", lambda data: data[: data.index(b"\x7b", 50_000) - 2])


def a_length_that_runs_over_the_end(log: Spoiled) -> None:
    log.change("tile/entries/000", lambda data: b"\xff\xff" + data[2:])


def the_last_entry_cut_short(log: Spoiled) -> None:
    log.change("tile/entries/000", lambda data: data[:-1])


def a_file_removed(log: Spoiled) -> None:
    (log.root / "tile/0/000").unlink()


@pytest.mark.requirement("A2")
@pytest.mark.verifier("ours", "go")
@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize(
    ("spoil", "verdict"),
    [
        pytest.param(a_bit_of_a_header, "tampered", marks=pytest.mark.fault(1)),
        pytest.param(a_bit_of_a_ciphertext, "tampered", marks=pytest.mark.fault(2)),
        pytest.param(a_bit_of_a_tile, "tampered", marks=pytest.mark.fault(3)),
        pytest.param(a_bit_of_a_tile_further_up, "tampered", marks=pytest.mark.fault(3)),
        pytest.param(two_bodies, "tampered", marks=pytest.mark.fault(4)),
        pytest.param(two_headers, "tampered", marks=pytest.mark.fault(5)),
        pytest.param(a_header_spelt_otherwise, "tampered", marks=pytest.mark.fault(6)),
        pytest.param(a_record_deleted_and_tiles_rebuilt, "tampered", marks=pytest.mark.fault(9)),
        pytest.param(a_record_exchanged_and_tiles_rebuilt, "tampered", marks=pytest.mark.fault(9)),
        pytest.param(a_partial_tile_for_a_full_one, "tampered", marks=pytest.mark.fault(16)),
        pytest.param(a_partial_bundle_for_a_full_one, "tampered", marks=pytest.mark.fault(16)),
        pytest.param(a_length_that_runs_over_the_end, "tampered", marks=pytest.mark.fault(18)),
        pytest.param(the_last_entry_cut_short, "tampered", marks=pytest.mark.fault(18)),
        (a_file_removed, "undecidable"),
    ],
)
def test_what_is_changed_on_disk_is_found_by_both(
    judges: dict[str, Judge], judge: str, log: Spoiled, spoil: Callable[[Spoiled], None], verdict: str
) -> None:
    """Whoever changed it had no key: the signed root speaks against it."""
    spoil(log)
    found, why = judged(judges, judge, log)
    assert found == verdict, why


@pytest.mark.requirement("A2")
@pytest.mark.fault(17)
@pytest.mark.verifier("ours", "go")
@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("path", ["tile/0/000", "tile/entries/000", "checkpoint"])
def test_a_file_of_another_log_is_found_by_both(
    judges: dict[str, Judge], judge: str, log: Spoiled, other: Path, path: str
) -> None:
    """Whole and well-formed, and of a log of the same name with a key of its own."""
    log.change(path, lambda _: (other / "evidence" / path).read_bytes())
    found, why = judged(judges, judge, log)
    assert found == "tampered", why


# --- by the operator, who has the key and signs what was changed


def duplicate_keys(log: Spoiled) -> None:
    entries = log.entries()
    log.rewrite([*entries[:20], entries[20].replace(b'"app":"ward"', b'"app":"bank","app":"ward"'), *entries[21:]])  # fmt: skip


def spelt_otherwise_and_signed(log: Spoiled) -> None:
    entries = log.entries()
    log.rewrite([*entries[:20], spelt_otherwise(entries[20]), *entries[21:]])


def written_in(what: bytes) -> Callable[[Spoiled], None]:
    def spoil(log: Spoiled) -> None:
        entries = log.entries()
        changed = entries[-1].replace(b'{"app":"ward"', b'{"app":' + what, 1)
        assert changed != entries[-1]
        log.rewrite([*entries[:-1], changed])

    return spoil


def another_name(log: Spoiled) -> None:
    entries = log.entries()
    log.rewrite([*entries[:-1], entries[-1].replace(b'{"app"', '{"äpp"'.encode(), 1)])


def left_out(log: Spoiled) -> None:
    entries = log.entries()
    log.rewrite(entries[:100] + entries[101:])


def left_out_and_counted_anew(log: Spoiled) -> None:
    """Drops the first record of a trace of two and mends the count, not the links."""
    headers = log.headers()
    at = next(i for i, header in enumerate(headers) if header["phase"] == "outcome") - 1
    wid = headers[at]["wid"]
    del headers[at]
    for header in headers[at:]:
        if header["wid"] == wid:
            header["wseq"] -= 1
    log.rewrite_headers(headers)


def in_the_wrong_order(log: Spoiled) -> None:
    headers = log.headers()
    at = next(i for i, header in enumerate(headers) if header["phase"] == "outcome")
    first, second = headers[at - 1], headers[at]
    first["wseq"], second["wseq"] = second["wseq"], first["wseq"]
    second["prev"] = ""
    first["prev"] = ""
    headers[at - 1 : at + 1] = [second, first]
    log.rewrite_headers(headers)


def a_foreign_cause(log: Spoiled) -> None:
    headers = log.headers()
    next(header for header in headers if "cause" in header)["cause"] = [
        "ffffffff-0000-7000-8000-000000000000"
    ]
    log.rewrite_headers(headers)


def ended_with(records: int) -> Callable[[Spoiled], None]:
    """Appends the end of a trace that has two records, with a count."""

    def spoil(log: Spoiled) -> None:
        headers, entries = log.headers(), log.entries()
        at = max(index for index, header in enumerate(headers) if header["phase"] == "outcome")
        last = max(header["wseq"] for header in headers if header["wid"] == headers[at]["wid"])
        end = headers[at] | {
            "eid": "ffffffff-0000-7000-8000-00000000000e",
            "t": "trace.close",
            "phase": "note",
            "prev": hashlib.sha256(entries[at]).hexdigest(),
            "wseq": last + 1,
            "cause": [],
            "body": [],
            "ext": {"records": records},
        }
        log.rewrite_headers([*headers, end])

    return spoil


def ended_by_its_outcome_with(records: int) -> Callable[[Spoiled], None]:
    """Makes the last outcome of a trace its end, with a count."""

    def spoil(log: Spoiled) -> None:
        headers = log.headers()
        at = max(index for index, header in enumerate(headers) if header["phase"] == "outcome")
        headers[at]["closes"] = records
        log.rewrite_headers(headers)

    return spoil


def recorded_twice(log: Spoiled) -> None:
    headers = log.headers()
    again = next(header for header in headers if header["phase"] == "intent")
    last = max(header["wseq"] for header in headers if header["wid"] == again["wid"])
    log.rewrite_headers([*headers, again | {"wseq": last + 1, "prev": "", "trace": "f" * 32}])


def a_size_that_is_not_there(log: Spoiled) -> None:
    log.sign(Checkpoint(log.checkpoint.origin, log.checkpoint.size + 300, bytes(32)))


def an_old_checkpoint_and_no_tail(log: Spoiled) -> None:
    """Everything fits together; only who saw more knows that it went further."""
    log.seen = (log.root / "checkpoint").read_bytes()
    entries = log.entries()
    log.rebuild(entries[: len(entries) // 2])
    log.rewrite(entries[: len(entries) // 2])


def written_anew(log: Spoiled) -> None:
    log.seen = log.middle
    log.rewrite([entry.replace(b'"app":"ward"', b'"app":"bank"') for entry in log.entries()])


def two_views(log: Spoiled) -> None:
    """Another auditor was shown a tree of the same size."""
    log.seen = (log.root / "checkpoint").read_bytes()
    headers = log.headers()
    headers[-1]["ts"] += 1
    log.rewrite_headers(headers)


def from_a_snapshot(log: Spoiled) -> None:
    """The disk is as it was at half time, and went on from there."""
    log.seen = (log.root / "checkpoint").read_bytes()
    headers = log.headers()
    for header in headers[200:]:
        header["ts"] += 1
        header["prev"] = ""
    log.rewrite_headers(headers)


@pytest.mark.requirement("A2")
@pytest.mark.verifier("ours", "go")
@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize(
    ("spoil", "verdict"),
    [
        pytest.param(spelt_otherwise_and_signed, "tampered", marks=pytest.mark.fault(6)),
        pytest.param(duplicate_keys, "tampered", marks=pytest.mark.fault(7)),
        pytest.param(written_in(b"1.5"), "tampered", marks=pytest.mark.fault(8)),
        pytest.param(written_in(b"9007199254740992"), "tampered", marks=pytest.mark.fault(8)),
        pytest.param(written_in(b'"\\ud800"'), "tampered", marks=pytest.mark.fault(8)),
        pytest.param(another_name, "tampered", marks=pytest.mark.fault(8)),
        pytest.param(left_out, "tampered", marks=pytest.mark.fault(9, 48)),
        pytest.param(an_old_checkpoint_and_no_tail, "tampered", marks=pytest.mark.fault(10)),
        pytest.param(written_anew, "tampered", marks=pytest.mark.fault(11)),
        pytest.param(two_views, "tampered", marks=pytest.mark.fault(12)),
        pytest.param(from_a_snapshot, "tampered", marks=pytest.mark.fault(13)),
        pytest.param(a_size_that_is_not_there, "undecidable", marks=pytest.mark.fault(15)),
        pytest.param(recorded_twice, "tampered", marks=pytest.mark.fault(47)),
        pytest.param(left_out_and_counted_anew, "tampered", marks=pytest.mark.fault(50)),
        pytest.param(ended_with(3), "tampered", marks=pytest.mark.fault(50)),
        pytest.param(ended_with(1), "tampered", marks=pytest.mark.fault(50)),
        pytest.param(ended_with(2), "valid", marks=pytest.mark.fault(50)),
        pytest.param(ended_by_its_outcome_with(1), "tampered", marks=pytest.mark.fault(50)),
        pytest.param(ended_by_its_outcome_with(3), "tampered", marks=pytest.mark.fault(50)),
        pytest.param(ended_by_its_outcome_with(2), "valid", marks=pytest.mark.fault(50)),
        pytest.param(in_the_wrong_order, "tampered", marks=pytest.mark.fault(51)),
        pytest.param(a_foreign_cause, "tampered", marks=pytest.mark.fault(51)),
    ],
)
def test_what_the_operator_signs_anew_is_found_by_both(
    judges: dict[str, Judge], judge: str, log: Spoiled, spoil: Callable[[Spoiled], None], verdict: str
) -> None:
    """The signature is good. The profile, the links, or what somebody saw before speak against it."""
    spoil(log)
    found, why = judged(judges, judge, log)
    assert found == verdict, why


@pytest.mark.requirement("A2")
@pytest.mark.fault(59)
@pytest.mark.verifier("ours", "go")
@pytest.mark.tool("go")
def test_after_a_change_of_keys_the_step_verifies_with_both_and_the_rest_with_the_new_one(
    tmp_path: Path, go_ask: Ask | None
) -> None:
    """Go knows nothing of successions: it is shown the step, signed by both keys, and then the log that continues it."""
    if go_ask is None:
        pytest.skip(f"Go's sumdb packages are not on this machine: {go_auditor.PACKAGES}")
    with opened(tmp_path) as custody:
        custody.write(draft())
        settings = custody.settings
    root = tmp_path / "evidence"
    old = (root / "log.vkey").read_text().strip()
    ledger = Ledger(settings)
    new = ledger.rotate_keys().signer.vkey
    ledger.close(clean=True)
    with opened(tmp_path) as custody:
        custody.write(draft())
        assert custody.verified().verdict.value == "valid"
    step, now = (root / "keys" / "1").read_text(), (root / "checkpoint").read_text()
    stranger = Signer(new.partition("+")[0], bytes(32)).vkey
    for vkey, note, seen, verdict in (
        (old, step, "", "valid"),
        (new, step, "", "valid"),
        (new, now, step, "valid"),
        (old, now, "", "tampered"),
        (stranger, now, "", "tampered"),
    ):
        answer = go_ask({"Vkey": vkey, "Checkpoint": note, "Audit": str(root), "Seen": seen})
        assert answer["Verdict"] == verdict, answer["Why"]


# --- what never gets in


@pytest.mark.fault(8)
@pytest.mark.parametrize(
    "field",
    [{"score": 0.5}, {"score": float("nan")}, {"n": 2**53}, {"note": "\ud800"}, {"äpp": 1}],
    ids=["float", "nan", "2^53", "surrogate", "key"],
)
def test_what_is_outside_the_profile_is_refused_with_its_draft(
    tmp_path: Path, field: dict[str, object]
) -> None:
    """Nothing is written of it, and the record after it stands."""
    with opened(tmp_path) as custody:
        bad, good = draft(), draft()
        bad.header.update(field)
        (refused, taken) = custody.write(bad, good)
        assert (refused.index, taken.reason) == (-1, "")
        assert refused.reason
        assert [header["eid"] for header in custody.records("llm.request")] == [good.header["eid"]]


@pytest.mark.fault(19)
def test_a_leaf_has_at_most_65535_bytes(tmp_path: Path) -> None:
    """The length before it is a uint16: one byte more is refused and not cut."""
    room = 65_535 - len(encode({"app": ""}))
    assert len(encode({"app": "x" * room})) == 65_535
    with pytest.raises(ValueError, match="at most 65535"):
        encode({"app": "x" * (room + 1)})
    with opened(tmp_path) as custody:
        (refused,) = custody.write(draft(app="x" * 65_536))
        assert "at most 65535" in refused.reason
        assert custody.records("llm.request") == []


def test_the_copy_has_a_full_tile_and_a_partial_one(log: Spoiled) -> None:
    """So that both kinds were spoilt above."""
    assert (log.root / tile_path(0, 0)).exists()
    assert (log.root / tile_path(0, 1, log.checkpoint.size - 256)).exists()
