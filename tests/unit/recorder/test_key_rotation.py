"""New keys follow old ones: whoever trusts the old ones goes on, nobody else gets in, and no crash leaves a log without keys."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from magistrate.adapters.fetch import FileObjects
from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.ledger import Ledger, Settings
from magistrate.adapters.recorder.wal import WalBroken
from magistrate.app.cli import run
from magistrate.evidence.monitor import look
from magistrate.evidence.note import NoteError, Signer, Verifier
from magistrate.evidence.report import Report, Verdict
from magistrate.evidence.succession import successors
from magistrate.evidence.verify import verify_log

ORIGIN = "rotated.example/log"


def settings(directory: Path) -> Settings:
    return Settings(directory / "evidence", directory / "vault", directory / "r.sock", ORIGIN)


def vkeys(directory: Path) -> tuple[str, str]:
    evidence = directory / "evidence"
    return (evidence / "log.vkey").read_text().strip(), (evidence / "log-mldsa.vkey").read_text().strip()


def life(
    directory: Path, work: Callable[[Ledger], object] = lambda _: None, disk: Disk | None = None
) -> None:
    """One recorder's life without a socket: it opens, works, says farewell and seals."""
    ledger = Ledger(settings(directory), disk)
    try:
        work(ledger)
        ledger.write([ledger.notes.farewell()])
        ledger.seal()
    finally:
        ledger.close(clean=ledger.unsealed_bytes == 0)


def verified(directory: Path, vkey: str) -> Report:
    return verify_log(FileObjects(directory / "evidence"), vkey)


@pytest.mark.fault(59)
@pytest.mark.requirement("A2")
def test_whoever_trusts_an_old_key_verifies_what_the_new_ones_sign(tmp_path: Path) -> None:
    """Twice rotated: the first keys, the second and the third verify the same log, of either kind."""
    life(tmp_path)
    trusted = [*vkeys(tmp_path)]
    memory = look(
        FileObjects(tmp_path / "evidence").get, Verifier(trusted[0]), None, now_us=0, max_age_us=0
    ).memory
    for _ in range(2):
        rotated = Ledger(settings(tmp_path))
        named = rotated.rotate_keys().vkeys
        rotated.close(clean=True)
        assert tuple(named) == vkeys(tmp_path)
        trusted += named
        for vkey in trusted:  # before the new keys have signed anything else
            assert verified(tmp_path, vkey).verdict is Verdict.VALID
        life(tmp_path)
        for vkey in trusted:
            report = verified(tmp_path, vkey)
            assert (report.verdict, report.remarks) == (Verdict.VALID, ()), report.findings
    assert len(set(trusted)) == 6
    seen = look(FileObjects(tmp_path / "evidence").get, Verifier(trusted[0]), memory, now_us=0, max_age_us=0)
    assert seen.verdict is Verdict.VALID
    again = look(
        FileObjects(tmp_path / "evidence").get, Verifier(trusted[0]), seen.memory, now_us=0, max_age_us=0
    )
    assert again.verdict is Verdict.VALID


@pytest.mark.fault(59)
@pytest.mark.requirement("A2")
def test_nobody_else_becomes_a_successor(tmp_path: Path) -> None:
    """Another key, a step that was removed, one for another place in the tree, one signed by a stranger."""
    life(tmp_path)
    old, _ = vkeys(tmp_path)
    ledger = Ledger(settings(tmp_path))
    ledger.rotate_keys()
    ledger.close(clean=True)
    life(tmp_path)
    stranger = Signer(ORIGIN, bytes(32))
    assert verified(tmp_path, stranger.vkey).verdict is Verdict.TAMPERED
    step = tmp_path / "evidence" / "keys" / "1"
    whole = step.read_bytes()
    step.unlink()
    assert verified(tmp_path, old).verdict is Verdict.TAMPERED
    text = whole.partition(b"\n\n")[0].decode() + "\n"
    step.write_bytes(stranger.sign(text))
    assert verified(tmp_path, old).verdict is Verdict.TAMPERED
    # The old key signs, but the new one does not: nobody has shown that he holds it.
    step.write_bytes(b"".join(whole.splitlines(keepends=True)[:5]))
    with pytest.raises(NoteError, match="has not signed"):
        successors(FileObjects(tmp_path / "evidence").get, Verifier(old))
    assert verified(tmp_path, old).verdict is Verdict.TAMPERED


