"""A log goes on in a new shard: trust goes on with it, nothing is lost between the two, and no crash leaves half of either."""

import asyncio
import errno
import io
import os
import shutil
import threading
import time
import uuid
import zipfile
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from magistrate.adapters import parallel
from magistrate.adapters.copied import LogCopy
from magistrate.adapters.fetch import FileObjects
from magistrate.adapters.parallel import read_copy
from magistrate.adapters.recorder import recovery, wal
from magistrate.adapters.recorder.client import RecorderClient
from magistrate.adapters.recorder.custodian import Custodian
from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.frames import Ack
from magistrate.adapters.recorder.ledger import Ledger, Settings
from magistrate.adapters.recorder.orders import Answer, Outcome, RotateShard
from magistrate.adapters.recorder.process import Recorder
from magistrate.adapters.recorder.rotating import Rotating
from magistrate.adapters.recorder.rotation import Limits, open_calls
from magistrate.adapters.recorder.vouching import Vouching
from magistrate.adapters.recorder.wal import WalBroken
from magistrate.adapters.recorder.writer import Submission
from magistrate.app.cli import run
from magistrate.app.verifier import run as verifier
from magistrate.evidence.bundle import verify_bundle
from magistrate.evidence.chain import Copy, number_of, verify_shards
from magistrate.evidence.checkpoint import parse
from magistrate.evidence.draft import Body, Draft
from magistrate.evidence.links import LONGEST_CALL_US
from magistrate.evidence.monitor import Memory, Observation, look
from magistrate.evidence.note import Signer, Verifier, open_note
from magistrate.evidence.reading import read_bundles
from magistrate.evidence.report import Report, Verdict
from magistrate.evidence.succession import successors
from magistrate.evidence.tiles import entry
from magistrate.evidence.verify import verify_log
from magistrate.exchange.errors import EvidenceUnavailable

ORIGIN = "sharded.example/log"


def settings(directory: Path) -> Settings:
    return Settings(directory / "evidence", directory / "vault", directory / "r.sock", ORIGIN)


def draft(
    eid: str = "", *, phase: str = "intent", cause: str = "", trace: str = "ab" * 16, user: str = "ada"
) -> Draft:
    header: dict[str, object] = {
        "v": 1,
        "eid": eid or str(uuid.uuid4()),
        "t": "llm.request",
        "phase": phase,
        "ts": time.time_ns() // 1000,
        "trace": trace,
        "parent": "",
        "tenant": "default",
        "app": "tests",
        "actor": {"kind": "key", "handle": "k"},
    }
    if cause:
        header |= {"cause": [cause], "t": "llm.response"}
    return Draft(header, (Body("request", "text/plain", b"hello"),), subject=user)


def written(ledger: Ledger, *drafts: Draft, wid: str = "gateway-1") -> list[Ack]:
    acks: list[Ack] = []
    ledger.write([Submission(wid, number, one, acks.append) for number, one in enumerate(drafts)])
    assert all(not ack.reason for ack in acks), acks
    return acks


def read(root: Path) -> list[dict[str, object]]:
    """Return every record of the shard in ``root``."""
    objects = FileObjects(root)
    size = parse(open_note(objects.get("checkpoint") or b"")[0]).size
    return [orjson.loads(entry(objects.get, index, size)) for index in range(size)]


def vkey(root: Path) -> str:
    return (root / "log.vkey").read_text().strip()


