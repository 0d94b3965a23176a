"""Sealing in a process of its own: the same log, whatever dies, fails or takes its turn in between."""

import os
import signal
import time
from pathlib import Path

import pytest
from tests.faults.custody import ADA, Custody, draft

from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.ledger import Ledger
from magistrate.adapters.recorder.orders import Erase, Outcome
from magistrate.adapters.recorder.sealing import LOWER_PRIORITY
from magistrate.adapters.recorder.wal import WalBroken
from magistrate.evidence.report import Verdict
from magistrate.exchange.errors import ConfigurationError


class Refusing(Disk):
    """Has no room for tiles while a file says so: the one thing that both processes can see."""

    def __init__(self, switch: Path) -> None:
        self._switch = switch

    def write(self, descriptor: int, data: bytes) -> None:
        if self._switch.exists() and "/tile/" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(28, "No space left on device")
        super().write(descriptor, data)


def sealer_of(parent: int) -> int:
    """Return the process that seals for ``parent``."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    (found,) = (
        int(child) for child in children if Path(f"/proc/{child}/comm").read_text().strip() == "sealer"
    )
    return found


@pytest.mark.requirement("A1")
def test_what_the_process_seals_is_the_log_that_the_recorder_acknowledged(tmp_path: Path) -> None:
    """Many seals, over several write-ahead files; an auditor finds every record and body, search finds them at once."""
    custody = Custody(tmp_path, apart=True)
    eids = []
    for _ in range(6):
        drafts = [draft(content=os.urandom(300_000).hex().encode()) for _ in range(5)]
        eids += [one.header["eid"] for one in drafts]
        custody.write(*drafts)
        custody.ledger.seal()
        assert custody.ledger.unsealed_records == custody.ledger.unsealed_bytes == 0
    report = custody.verified()
    assert (report.verdict, report.bodies) == (Verdict.VALID, 30)
    assert [record["eid"] for record in custody.records("llm.request")] == eids
    with custody.reader() as reader:
        assert [row.eid for row in reader.find(str(eids[-1]))] == [eids[-1]]
    custody.close()


@pytest.mark.requirement("A1", "A6")
def test_the_recorder_takes_the_log_back_for_an_order_and_hands_it_on(tmp_path: Path) -> None:
    """An erasure, a new shard: what the recorder does itself stands between what the process seals, in one log."""
    custody = Custody(tmp_path, apart=True)
    custody.write(draft(subject="grace@hopper.org"))
    custody.ledger.seal()
    assert custody.obey(Erase("grace@hopper.org", "", "she asked us to", ADA)).outcome is Outcome.DONE
    custody.write(draft())
    custody.ledger.seal()
    assert custody.verified().verdict is Verdict.VALID
    custody.ledger.rotate_shard()
    custody.write(draft(), draft())
    custody.ledger.seal()
    assert custody.ledger.unsealed_records == 0
    report = custody.verified()
    assert (report.verdict, report.bodies) == (Verdict.VALID, 2)
    custody.close()


@pytest.mark.requirement("A1")
@pytest.mark.fault(42)
def test_what_the_disk_refuses_the_process_is_told_as_it_was_and_waits(tmp_path: Path) -> None:
    """The error has its number and words; once there is room, the same records are sealed and stand once."""
    switch = tmp_path / "full"
    custody = Custody(tmp_path / "log", disk=Refusing(switch), apart=True)
    custody.write(draft(), draft())
    switch.touch()
    for _ in range(2):
        with pytest.raises(OSError, match="No space left") as refused:
            custody.ledger.seal()
        assert refused.value.errno == 28
        assert custody.ledger.unsealed_records > 0
    custody.write(draft())
    switch.unlink()
    custody.ledger.seal()
    report = custody.verified()
    assert (report.verdict, report.bodies) == (Verdict.VALID, 3)
    custody.close()


@pytest.mark.requirement("A1", "A7")
@pytest.mark.fault(40)
def test_when_the_process_dies_the_recorder_stops_and_the_next_start_loses_nothing(tmp_path: Path) -> None:
    """It is the recorder's own death: what was acknowledged is durable, and recovery finds it."""
    custody = Custody(tmp_path, apart=True)
    custody.write(draft())
    custody.ledger.seal()
    acks = custody.write(draft(), draft())
    os.kill(sealer_of(os.getpid()), signal.SIGKILL)
    with pytest.raises(WalBroken, match="the process that seals has died"):
        custody.ledger.seal()
    custody.ledger.close(clean=False)
    again = Custody(tmp_path, apart=True)
    again.ledger.seal()
    assert again.ledger.size > max(ack.index for ack in acks)
    report = again.verified()
    assert (report.verdict, report.bodies) == (Verdict.VALID, 3)
    again.close()


@pytest.mark.requirement("A1", "A7")
@pytest.mark.fault(40)
def test_the_process_never_outlives_a_recorder_that_was_killed(tmp_path: Path) -> None:
    """It has a lower priority while it lives, ends with its parent, and the lock on the directory is free then."""
    custody = Custody(tmp_path, apart=True)
    custody.write(draft())
    custody.close()
    told, tells = os.pipe()
    recorder = os.fork()
    if recorder == 0:
        doomed = Custody(tmp_path, apart=True)
        doomed.write(draft())
        os.write(tells, b"%d" % sealer_of(os.getpid()))
        time.sleep(60)
        os._exit(0)
    sealer = int(os.read(told, 20))
    assert os.getpriority(os.PRIO_PROCESS, sealer) == os.getpriority(os.PRIO_PROCESS, 0) + LOWER_PRIORITY
    with pytest.raises(ConfigurationError, match="another recorder is at work"):
        Ledger(custody.settings)
    os.kill(recorder, signal.SIGKILL)
    os.waitpid(recorder, 0)
    again = Custody(tmp_path, apart=True)  # waits for what the child still holds
    assert not Path(f"/proc/{sealer}").exists() or " Z " in Path(f"/proc/{sealer}/stat").read_text()
    report = again.verified()
    assert (report.verdict, report.bodies) == (Verdict.VALID, 2)
    again.close()
    os.close(told)
    os.close(tells)


@pytest.mark.requirement("A1", "A5")
def test_keys_that_follow_sign_whoever_sealed_before(tmp_path: Path) -> None:
    """The child does not know them: the checkpoint that hands over is the recorder's own work."""
    custody = Custody(tmp_path, apart=True)
    custody.write(draft())
    custody.ledger.seal()
    custody.ledger.rotate_keys()
    custody.ledger.close(clean=True)
    again = Custody(tmp_path, apart=True)
    again.write(draft())
    report = again.verified()
    assert (report.verdict, report.bodies) == (Verdict.VALID, 2)
    again.close()
