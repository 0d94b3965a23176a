"""What others say of a log: witnesses that cosigned it, authorities that stamped it.

*Attestation*: a cosigned checkpoint or a time-stamp token, with the size it is about. *Attestations*: all that are at
hand and whom the verifier trusts; the log's own verification passes by each of their sizes once and notes the root
there, so that checking them costs one pass whatever their number.
"""

from collections.abc import Iterable, Sequence

import msgspec

from magistrate.evidence.beacon import BeaconError, Source, Unverifiable, published
from magistrate.evidence.checkpoint import Checkpoint
from magistrate.evidence.checkpoint import parse as parse_checkpoint
from magistrate.evidence.malformed import NoteError
from magistrate.evidence.merkle import Frontier
from magistrate.evidence.note import Verifier, open_note
from magistrate.evidence.noted import Noted
from magistrate.evidence.said import Said
from magistrate.evidence.stamped import Token
from magistrate.evidence.stretches import Bound, Stretch, stretches
from magistrate.evidence.succession import Read, signer_of
from magistrate.evidence.timestamp import Authority, Forged, Stamp, StampError, first_to_hold, stamped_digest
from magistrate.evidence.trust import Trust

CLOCK_TOLERANCE_US = 10_000_000
"""By so much a record's own time may pass the bounds that stamps set, before the clock is remarked on."""


OVERDUE_US = 3_600_000_000
"""So much of a log, by its own time, may lie above the last cosignature or stamp before it is remarked on."""


class Attested(msgspec.Struct, frozen=True):
    """Whom the verifier trusts, and what there is of theirs.

    ``cosigned`` is the newest checkpoint with its cosignatures; empty if there is none. ``sources`` are beacons. ``now_us`` and ``max_age_us``
    bound how old the newest record, and the newest cosignature where witnesses are required, may be; 0: any age.
    """

    trust: Trust | None = None
    authorities: Sequence[Authority] = ()
    cosigned: bytes = b""
    tokens: Sequence[Token] = ()
    sources: Sequence[Source] = ()
    now_us: int = 0
    max_age_us: int = 0


class _Passed(msgspec.Struct, frozen=True):
    """The tree where it passed a size: its root, and the latest time that any record below claims."""

    root: bytes
    latest_us: int