@pytest.mark.requirement("A2")
def test_a_rotated_log_is_two_logs_that_are_valid_alone_and_name_each_other(tmp_path: Path) -> None:
    """The closed shard ends with its successor's keys, the new one begins with the closed one's size and root."""
    ledger, root = Ledger(settings(tmp_path)), tmp_path / "evidence"
    first = vkey(root)
    seeds = (tmp_path / "vault" / "signing.key").read_bytes()
    written(ledger, *(draft() for _ in range(300)))
    closed = ledger.rotate_shard()
    written(ledger, *(draft() for _ in range(3)))
    ledger.seal()
    ledger.close(clean=True)
    assert (tmp_path / "vault" / "signing.key").read_bytes() != seeds, (
        "nobody can sign for a closed shard any more"
    )
    old, new = root / "shards" / "1", root
    assert vkey(old) == first
    assert Verifier(vkey(new)).name == f"{ORIGIN}/2"
    for shard in (old, new):
        report = verify_log(FileObjects(shard), vkey(shard))
        assert (report.verdict, report.remarks) == (Verdict.VALID, ()), (report.findings, report.remarks)
    last, begins = read(old)[-1], read(new)[0]
    end = parse(open_note((old / "checkpoint").read_bytes())[0])
    assert (end.size, closed.number) == (304, 1), "the trace is closed with the shard"
    assert read(old)[-2]["ext"] == {"records": 300}
    assert last["t"] == "shard.close"
    assert last["ext"]["next"] == [vkey(new), (new / "log-mldsa.vkey").read_text().strip()]  # type: ignore[index]
    assert begins["t"] == "shard.open"
    assert begins["ext"]["previous"] == {"origin": ORIGIN, "size": 304, "root": end.root.hex()}  # type: ignore[index]
    # Who trusts the first shard's key trusts the second's, with the first shard here or put away.
    Verifier(vkey(new)).verify((old / "checkpoint").read_bytes())
    old.rename(tmp_path / "archive")
    assert verify_log(FileObjects(root), first).verdict is Verdict.VALID
    assert verify_log(FileObjects(tmp_path / "archive"), first).verdict is Verdict.VALID


@pytest.mark.requirement("A2")
def test_trust_follows_key_changes_and_shards_alike(tmp_path: Path) -> None:
    """Key, shard, key, shard: whoever trusts the first keys, of either kind, verifies what the last ones sign."""
    root = tmp_path / "evidence"
    trusted: list[str] = []
    for _ in range(2):
        ledger = Ledger(settings(tmp_path))
        trusted += [vkey(root), (root / "log-mldsa.vkey").read_text().strip()]
        ledger.rotate_keys()
        ledger.close(clean=True)
        ledger = Ledger(settings(tmp_path))
        trusted += [vkey(root), (root / "log-mldsa.vkey").read_text().strip()]
        ledger.rotate_shard()
        ledger.seal()
        ledger.close(clean=True)
    trusted += [vkey(root), (root / "log-mldsa.vkey").read_text().strip()]
    assert len(set(trusted)) == 10
    for one in trusted:
        assert verify_log(FileObjects(root), one).verdict is Verdict.VALID
    chain = successors(FileObjects(root).get, Verifier(trusted[0]))
    assert [one.vkey for one in chain] == trusted[::2]


@pytest.mark.requirement("A2")
def test_a_call_that_is_open_is_carried_over_and_ended_in_the_new_shard(tmp_path: Path) -> None:
    """Both shards are valid alone, and the one after a restart too; a call handed over again stands once."""
    ledger, root = Ledger(settings(tmp_path)), tmp_path / "evidence"
    open_one, ended = draft(), draft()
    before = written(ledger, open_one, ended, draft(phase="outcome", cause=str(ended.header["eid"])))
    ledger.rotate_shard()
    again = written(ledger, open_one)
    assert [(ack.index, ack.leaf) for ack in again] == [(before[0].index, before[0].leaf)], "recorded once"
    written(ledger, draft(phase="outcome", cause=str(open_one.header["eid"])))
    ledger.seal()
    ledger.close(clean=True)
    assert read(root)[0]["ext"]["calls"] == {open_one.header["eid"]: "ab" * 16}  # type: ignore[index]
    ledger = Ledger(settings(tmp_path))
    assert written(ledger, open_one)[0].leaf == before[0].leaf, "also after a restart"
    ledger.seal()
    ledger.close(clean=True)
    for shard in (root / "shards" / "1", root):
        report = verify_log(FileObjects(shard), vkey(shard))
        assert (report.verdict, report.remarks) == (Verdict.VALID, ()), report.findings
    assert report.open_calls == 0


