"""A start after a crash takes what the write-ahead log holds into line, durable again, before anybody is answered."""

import os
from pathlib import Path

import pytest
from tests.faults.custody import Custody
from tests.faults.custody import draft as draft_of

from magistrate.adapters.copied import LogCopy
from magistrate.adapters.fetch import FileObjects
from magistrate.adapters.recorder import tail
from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.ledger import Ledger, Settings
from magistrate.evidence.checkpoint import parse
from magistrate.evidence.note import open_note
from magistrate.evidence.report import Verdict
from magistrate.evidence.verify import verify_log


class Watched(Disk):
    """The real disk; remembers what was written to write-ahead files and not synced, and what was synced."""

    def __init__(self) -> None:
        self.dirty: dict[str, bytes] = {}
        self.synced: dict[str, bytes] = {}

    def write(self, descriptor: int, data: bytes) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        at = os.lseek(descriptor, 0, os.SEEK_CUR)
        super().write(descriptor, data)
        if at == 0:
            self.dirty[name] = data

    def sync(self, descriptor: int) -> None:
        super().sync(descriptor)
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        if name in self.dirty:
            self.synced[name] = self.dirty.pop(name)


def crashed(directory: Path, records: int) -> Settings:
    custody = Custody(directory)
    for _ in range(records):
        custody.write(draft_of())
    custody.ledger.close(clean=False)
    return custody.settings


def signed(directory: Path) -> int:
    note = (directory / "evidence" / "checkpoint").read_bytes()
    return parse(open_note(note)[0]).size


@pytest.mark.requirement("A1", "A7")
@pytest.mark.fault(41)
def test_what_may_stand_in_memory_only_is_written_again_before_anybody_is_answered(tmp_path: Path) -> None:
    """A group whose sync failed can still be read after the crash: it is written over with itself, and synced."""
    settings = crashed(tmp_path, 3)
    newest = max((tmp_path / "evidence" / "wal").glob("*.wal"))
    kept = newest.read_bytes()
    disk = Watched()
    ledger = Ledger(settings, disk)
    again = disk.synced[newest.name]
    assert kept.startswith(again)
    assert not kept[len(again) :].strip(b"\0")
    ledger.close(clean=False)


@pytest.mark.requirement("A1")
def test_a_long_backlog_is_sealed_in_pieces_and_is_one_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each piece has a checkpoint of its own; nothing is lost, nothing stands twice, and the index has it all."""
    settings = crashed(tmp_path, 40)
    monkeypatch.setattr(tail, "SEALED_AT_ONCE", 5_000)
    ledger = Ledger(settings)
    before = ledger.unsealed_bytes
    assert before > 20_000
    ledger.seal()
    assert ledger.unsealed_bytes == 0
    assert ledger.size == signed(tmp_path) >= 41
    ledger.close(clean=True)
    root = tmp_path / "evidence"
    copy = LogCopy(root)
    report = verify_log(FileObjects(root), ledger.vkey, ciphertext=copy.ciphertext)
    copy.close()
    assert (report.verdict, report.bodies) == (Verdict.VALID, 40)


@pytest.mark.requirement("A1")
def test_a_backlog_that_the_disk_refuses_half_way_waits_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sealed is not sealed again; the rest stays first in line."""
    settings = crashed(tmp_path, 40)
    monkeypatch.setattr(tail, "SEALED_AT_ONCE", 5_000)
    disk = Full()
    ledger = Ledger(settings, disk)
    disk.left = 2
    with pytest.raises(OSError, match="No space"):
        ledger.seal()
    part = ledger.size
    assert 0 < part < 40
    disk.left = -1
    ledger.seal()
    assert ledger.size > 40
    ledger.close(clean=True)
    report = verify_log(FileObjects(tmp_path / "evidence"), ledger.vkey)
    assert report.verdict is Verdict.VALID


class Full(Disk):
    """The real disk; full after some more staging files."""

    left = -1

    def put(self, path: Path, data: bytes, *, mode: int = 0o600) -> None:
        if path.name == "staging" and self.left >= 0:
            self.left -= 1
            if self.left < 0:
                self.left = 0
                raise OSError(28, os.strerror(28))
        super().put(path, data, mode=mode)