class Attestations:
    """Checks what others said, while a log is read from its beginning to its end."""

    def __init__(self, read: Read, log: Verifier, attested: Attested, noted: Noted) -> None:
        self._read = read
        self._log = log
        self._attested = attested
        self._noted = noted
        self._cosigned = self._read_cosigned()
        wanted = {token.size for token in attested.tokens}
        if self._cosigned is not None:
            wanted.add(self._cosigned.size)
        self._wanted = frozenset(wanted)
        self._frontier = Frontier()
        self._passed: dict[int, _Passed] = {}
        self._latest_us = 0
        self._beacons: list[tuple[str, int, str]] = []
        self._draws: list[tuple[str, int, Said]] = []
        self._latest: list[Bound] = []
        self._read_records = 0
        self.stamps = 0
        self.beacons = 0
        self.stretches: list[Stretch] = []
        self.cosigned: dict[str, int] = {}

    def add(self, place: str, leaf: bytes, ts: int, beacon: object) -> None:
        """Take one record: its leaf hash, its time, and the token that it names (hex), if any."""
        self._latest_us = max(self._latest_us, ts)
        self._read_records += 1
        if type(beacon) is str and beacon and (not self._beacons or self._beacons[-1][2] != beacon):
            self._beacons.append((place, ts, beacon))
        if self._wanted:
            self._frontier.add(leaf)
            if self._frontier.size in self._wanted:
                self._passed[self._frontier.size] = _Passed(self._frontier.root(), self._latest_us)

    def drew(self, place: str, record: Said) -> None:
        """Take the record that was added last as one that holds a beacon's value."""
        self._draws.append((place, self._read_records - 1, record))

    def finish(self) -> None:
        """Check every attestation against the tree that was passed."""
        self._check_witnesses()
        stamps = dict(self._check_tokens())
        self._check_beacons(stamps)
        earliest = list(self._check_draws())
        self.stretches = stretches(
            self._read_records, earliest, self._latest, self._noted.spelled("").rstrip(", ")
        )
        self._remark_overdue("cosignature", [at * 1_000_000 for at in self.cosigned.values()])
        self._remark_overdue("time-stamp", [stamp.time_us for stamp in stamps.values()])
        self._check_age(self._latest_us, "the newest record")

    # --- witnesses

    def _read_cosigned(self) -> Checkpoint | None:
        note = self._attested.cosigned
        if not note:
            return None
        try:
            return parse_checkpoint(signer_of(self._read, self._log, note).verify(note))
        except NoteError as error:
            self._noted.tampered("cosigned checkpoint", str(error))
            return None

    def _check_witnesses(self) -> None:
        trust, checkpoint = self._attested.trust, self._cosigned
        if checkpoint is not None:
            passed = self._passed.get(checkpoint.size)
            if passed is None:
                self._noted.tampered(
                    "cosigned checkpoint", f"witnesses saw {checkpoint.size} records, this log has fewer"
                )
            elif passed.root != checkpoint.root:
                self._noted.tampered(
                    "cosigned checkpoint", f"witnesses saw another tree of {checkpoint.size} records"
                )
        if trust is None:
            return
        if checkpoint is None:
            if not trust.witnessed(_nothing(self._log.name)).quorum:
                self._noted.undecidable(
                    "witnesses", "no cosigned checkpoint is here, and the policy asks for one"
                )
            return
        seen = trust.witnessed(self._attested.cosigned, now_s=self._attested.now_us // 1_000_000)
        self.cosigned = dict(seen.cosigned)
        for line in seen.wrong:
            self._noted.tampered("cosigned checkpoint", line)
        for line in seen.untimely:
            self._noted.remark("cosigned checkpoint", line)
        if not seen.quorum:
            self._noted.undecidable(
                "witnesses",
                f"no quorum: {len(seen.cosigned)} cosigned, {', '.join(seen.missing) or 'nobody'} did not",
            )
        elif seen.cosigned:
            self._check_age(max(seen.cosigned.values()) * 1_000_000, "the newest cosignature")

    # --- time

    def _check_tokens(self) -> Iterable[tuple[str, Stamp]]:
        if self._attested.tokens and not self._attested.authorities:
            self._noted.remark(
                "time-stamps", f"{len(self._attested.tokens)} were not checked: no authority is trusted"
            )
            return
        for token in self._attested.tokens:
            passed = self._passed.get(token.size)
            if passed is None:
                self._noted.tampered(
                    token.place, f"stamps a tree of {token.size} records, this log has fewer"
                )
                continue
            text = Checkpoint(self._log.name, token.size, passed.root).text()
            try:
                stamp = first_to_hold(token.data, text.encode(), self._attested.authorities)
            except Forged as error:
                self._noted.tampered(token.place, str(error))
                continue
            except StampError as error:
                self._noted.undecidable(token.place, str(error))
                continue
            self.stamps += 1
            self._latest.append(Bound(token.size, stamp.time_us + stamp.accuracy_us, stamp.authority))
            if passed.latest_us > stamp.time_us + stamp.accuracy_us + CLOCK_TOLERANCE_US:
                ahead = (passed.latest_us - stamp.time_us) / 1e6
                self._noted.remark(
                    token.place,
                    f"a record below it claims a time {ahead:.0f} s after it: the clock was ahead",
                )
            yield stamped_digest(token.data).hex(), stamp

    def _check_beacons(self, stamps: dict[str, Stamp]) -> None:
        for place, ts, beacon in self._beacons:
            stamp = stamps.get(beacon)
            if stamp is not None and ts < stamp.time_us - stamp.accuracy_us - CLOCK_TOLERANCE_US:
                behind = (stamp.time_us - ts) / 1e6
                self._noted.remark(
                    place,
                    f"names a time-stamp that was made {behind:.0f} s after its own time: the clock was behind",
                )

    def _check_draws(self) -> Iterable[Bound]:
        """Yield what verified beacons say of the records behind them."""
        if not self._draws:
            return
        unknown, reason = 0, ""
        for place, index, record in self._draws:
            try:
                source, time_us = published(self._attested.sources, record.ext)
            except Unverifiable as error:
                unknown, reason = unknown + 1, str(error)
            except BeaconError as error:
                self._noted.tampered(place, f"names a value that no beacon gave: {error}")
            else:
                self.beacons += 1
                if record.ts < time_us - CLOCK_TOLERANCE_US:
                    behind = (time_us - record.ts) / 1e6
                    self._noted.remark(
                        place,
                        f"names a beacon's value of {behind:.0f} s after its own time: the clock was behind",
                    )
                yield Bound(index + 1, time_us, source.name)
        if unknown:
            self._noted.remark("beacons", f"{unknown} were not checked: {reason}")

    def _remark_overdue(self, what: str, moments_us: list[int]) -> None:
        overdue = self._latest_us - max(moments_us, default=self._latest_us)
        if overdue > OVERDUE_US:
            self._noted.remark(
                f"{what}s", f"the newest one is {overdue / 1e6:.0f} s older than the newest record"
            )

    def _check_age(self, moment_us: int, what: str) -> None:
        age = self._attested.now_us - moment_us
        if self._attested.max_age_us and age > self._attested.max_age_us:
            self._noted.stale(
                "log",
                f"{what} is {age / 1e6:.0f} s old; at most {self._attested.max_age_us / 1e6:g} s are expected",
            )


def text_of(note: bytes) -> str:
    """Return what a note says, whoever signed it. Raises `NoteError`."""
    return open_note(note)[0]


def _nothing(origin: str) -> bytes:
    """Return a checkpoint that nobody signed, to ask a policy whether that would do."""
    return f"{Checkpoint(origin, 0, bytes(32)).text()}\n— {origin} AAAAAAA=\n".encode()