@pytest.mark.requirement("A1", "A2")
def test_what_is_carried_is_what_reading_the_closed_shard_would_carry(tmp_path: Path) -> None:
    """The recorder knows open calls without reading; beside it stands the reading of a start after a crash."""
    ledger = Ledger(settings(tmp_path))
    calls = [draft() for _ in range(60)]
    old = draft()
    old.header["ts"] = time.time_ns() // 1000 - 2 * LONGEST_CALL_US
    written(ledger, old, *calls)
    ended = calls[::3]
    written(ledger, *(draft(phase="outcome", cause=str(one.header["eid"])) for one in ended))
    for number in (1, 2):
        ledger.rotate_shard()
        ledger.seal()
        carried = read(tmp_path / "evidence")[0]["ext"]["calls"]  # type: ignore[index]
        assert carried == open_calls(ledger.shelf.storage(number).objects)
        assert set(carried) == {one.header["eid"] for one in calls if one not in ended}
    ledger.close(clean=True)


def test_more_open_calls_than_one_record_names_are_all_carried(tmp_path: Path) -> None:
    ledger, root = Ledger(settings(tmp_path)), tmp_path / "evidence"
    opened = [draft() for _ in range(1201)]
    written(ledger, *opened)
    ledger.rotate_shard()
    written(ledger, *(draft(phase="outcome", cause=str(one.header["eid"])) for one in opened))
    ledger.seal()
    ledger.close(clean=True)
    assert [one["t"] for one in read(root)[:4]] == [
        "shard.open",
        "shard.carry",
        "shard.carry",
        "llm.response",
    ]
    report = verify_log(FileObjects(root), vkey(root))
    assert (report.verdict, report.open_calls) == (Verdict.VALID, 0), report.findings


class Failing(Disk):
    """Fails at one operation after it is armed, for good: what a crash there leaves on the disk."""

    def __init__(self) -> None:
        self.left = 1 << 40

    def write(self, descriptor: int, data: bytes) -> None:
        self._count()
        super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self._count()
        super().sync(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        self._count()
        super().rename(old, new)

    def remove(self, path: Path) -> None:
        self._count()
        super().remove(path)

    def sync_directory(self, path: Path) -> None:
        self._count()
        super().sync_directory(path)

    def _count(self) -> None:
        self.left -= 1
        if self.left <= 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))


def _steps_of_a_rotation(directory: Path) -> int:
    disk = Failing()
    ledger = Ledger(settings(directory), disk)
    written(ledger, draft())
    before = disk.left
    ledger.rotate_shard()
    done = before - disk.left
    ledger.close(clean=False)
    return done


