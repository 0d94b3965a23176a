"""Reading a log in several processes finds exactly what reading it in one does."""

import shutil
import subprocess
from pathlib import Path

import pytest

from magistrate.adapters import parallel
from magistrate.adapters.fetch import FileObjects
from magistrate.adapters.parallel import read_copy
from magistrate.adapters.recorder.ledger import Ledger, Settings
from magistrate.adapters.recorder.writer import Submission
from magistrate.evidence.draft import Body, Draft
from magistrate.evidence.report import Report, Verdict
from magistrate.evidence.verify import verify_log

RECORDS = 5_000


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of twenty bundles with a body in each record."""
    place = tmp_path_factory.mktemp("read")
    ledger = Ledger(Settings(place / "evidence", place / "vault", place / "r.sock", "read.example/log"))
    refused: list[str] = []
    for first in range(0, RECORDS, 500):
        ledger.write([_submission(number, refused) for number in range(first, first + 500)])
        ledger.seal()
    ledger.close(clean=True)
    assert not any(refused)
    return place / "evidence"


def _submission(number: int, refused: list[str]) -> Submission:
    header: dict[str, object] = {
        "v": 1,
        "eid": f"01a210e7-0edf-7cd8-a2ba-{number:012x}",
        "t": "config.change",
        "phase": "note",
        "ts": 1_795_579_907_000_000 + number,
        "trace": f"{number % 50:032x}",
        "tenant": "default",
        "app": "a",
    }
    draft = Draft(header, (Body("request", "text/plain", f"words {number} ".encode() * 9),))
    return Submission("w", number + 1, draft, lambda ack: refused.append(ack.reason))


def verified(root: Path, processes: int) -> Report:
    vkey = (root / "log.vkey").read_text().strip()
    return verify_log(FileObjects(root), vkey, bundles=read_copy(root, bodies=True, processes=processes))


def spoil(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.requirement("A2")
def test_several_processes_find_what_one_finds(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Valid stays valid; a changed header, tile, body and an overrunning bundle are reported alike, to the word."""
    monkeypatch.setattr(parallel, "WORTH_IT", 0)
    monkeypatch.setattr(parallel, "AT_A_TIME", 2)
    whole = verified(written, 3)
    assert (whole.verdict, whole.findings, whole.bodies) == (Verdict.VALID, (), RECORDS)
    assert whole == verified(written, 1)
    segment = next((written / "body").rglob("*.seg")).relative_to(written)
    for number, (name, at) in enumerate(
        [("tile/entries/003", 700), ("tile/0/004", 40), (str(segment), 90_000), ("tile/entries/007", 0)]
    ):
        copy = tmp_path / str(number)
        shutil.copytree(written, copy)
        spoil(copy / name, at)
        report = verified(copy, 3)
        assert report.verdict is Verdict.TAMPERED
        assert report == verified(copy, 1)
    (copy / "tile/entries/002").unlink()
    assert verified(copy, 3) == verified(copy, 1)
    assert verified(copy, 3).verdict is Verdict.UNDECIDABLE


@pytest.mark.requirement("A2")
def test_a_reading_process_that_dies_leaves_the_verdict_open(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that was not read to its end is never called valid."""
    monkeypatch.setattr(parallel, "WORTH_IT", 0)
    monkeypatch.setattr(parallel, "_start", _killed)
    report = verified(written, 2)
    assert report.verdict is Verdict.UNDECIDABLE
    assert "ended early" in report.findings[0].what


def _killed(share: parallel.Share) -> "subprocess.Popen[bytes]":
    """Start the process as ever; kill the second one."""
    reader = STARTED(share)
    if share.which == 1:
        reader.kill()
    return reader


STARTED = parallel._start  # noqa: SLF001  because the test stands between it and its caller


@pytest.mark.requirement("A2")
def test_a_file_that_the_disk_does_not_give_leaves_the_verdict_open(written: Path, tmp_path: Path) -> None:
    """Another error than absence (here: a directory in a file's place) is no verdict on the records, and no crash."""
    copy = tmp_path / "copy"
    shutil.copytree(written, copy)
    (copy / "tile/entries/002").unlink()
    (copy / "tile/entries/002").mkdir()
    report = verified(copy, 1)
    assert report.verdict is Verdict.UNDECIDABLE
    assert "Is a directory" in report.findings[0].what


@pytest.mark.requirement("A2")
def test_places_that_were_forgotten_are_found_again(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few folders are remembered, and segments open, every body is looked at."""
    monkeypatch.setattr("magistrate.adapters.copied.MOST_PLACES", 1)
    monkeypatch.setattr("magistrate.adapters.copied.MOST_OPEN", 1)
    assert verified(written, 1).bodies == RECORDS
    assert verified(written, 1).verdict is Verdict.VALID
