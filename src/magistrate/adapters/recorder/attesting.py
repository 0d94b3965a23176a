"""Getting others to vouch: a thread beside the sealer that asks witnesses, time-stamping authorities and beacons.

It reads what the sealer has published and writes files of its own; nothing waits for it. ``cosig/<size>`` is a
checkpoint with the lines of the witnesses that cosigned it, ``cosig/latest`` the newest of them; ``receipts/<size>.tsr``
(``.1.tsr`` for a second authority, and so on) a time-stamp of the checkpoint of that size. ``attestation.json`` says how
everybody who was asked stands; an outage is logged when it begins and when it ends.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from magistrate.adapters.fetch import Ask, Exchange, Unreachable, exchange
from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.opening import open_storage
from magistrate.adapters.recorder.storage import Files, Storage
from magistrate.evidence import timestamp
from magistrate.evidence.beacon import LARGEST_ANSWER as LARGEST_BEACON
from magistrate.evidence.beacon import BeaconError, Drawn, Source, Unverifiable, drawn
from magistrate.evidence.checkpoint import Checkpoint, parse
from magistrate.evidence.note import NoteError, Verifier
from magistrate.evidence.tiles import Missing, prove_consistency
from magistrate.evidence.timestamp import Authority, StampError
from magistrate.evidence.trust import of_witnesses
from magistrate.evidence.witness import SIZE_TYPE, Request, cosignatures

LATEST = "cosig/latest"
STANDING_FILE = "attestation.json"
POLICY_FILE = "policy.txt"
WITNESS_EVERY_S, STAMP_EVERY_S, RETRY_STAMP_S = 30.0, 600.0, 60.0
FIRST_LOOK_EVERY_S = 0.5
OLD_BEACON_S = 3600.0
"""An older value than this bounds too little: who answers with it is stuck, or keeps copies."""

FINISH_WITHIN_S = 12.0
"""How long the end of the recorder waits for a last cosignature and a last stamp."""

HOUR_S = 3600
LARGEST_ANSWER = 64 * 1024

log = logging.getLogger("magistrate.recorder")

Asked = TypeVar("Asked")


@dataclass(frozen=True, slots=True)
class Plan:
    """Whom to ask, and how often. Empty: nobody, and no thread."""

    witnesses: tuple[tuple[str, Verifier], ...] = ()
    quorum: int | None = None
    authorities: tuple[tuple[str, Authority], ...] = ()
    witness_every_s: float = WITNESS_EVERY_S
    stamp_every_s: float = STAMP_EVERY_S
    beacons: tuple[tuple[str, Source], ...] = ()
    beacon_every_s: float = STAMP_EVERY_S
    also: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    """Further addresses of one who is asked, by what it is (`Standing.kind`) and its first: asked in turn, where the one before
    did not do."""

    @property
    def empty(self) -> bool:
        return not self.witnesses and not self.authorities and not self.beacons


class Standing(msgspec.Struct):
    """How one of those who are asked stands. ``size`` is what it last vouched for, ``at_us`` when.

    Of a beacon there is no size, and ``at_us`` is when its newest value was published.

    ``grave``: it does not merely fail to answer, it says that our log contradicts what it saw.
    """

    kind: str
    name: str
    url: str
    size: int = 0
    at_us: int = 0
    fails: str = ""
    since_us: int = 0
    grave: bool = False


class Standings(msgspec.Struct):
    """What `attestation.json` holds."""

    parties: list[Standing] = []
    quorum: int = 0
    quorum_size: int = 0
    """The largest tree that a quorum cosigned, and when."""
    quorum_at_us: int = 0


class Contradiction(Exception):  # noqa: N818  because it names what the witness says
    """A witness saw something that our log does not contain."""


class Attester:
    """Asks in rounds, in a thread of its own."""

    def __init__(
        self,
        root: Path,
        vkey: str,
        plan: Plan,
        *,
        stamped: Callable[[bytes], None] = lambda _digest: None,
        heard: Callable[[Drawn], None] = lambda _drawn: None,
        send: Exchange = exchange,
        disk: Disk | None = None,
        storage: Storage | None = None,
    ) -> None:
        self._root = root
        self._disk = disk or Disk()
        storage = storage or open_storage(root, None, self._disk)
        self._objects, self._moves = storage.objects, not storage.remote
        self._log = Verifier(vkey)
        self._plan = plan
        self._stamped = stamped
        self._heard = heard
        self._send = send
        self._trust = of_witnesses([self._log], plan.witnesses, plan.quorum)
        witnesses = [Standing("witness", verifier.name, url) for url, verifier in plan.witnesses]
        authorities = [Standing("authority", one.name, url) for url, one in plan.authorities]
        threshold = len(witnesses) if plan.quorum is None else plan.quorum
        beacons = [Standing("beacon", one.name, url) for url, one in plan.beacons]
        self._standings = Standings([*witnesses, *authorities, *beacons], threshold)
        self._kept = _Kept()
        self._stop = threading.Event()
        self._gate = threading.Lock()
        """Held while something is written that would stand in another shard's place once this one has moved."""
        self._retired = False
        self._thread = threading.Thread(target=self._run, name="attester", daemon=True)

    def start(self) -> None:
        """Publish the policy and begin asking."""
        try:
            self._put(POLICY_FILE, self._trust.encode().encode())
        except OSError as error:
            log.error("`%s` cannot be published: %s", POLICY_FILE, error.strerror or error)
        self._thread.start()

    def finish(self) -> None:
        """Ask everybody once more and end, without being waited for."""
        self._stop.set()

    def retire(self) -> None:
        """End, and write nothing more here: it is about to move. A question under way is asked in vain."""
        with self._gate:
            self._retired = True
        self._stop.set()

    def stop(self) -> None:
        """Ask everybody once more about what was sealed last, and end; not longer than `FINISH_WITHIN_S`."""
        self.finish()
        self._thread.join(FINISH_WITHIN_S)
        if self._thread.is_alive():
            log.warning(
                "whom the log asks to vouch for it did not answer in time: the last checkpoint stays without"
            )

    def cosign(self) -> None:
        """Ask every witness about the newest checkpoint."""
        found = self._newest()
        if found is None:
            return
        checkpoint, note = found
        lines = []
        for standing, (url, verifier) in zip(self._standings.parties, self._plan.witnesses, strict=False):
            try:
                ask = partial(self._cosignature, standing, verifier, checkpoint, note)
                lines.append(self._at_any("witness", url, ask))
            except Contradiction as error:
                self._fails(standing, str(error), grave=True)
            except (OSError, NoteError, Missing) as error:
                self._fails(standing, str(error))
            else:
                self._vouches(standing, checkpoint.size)
        if lines:
            self._keep(checkpoint.size, note + b"".join(lines))
        self._tell()

    def stamp(self) -> bool:
        """Ask every authority about the newest checkpoint, one with cosignatures if there is one; return success."""
        found = self._newest(LATEST) or self._newest()
        if found is None:
            return False
        checkpoint, _ = found
        complete = True
        asked = zip(
            self._standings.parties[len(self._plan.witnesses) :], self._plan.authorities, strict=False
        )
        for number, (standing, (url, authority)) in enumerate(asked):
            path = f"receipts/{checkpoint.size}{f'.{number}' if number else ''}.tsr"
            try:
                text = checkpoint.text().encode()
                token = self._at_any("authority", url, partial(self._token, authority, text))
                self._put(path, token)
            except (OSError, StampError) as error:
                self._fails(standing, str(error))
                complete = False
            else:
                self._kept.stamped = checkpoint.size
                self._vouches(standing, checkpoint.size)
                self._stamped(timestamp.stamped_digest(token))
        self._tell()
        return complete

    def draw(self) -> None:
        """Ask every beacon for its newest value, and hand on what is newer than before."""
        asked = self._standings.parties[len(self._plan.witnesses) + len(self._plan.authorities) :]
        for standing, (url, source) in zip(asked, self._plan.beacons, strict=True):
            try:
                found = self._at_any("beacon", url, partial(self._value, source))
            except (OSError, BeaconError, Unverifiable) as error:
                self._fails(standing, str(error))
                continue
            if found.time_us > standing.at_us and not self._retired:
                self._heard(found)
            self._answers(standing)
            standing.at_us = max(standing.at_us, found.time_us)
        self._tell()

    # --- rounds

    def _run(self) -> None:
        plan = self._plan
        while not self._retired and not self._begun() and not self._stop.wait(FIRST_LOOK_EVERY_S):
            pass  # a new log has no checkpoint within its first second
        next_cosign = next_stamp = next_draw = time.monotonic()
        while True:
            last = self._stop.is_set()
            if self._retired:
                return
            now = time.monotonic()
            try:
                if plan.witnesses and (last or now >= next_cosign):
                    next_cosign = now + plan.witness_every_s
                    self.cosign()
                if plan.authorities and (last or now >= next_stamp):
                    next_stamp = now + (plan.stamp_every_s if self.stamp() else RETRY_STAMP_S)
                if plan.beacons and not last and now >= next_draw:
                    next_draw = now + plan.beacon_every_s
                    self.draw()
            except OSError as error:
                log.error("cosignatures and time-stamps cannot be kept: %s", error.strerror or error)
            if last:
                return
            waits = [next_cosign] * bool(plan.witnesses) + [next_stamp] * bool(plan.authorities)
            waits += [next_draw] * bool(plan.beacons)
            self._stop.wait(max(0.05, min(waits) - time.monotonic()))

    def _begun(self) -> bool:
        try:
            return self._newest() is not None
        except OSError:
            return False  # who seals says that the store is away

    def _cosignature(
        self, standing: Standing, verifier: Verifier, checkpoint: Checkpoint, note: bytes, url: str
    ) -> bytes:
        """Return the line of one witness. It knows what it saw last; we begin with what we believe and follow it once."""
        old = min(standing.size, checkpoint.size)
        for _ in range(2):
            proof = prove_consistency(self._objects.get, old, checkpoint.size) if old else []
            body = Request(old, tuple(proof), note).encode()
            answer = self._send(
                Ask(f"{url.rstrip('/')}/add-checkpoint", body, "text/plain", limit=LARGEST_ANSWER)
            )
            if answer.status == 200:
                return cosignatures(answer.body, note, verifier)
            if answer.status != 409 or answer.media != SIZE_TYPE:
                break
            known = _size(answer.body)
            if known > checkpoint.size:
                raise Contradiction(
                    f"it saw {known} records and the log has {checkpoint.size}: the log was rolled back"
                )
            if known == old:
                raise Contradiction(f"it saw another tree of {known} records: the log was forked")
            old = known
        if answer.status == 422:
            raise Contradiction("it says that the log is no continuation of what it saw: the log was forked")
        raise Unreachable(f"answers with status {answer.status}: {answer.body[:120]!a}")

    def _at_any(self, kind: str, url: str, ask: Callable[[str], Asked]) -> Asked:
        """Return what the first address says that does. One that is down is no outage while another is not.

        A `Contradiction` counts from whichever address it comes: no other one is asked whether it sees less.
        """
        failed: list[Exception] = []
        addresses = (url, *self._plan.also.get((kind, url), ()))
        for address in addresses:
            try:
                return ask(address)
            except (OSError, NoteError, StampError, BeaconError) as error:
                failed.append(error)
        if len(addresses) == 1:
            raise failed[0]
        said = "; ".join(f"`{address}`: {error}" for address, error in zip(addresses, failed, strict=True))
        raise Unreachable(f"none of {len(addresses)} addresses does: {said}")

    def _token(self, authority: Authority, text: bytes, url: str) -> bytes:
        asked, nonce = timestamp.request(text)
        answer = self._send(Ask(url, asked, timestamp.REQUEST_TYPE, limit=timestamp.LARGEST_TOKEN))
        if answer.status != 200:
            raise Unreachable(f"answers with status {answer.status}")
        authority.verify(answer.body, text, nonce=nonce)
        return answer.body

    def _value(self, source: Source, url: str) -> Drawn:
        answer = self._send(Ask(url, limit=LARGEST_BEACON))
        if answer.status != 200:
            raise Unreachable(f"answers with status {answer.status}")
        found = drawn(source, answer.body)
        age_s = time.time() - found.time_us / 1e6
        if age_s > OLD_BEACON_S:
            raise BeaconError(f"its newest value is {age_s:.0f} s old")
        return found

    def _newest(self, path: str = "checkpoint") -> tuple[Checkpoint, bytes] | None:
        note = self._objects.get(path)
        if not note or self._retired:
            return None
        try:
            return parse(self._log.verify(note)), note
        except NoteError as error:
            if path != LATEST:  # that one may still be by a key before the one in force
                log.error("`%s` is not a checkpoint of this log: %s", path, error)
            return None

    def _keep(self, size: int, cosigned: bytes) -> None:
        """Keep the cosigned checkpoint. Of one hour the last stays, and every one that is stamped: later ones say more."""
        hour = int(time.time()) // HOUR_S
        self._put(f"cosig/{size}", cosigned)
        self._put(LATEST, cosigned)
        before = self._kept
        if before.hour == hour and before.size not in {size, before.stamped}:
            self._remove(f"cosig/{before.size}")
        self._kept = _Kept(size, hour, before.stamped)
        if self._trust.witnessed(cosigned, now_s=int(time.time())).quorum:
            self._standings.quorum_size, self._standings.quorum_at_us = size, time.time_ns() // 1000

    # --- telling

    def _vouches(self, standing: Standing, size: int) -> None:
        self._answers(standing)
        standing.size, standing.at_us = size, time.time_ns() // 1000

    def _answers(self, standing: Standing) -> None:
        if standing.fails:
            log.info("%s `%s` answers again", standing.kind, standing.name)
        standing.fails, standing.since_us, standing.grave = "", 0, False

    def _fails(self, standing: Standing, why: str, *, grave: bool = False) -> None:
        if not standing.fails or grave != standing.grave:
            level = logging.CRITICAL if grave else logging.WARNING
            log.log(level, "%s `%s`: %s", standing.kind, standing.name, why)
            standing.since_us = time.time_ns() // 1000
        standing.fails, standing.grave = why, grave

    def _tell(self) -> None:
        with self._gate:
            if not self._retired:
                told = msgspec.json.format(msgspec.json.encode(self._standings))
                self._disk.put(self._root / STANDING_FILE, told)

    def _put(self, path: str, data: bytes) -> None:
        with self._gate if self._moves else nullcontext():
            if not self._retired:
                self._objects.put(path, data)

    def _remove(self, path: str) -> None:
        with self._gate if self._moves else nullcontext():
            if not self._retired:
                self._objects.remove(path)


@dataclass(frozen=False, slots=True)
class _Kept:
    """The newest cosigned checkpoint that is kept: its size, its hour, and the size that was stamped last."""

    size: int = -1
    hour: int = -1
    stamped: int = -1


def read_standings(root: Path) -> Standings | None:
    """Return how those who vouch for the log in ``root`` stand, or None: nobody was ever asked, or it cannot be read."""
    try:
        return msgspec.json.decode((root / STANDING_FILE).read_bytes(), type=Standings)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def tokens(objects: Files) -> Sequence[tuple[str, int, bytes]]:
    """Return path, size and bytes of the time-stamps that are kept, smallest tree first."""
    found = []
    for name in objects.children("receipts"):
        number = name.partition(".")[0]
        if name.endswith(".tsr") and number.isdigit():
            found.append((int(number), f"receipts/{name}"))
    return [(path, size, objects.get(path) or b"") for size, path in sorted(found)]


def _size(body: bytes) -> int:
    text = body.strip()
    if not text.isdigit() or len(text) > 19:
        raise Unreachable("answers with a conflict that names no size")
    return int(text)