@pytest.mark.fault(39)
@pytest.mark.requirement("A2")
def test_stopped_at_any_step_of_a_rotation_the_next_start_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before every write, sync, rename and removal: nothing acknowledged is lost, no place used twice."""
    monkeypatch.setattr(wal, "FILE_BYTES", 1 << 16)
    monkeypatch.setattr(recovery, "RESERVE_BYTES", 1 << 12)
    steps = _steps_of_a_rotation(tmp_path / "counted")
    assert steps > 60
    closed = 0
    for number in range(1, steps + 1):
        where = tmp_path / str(number)
        disk = Failing()
        ledger = Ledger(settings(where), disk)
        first = vkey(where / "evidence")
        opened = draft()
        acked = written(ledger, opened)
        disk.left = number
        with pytest.raises((WalBroken, OSError, EvidenceUnavailable)):
            ledger.rotate_shard()
        os.close(ledger._lock)  # noqa: SLF001  because the process is gone then
        closed += _checked_after_restart(where, first, opened, acked[0])
        shutil.rmtree(where)
    assert steps > closed > steps / 2, "some stops come before the shard is closed, most after it"


def _checked_after_restart(where: Path, first: str, opened: Draft, ack: Ack) -> bool:
    root = where / "evidence"
    ledger = Ledger(settings(where))
    assert written(ledger, opened)[0] == Ack(0, ack.index, ack.leaf), (
        "what was acknowledged stands where it stood"
    )
    written(ledger, draft(phase="outcome", cause=str(opened.header["eid"])))
    ledger.seal()
    ledger.close(clean=True)
    shards = [root, *(path.parent for path in root.glob("shards/*/checkpoint"))]
    eids = [one["eid"] for shard in shards for one in read(shard)]
    assert len(eids) == len(set(eids))
    assert opened.header["eid"] in eids
    for shard in shards:
        report = verify_log(FileObjects(shard), vkey(shard))
        assert report.verdict is Verdict.VALID, (where.name, shard, report.findings)
    assert verify_log(FileObjects(root), first).verdict is Verdict.VALID
    if len(shards) > 1:
        assert read(root / "shards" / "1")[-1]["t"] == "shard.close"
        assert not (root / "rotation.json").exists()
        assert not list((where / "vault").glob("*.shard"))
    return len(shards) > 1


def verified(root: Path, key: str, *, processes: int = 0) -> Report:
    """Verify every shard that is here, as a stranger has them; ``processes`` of 0: all in this one."""
    with ExitStack() as stack:
        newest = stack.enter_context(closing(LogCopy(root)))
        closed = {number: stack.enter_context(closing(one)) for number, one in newest.below().items()}
        shards = dict(sorted({**closed, number_of(newest.objects.get): newest}.items()))
        copies = [
            Copy(
                number,
                one.objects,
                one.vkey,
                bundles=read_copy(one.root, bodies=True, processes=processes)
                if processes
                else read_bundles(one.objects, one.ciphertext),
            )
            for number, one in shards.items()
        ]
        return verify_shards(copies, key)


def three_shards(directory: Path) -> tuple[str, str]:
    """Write a log of three shards with a call over each border; return its first key and its last."""
    ledger, root = Ledger(settings(directory)), directory / "evidence"
    first = vkey(root)
    for _ in range(2):
        crossing = draft()
        written(ledger, *(draft() for _ in range(3)), crossing)
        ledger.rotate_shard()
        written(ledger, draft(phase="outcome", cause=str(crossing.header["eid"])))
    ledger.seal()
    ledger.close(clean=True)
    return first, vkey(root)


@pytest.mark.requirement("A2")
def test_all_shards_are_verified_as_one_log_by_the_oldest_key_and_by_the_newest(tmp_path: Path) -> None:
    first, last = three_shards(tmp_path)
    root = tmp_path / "evidence"
    assert sorted(path.name for path in (root / "shards").iterdir() if path.is_dir()) == ["1", "2"]
    for key in (first, last):
        report = verified(root, key)
        assert (report.verdict, report.remarks) == (Verdict.VALID, ()), report.findings
        assert report.size == sum(
            len(read(tmp_path / "evidence" / one)) for one in ("shards/1", "shards/2", ".")
        )
    stranger = Signer(ORIGIN, bytes(32)).vkey
    assert verified(root, stranger).verdict is Verdict.TAMPERED


@pytest.mark.requirement("A2")
def test_what_is_changed_in_a_closed_shard_is_found_from_the_newest_key_alone(tmp_path: Path) -> None:
    """A bit in a body, a shard swapped for a shorter one, and a shard that is away: tampered, tampered, said."""
    _, last = three_shards(tmp_path)
    root = tmp_path / "evidence"
    segment = next((root / "shards" / "1").rglob("*.seg"))
    data = segment.read_bytes()
    segment.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    report = verified(root, last)
    assert report.verdict is Verdict.TAMPERED
    assert report.findings[0].place.startswith("shard 1, record ")
    segment.write_bytes(data)
    (root / "shards" / "1").rename(tmp_path / "archive")
    report = verified(root, last)
    assert report.verdict is Verdict.VALID
    assert [(one.place, one.what) for one in report.remarks] == [
        ("shard 1", "is not here, and was not verified")
    ]
    other = tmp_path / "other"
    three_shards(other)
    shutil.copytree(other / "evidence" / "shards" / "1", root / "shards" / "1")
    assert verified(root, last).verdict is Verdict.TAMPERED


@pytest.mark.requirement("A2")
def test_several_processes_find_in_all_shards_what_one_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each shard is read by all of them, one shard after the other; the words are the same."""
    monkeypatch.setattr(parallel, "WORTH_IT", 0)
    first, _ = three_shards(tmp_path)
    root = tmp_path / "evidence"
    whole = verified(root, first, processes=2)
    assert (whole.verdict, whole.bodies) == (Verdict.VALID, 10)
    assert whole == verified(root, first)
    segment = next((root / "shards" / "2").rglob("*.seg"))
    data = segment.read_bytes()
    segment.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    spoiled = verified(root, first, processes=2)
    (finding,) = spoiled.findings
    assert finding.place.startswith("shard 2, record ")
    assert spoiled == verified(root, first)


