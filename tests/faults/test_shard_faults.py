"""A log of several shards is one log to whoever asks: found, shown, proved, erased and pruned over all of them; what is away is said."""

import os
import shutil
import time
from pathlib import Path

import orjson
import pytest

from magistrate.adapters.copied import LogCopy
from magistrate.adapters.fetch import FileObjects
from magistrate.adapters.recorder.client import RecorderClient
from magistrate.adapters.recorder.opening import Stores
from magistrate.adapters.recorder.ordering import ask
from magistrate.adapters.recorder.orders import Outcome, PlaceHold, Prune, RotateShard
from magistrate.adapters.recorder.shelf import Shelf, mend_indexes
from magistrate.app.cli import run
from magistrate.app.verifier import run as verifier
from magistrate.evidence.bundle import verify_bundle
from magistrate.evidence.checkpoint import parse
from magistrate.evidence.draft import Receipt
from magistrate.evidence.hold import Selector
from magistrate.evidence.note import Signer, open_note
from magistrate.evidence.report import Verdict
from magistrate.evidence.tiles import entry
from tests.faults.custody import ADA, IDS, Custody, draft, opened
from tests.faults.harness import settings, start, stop

DAY_US = 86_400_000_000


def vkey(root: Path) -> str:
    return (root / "log.vkey").read_text().strip()


def commanded(capfdbinary: pytest.CaptureFixture[bytes], *arguments: object) -> tuple[int, bytes, str]:
    """Return exit status, what was printed, and what was said beside it."""
    capfdbinary.readouterr()
    status = run([*map(str, arguments)])
    out = capfdbinary.readouterr()
    return status, out.out, " ".join(out.err.decode().split())


def two_shards(custody: Custody) -> tuple[str, str]:
    """Write a call whose intent is in the first shard and whose outcome is in the second; return its id and trace."""
    trace = IDS.trace()
    intent = draft(trace=trace, content=b"the question")
    custody.write(draft("alan@turing.org"), intent)
    assert custody.obey(RotateShard(by=ADA)).outcome is Outcome.DONE
    custody.write(
        draft(trace=trace, phase="outcome", cause=(str(intent.header["eid"]),), content=b"the answer")
    )
    return str(intent.header["eid"]), trace