def test_a_checkpoint_whose_last_record_names_no_key_is_no_step(tmp_path: Path) -> None:
    """An ordinary checkpoint of the old key, put in the place of a step."""
    life(tmp_path)
    old, _ = vkeys(tmp_path)
    evidence = tmp_path / "evidence"
    (evidence / "keys").mkdir()
    (evidence / "keys" / "1").write_bytes((evidence / "checkpoint").read_bytes())
    with pytest.raises(NoteError, match="names no key"):
        successors(FileObjects(evidence).get, Verifier(old))
    assert verified(tmp_path, old).verdict is Verdict.VALID, (
        "what the trusted key signed itself needs no step"
    )


class Failing(Disk):
    """Fails at one operation, and at every one after it, as a disk that is gone."""

    def __init__(self, number: int) -> None:
        self.left = number

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError(5, "gone")

    def write(self, descriptor: int, data: bytes) -> None:
        self._count()
        super().write(descriptor, data)

    def rename(self, old: Path, new: Path) -> None:
        self._count()
        super().rename(old, new)

    def remove(self, path: Path) -> None:
        self._count()
        super().remove(path)


@pytest.mark.fault(59)
@pytest.mark.requirement("A1", "A2")
@pytest.mark.parametrize("number", range(40))
def test_wherever_the_disk_goes_away_the_next_start_has_keys_that_verify(tmp_path: Path, number: int) -> None:
    """The old keys are in force or the new ones, never neither: and the old ones verify either way."""
    life(tmp_path)
    old = vkeys(tmp_path)
    disk = Failing(10**9)
    ledger = Ledger(settings(tmp_path), disk)
    disk.left = number
    try:
        ledger.rotate_keys()
        failed = False
    except (OSError, WalBroken):
        failed = True
    _abandon(ledger)
    life(tmp_path)
    new = vkeys(tmp_path)
    assert failed or new != old
    assert (new[0] == old[0]) == (new[1] == old[1]), "both keys changed, or none"
    for vkey in {*old, *new}:
        assert verified(tmp_path, vkey).verdict is Verdict.VALID, verified(tmp_path, vkey).findings


def _abandon(ledger: Ledger) -> None:
    """Let go without a word, as a killed process does."""
    ledger._shard.close()
    ledger._vault.close()
    ledger._wal.close()
    os.close(ledger._lock)


@pytest.mark.requirement("A2")
def test_keys_are_changed_with_one_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It prints what to tell auditors and witnesses; while a recorder is at work it refuses."""
    life(tmp_path)
    old, _ = vkeys(tmp_path)
    assert run(["evidence", "rotate-key", "--data", str(tmp_path)]) == 0
    assert vkeys(tmp_path)[0] in capsys.readouterr().out
    assert run(["evidence", "verify", "--data", str(tmp_path), "--vkey", old]) == 0
    assert run(["evidence", "verify", "--data", str(tmp_path)]) == 0
    ledger = Ledger(settings(tmp_path))
    assert run(["evidence", "rotate-key", "--data", str(tmp_path)]) == 2
    assert "another recorder is at work" in capsys.readouterr().err
    ledger.close(clean=False)
    assert run(["evidence", "rotate-key", "--data", str(tmp_path / "nowhere")]) == 2


def test_heartbeats_announce_themselves_and_name_the_newest_stamp(tmp_path: Path) -> None:
    """So that a silence can be told from a pause, and a record cannot be dated before a stamp it names."""

    def look_at(ledger: Ledger) -> None:
        assert ledger.notes.heartbeat().draft.header["ext"] == {
            "records": 2,
            "refused": 0,
            "heartbeat_ms": 10_000,
        }
        ledger.notes.stamped(bytes(32))
        assert ledger.notes.heartbeat().draft.header["ext"]["beacon"] == "00" * 32  # type: ignore[index]

    life(tmp_path, look_at)