@pytest.mark.requirement("A2")
def test_a_copy_in_which_later_shards_stand_below_the_first_is_verified_alike(tmp_path: Path) -> None:
    """As a store elsewhere has them, which cannot move what it has locked."""
    first, last = three_shards(tmp_path)
    root, copy = tmp_path / "evidence", tmp_path / "copy"
    shutil.copytree(root / "shards" / "1", copy)
    shutil.copytree(root / "shards" / "2", copy / "shards" / "2")
    shutil.copytree(
        root,
        copy / "shards" / "3",
        ignore=lambda where, names: {"1", "2"} & set(names) if where.endswith("shards") else (),
    )
    for key in (first, last):
        assert verifier(["log", str(copy), "--vkey", key]) == 0
    assert verifier(["log", str(copy), "--vkey", Signer(ORIGIN, bytes(32)).vkey]) == 1


@pytest.mark.requirement("A2")
def test_a_monitor_follows_from_shard_to_shard(tmp_path: Path) -> None:
    """Also when the shard it saw last has been put away, if it saw the end of it; otherwise it cannot tell."""
    root = tmp_path / "evidence"
    ledger = Ledger(settings(tmp_path))
    key = Verifier(vkey(root))
    written(ledger, draft())
    ledger.seal()

    def seen(memory: Memory | None) -> Observation:
        return look(FileObjects(root).get, key, memory, now_us=0, max_age_us=0)

    early = seen(None).memory
    ledger.rotate_shard()
    written(ledger, draft())
    ledger.seal()
    after = seen(early)
    assert after.verdict is Verdict.VALID, after.findings
    assert after.memory is not None
    assert after.memory.note.startswith(f"{ORIGIN}/2\n")
    ledger.rotate_shard()
    ledger.seal()
    assert seen(after.memory).verdict is Verdict.VALID
    assert seen(early).verdict is Verdict.VALID, "over two borders"
    (root / "shards" / "1").rename(tmp_path / "archive")
    assert seen(early).verdict is Verdict.UNDECIDABLE
    assert seen(after.memory).verdict is Verdict.VALID
    ledger.close(clean=True)


@pytest.mark.requirement("A2")
def test_a_forked_first_shard_is_contradicted_across_the_border(tmp_path: Path) -> None:
    """Who saw one first shard is not led to a second shard that follows another first one."""
    root, seed = tmp_path / "evidence", tmp_path / "seed"
    Ledger(settings(tmp_path)).close(clean=True)
    shutil.copytree(tmp_path, seed, ignore=lambda _, names: [name for name in names if name == "seed"])
    key = Verifier(vkey(root))
    ledger = Ledger(settings(tmp_path))
    written(ledger, draft())
    ledger.seal()
    memory = look(FileObjects(root).get, key, None, now_us=0, max_age_us=0).memory
    ledger.close(clean=True)
    ledger = Ledger(settings(seed))
    written(ledger, draft(), draft(), draft())
    ledger.rotate_shard()
    ledger.seal()
    ledger.close(clean=True)
    seen = look(FileObjects(seed / "evidence").get, key, memory, now_us=0, max_age_us=0)
    assert seen.verdict is Verdict.TAMPERED
    assert "no continuation" in seen.findings[0].what
    assert seen.contradiction


@pytest.mark.requirement("A2")
@pytest.mark.parametrize(("limits", "why"), [(Limits(records=40), "records"), (Limits(age_s=0.8), "age")])
def test_a_recorder_rotates_by_itself_when_a_shard_is_full_or_old(
    tmp_path: Path, limits: Limits, why: str
) -> None:
    """While a gateway writes; the record that closes the shard says what for."""
    recorder_settings = replace(settings(tmp_path), limits=limits)
    recorder = Recorder(recorder_settings, Ledger(recorder_settings))
    ready = threading.Event()
    running = threading.Thread(target=recorder.run, args=(ready.set,))
    running.start()
    assert ready.wait(10)
    closed = tmp_path / "evidence" / "shards" / "1" / "checkpoint"

    async def writing() -> None:
        client = RecorderClient(tmp_path / "r.sock", "gateway-1", deadline_s=10)
        await client.connect()
        try:
            for _ in range(2000):
                await client.append(draft())
                await asyncio.sleep(0.005)
                if closed.exists() and (tmp_path / "evidence" / "checkpoint").exists():
                    break
        finally:
            await client.close()

    try:
        asyncio.run(writing())
    finally:
        recorder.stop()
        running.join(20)
    last = read(closed.parent)[-1]
    assert (last["t"], last["ext"]["why"]) == ("shard.close", why)  # type: ignore[index]
    assert verified(tmp_path / "evidence", vkey(closed.parent)).verdict is Verdict.VALID