@pytest.mark.requirement("A1", "A2", "A3")
def test_a_call_over_a_border_is_found_shown_traced_exported_and_verified(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """By commands alone. The bundle is valid for whoever holds the first shard's key, or the second's, and for nobody else."""
    root = tmp_path / "evidence"
    with opened(tmp_path) as custody:
        first = vkey(root)
        eid, trace = two_shards(custody)
    at = ("--data", tmp_path)
    status, out, _ = commanded(capfdbinary, "evidence", "search", *at, "--trace", trace, "--json")
    assert [(row["shard"], row["phase"]) for row in orjson.loads(out)] == [(2, "outcome"), (1, "intent")]
    status, out, _ = commanded(capfdbinary, "evidence", "show", eid, *at, "--content", "--json")
    assert [item["bodies"]["request"] for item in orjson.loads(out)] == ["the question", "the answer"]
    status, out, _ = commanded(capfdbinary, "evidence", "trace", eid, *at, "--json")
    assert [one["t"] for one in orjson.loads(out)] == ["llm.request", "trace.close", "llm.response"]
    bundle = tmp_path / "call.zip"
    assert commanded(capfdbinary, "evidence", "export", eid, *at, "-o", bundle)[0] == 0
    for key in (first, vkey(root)):
        report = verify_bundle(bundle.read_bytes(), key)
        assert (report.verdict, report.size, report.bodies) == (Verdict.VALID, 3, 2), report.findings
    assert (
        verify_bundle(bundle.read_bytes(), Signer("test.example/log", bytes(32)).vkey).verdict
        is Verdict.TAMPERED
    )
    for key in (first, vkey(root)):
        assert commanded(capfdbinary, "evidence", "verify", *at, "--vkey", key)[0] == 0
        assert verifier(["log", str(root), "--vkey", key]) == 0
    # Put away: what is here is found and valid, and what is not is said.
    (root / "shards" / "1").rename(tmp_path / "archive")
    status, out, said = commanded(capfdbinary, "evidence", "search", *at, "--trace", trace, "--json")
    assert [row["shard"] for row in orjson.loads(out)] == [2]
    assert "shard 1 (`test.example/log`," in said
    assert "is not here" in said
    status, out, _ = commanded(capfdbinary, "evidence", "verify", *at)
    assert status == 0
    assert b"shard 1: is not here, and was not verified" in out
    assert commanded(capfdbinary, "evidence", "verify", *at, "--strict")[0] == 2
    assert verifier(["log", str(tmp_path / "archive"), "--vkey", first]) == 0
    status, _, said = commanded(capfdbinary, "evidence", "export", eid, *at, "-o", bundle)
    assert status == 0, "a bundle of what is here"
    for key in (first, vkey(root)):
        report = verify_bundle(bundle.read_bytes(), key)
        assert report.verdict is Verdict.UNDECIDABLE
        assert "which would stand in a shard before this one" in report.findings[0].what


@pytest.mark.requirement("A4", "A10")
def test_an_erasure_reaches_every_shard_that_is_here_and_names_those_that_are_not(tmp_path: Path) -> None:
    root = tmp_path / "evidence"
    with opened(tmp_path) as custody:
        two_shards(custody)
        custody.obey(RotateShard())
        custody.write(draft(content=b"again"))
        custody.ledger.seal()
        (root / "shards" / "2").rename(tmp_path / "archive")
        answer = custody.erase()
        assert answer.outcome is Outcome.DONE
        assert "2 bodies overwritten" in answer.says, "one in shard 1, one in shard 3"
        assert "shard 2 (`test.example/log/2`" in answer.says
        (done,) = custody.records("erasure")
        assert done["ext"]["absent"] == [2]
        assert custody.erase("nobody@example.org").outcome is Outcome.NO
    for key in (vkey(root / "shards" / "1"), vkey(root)):
        assert verifier(["log", str(root), "--vkey", key]) == 0, (
            "the order in shard 3 explains what is gone in shard 1"
        )
    alone = LogCopy(root / "shards" / "1")
    assert alone.below() == {}
    assert verifier(["log", str(root / "shards" / "1"), "--vkey", vkey(root / "shards" / "1")]) == 2
    shutil.move(tmp_path / "archive", root / "shards" / "2")
    assert verifier(["log", str(root), "--vkey", vkey(root)]) == 0, "and what is away is as it was"


@pytest.mark.requirement("A4")
def test_a_hold_that_may_cover_a_shard_that_is_away_defers_the_erasure(tmp_path: Path) -> None:
    with opened(tmp_path) as custody:
        two_shards(custody)
        hold = custody.obey(PlaceHold(Selector(tenant="default", until_us=1), "case 7", ADA))
        assert hold.outcome is Outcome.DONE
        (tmp_path / "evidence" / "shards" / "1").rename(tmp_path / "archive")
        assert custody.erase().outcome is Outcome.NO
        (tmp_path / "archive").rename(tmp_path / "evidence" / "shards" / "1")
        assert custody.erase().outcome is Outcome.DONE, "with the shard here it is seen to cover nothing"


@pytest.mark.requirement("A4")
def test_retention_that_has_ended_prunes_closed_shards_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record that orders it names the shard; the whole log is valid then, and a segment put back is no matter."""
    root = tmp_path / "evidence"
    with opened(tmp_path) as custody:
        two_shards(custody)
        custody.ledger.seal()
        assert len(list(root.rglob("*.seg"))) == 2
        now = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: now() + 367 * DAY_US * 1000)
        answer = custody.obey(Prune())
        assert (answer.outcome, answer.facts["segments"], answer.facts["bodies"]) == (Outcome.DONE, 2, 3)
        assert not list(root.rglob("*.seg"))
        (prune,) = custody.records("retention.prune")
        assert [one.get("log") for one in prune["ext"]["segments"]] == [None, "test.example/log"]
    assert verifier(["log", str(root), "--vkey", vkey(root)]) == 0


def test_a_closed_shard_s_index_is_made_anew(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    with opened(tmp_path) as custody:
        eid, trace = two_shards(custody)
    index = tmp_path / "evidence" / "shards" / "1" / "index"
    shutil.rmtree(index)
    at = ("--data", tmp_path)
    status, _, said = commanded(capfdbinary, "evidence", "search", *at, "--trace", trace)
    assert status == 2
    assert "the index of this shard is missing; `magistrate evidence index` makes it anew" in said
    assert commanded(capfdbinary, "evidence", "index", *at)[0] == 0
    status, out, _ = commanded(capfdbinary, "evidence", "search", *at, "--trace", trace, "--json")
    assert [row["eid"] for row in orjson.loads(out)][1] == eid
    mend_indexes(Shelf(tmp_path / "evidence", Stores(tmp_path / "evidence")))


@pytest.mark.requirement("A1", "A2")
async def test_a_running_recorder_rotates_when_asked_and_loses_nothing(tmp_path: Path) -> None:
    """A gateway hands records over before, while and after; each stands once, in one shard or the other."""
    child = start(tmp_path)
    root = tmp_path / "evidence"
    client = RecorderClient(tmp_path / "r.sock", "gateway-1")
    receipts: list[Receipt] = []
    await client.connect()
    try:
        for turn in range(3):
            receipts += [await client.append(draft(content=b"x" * 2000)) for _ in range(20)]
            answer = ask(settings(tmp_path), RotateShard(by=ADA), os.getuid())
            assert answer.outcome is Outcome.DONE, answer.says
            assert answer.facts["shard"] == turn + 1
        receipts += [await client.append(draft()) for _ in range(5)]
    finally:
        await client.close()
        assert stop(child) == 0
    assert verifier(["log", str(root), "--vkey", vkey(root / "shards" / "1")]) == 0
    eids = [
        orjson.loads(raw)["eid"]
        for shard in [*sorted(path for path in (root / "shards").iterdir() if path.is_dir()), root]
        for raw in _leaves(shard)
    ]
    assert len(eids) == len(set(eids))
    assert {receipt.eid for receipt in receipts} <= set(eids)


def _leaves(shard: Path) -> list[bytes]:
    read = FileObjects(shard).get
    size = parse(open_note((shard / "checkpoint").read_bytes())[0]).size
    return [entry(read, index, size) for index in range(size)]