class Asking:
    """Somebody's connection, as far as an answer goes."""

    uid = os.getuid()

    def __init__(self) -> None:
        self.answers: list[Answer] = []

    def answer(self, answer: Answer) -> None:
        self.answers.append(answer)


@pytest.mark.requirement("A1")
def test_many_open_traces_are_closed_between_calls_and_few_while_everybody_waits(tmp_path: Path) -> None:
    """A rotation of a shard with thousands of open traces comes in steps; each trace is counted in the end."""
    ledger, where = Ledger(settings(tmp_path)), settings(tmp_path)
    written(ledger, *(draft(trace=uuid.uuid4().hex) for _ in range(2500)))
    asking = Asking()
    rotating = Rotating(ledger, Custodian(ledger), Vouching(where, ledger), Limits())
    rotating.ask(asking, RotateShard())  # type: ignore[arg-type]  because it is all that is asked of a connection
    left = [ledger.open_traces]
    while not asking.answers:
        assert rotating.tick(0.0, busy=True) == []
        rotating.tick(0.0, busy=False)
        left.append(ledger.open_traces)
    assert left == [2500, 1988, 1476, 964, 0]
    assert asking.answers[0].outcome is Outcome.DONE
    ledger.seal()
    ledger.close(clean=True)
    old = read(tmp_path / "evidence" / "shards" / "1")
    assert sum(one["t"] == "trace.close" for one in old) == 2500
    assert verified(tmp_path / "evidence", vkey(tmp_path / "evidence")).verdict is Verdict.VALID


@pytest.mark.requirement("A2")
def test_a_bundle_follows_changed_keys_from_any_of_them(tmp_path: Path) -> None:
    """Exported after two changes it is valid by the first keys, the second and the third; not by a step that was made up."""
    root, given = tmp_path / "evidence", []
    eid = ""
    for _ in range(3):
        ledger = Ledger(settings(tmp_path))
        given += [vkey(root), (root / "log-mldsa.vkey").read_text().strip()]
        intent = draft(trace=uuid.uuid4().hex)
        eid = str(intent.header["eid"])
        outcome = draft(phase="outcome", cause=eid, trace=str(intent.header["trace"]))
        written(ledger, intent, outcome)
        if len(given) < 6:
            ledger.rotate_keys()
        ledger.seal()
        ledger.close(clean=True)
    assert len(set(given)) == 6
    output = tmp_path / "call.zip"
    assert run(["evidence", "export", eid, "-o", str(output), "--data", str(tmp_path)]) == 0
    for key in given:
        report = verify_bundle(output.read_bytes(), key)
        assert (report.verdict, report.size) == (Verdict.VALID, 2), report.findings
    with zipfile.ZipFile(output) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert {"succession/1.json", "succession/2.tlog-proof"} <= set(files)
    stranger = Signer(ORIGIN, bytes(31) + b"7")
    made_up = orjson.loads(files["succession/1.json"])
    made_up["ext"]["next"] = [stranger.vkey]
    for name, data in (
        ("succession/1.json", orjson.dumps(made_up, option=orjson.OPT_SORT_KEYS)),
        ("succession/1.tlog-proof", files["succession/2.tlog-proof"]),
    ):
        assert verify_bundle(zipped({**files, name: data}), given[0]).verdict is Verdict.TAMPERED
    # The page says how many steps there were, so it goes with them.
    without = {
        name: data for name, data in files.items() if not name.startswith(("succession/", "index.html"))
    }
    assert verify_bundle(zipped(without), given[0]).verdict is Verdict.TAMPERED
    assert verify_bundle(zipped(without), given[4]).verdict is Verdict.VALID


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()
