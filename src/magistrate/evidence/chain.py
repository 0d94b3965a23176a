"""Verification of a log that was rotated: every shard that is here, each as a whole, and what they say of each other.

1 the newest shard by the trusted key or one that follows it, the others by the same or by hashes (see `reached`)
2 each shard as a log of its own (see `verify`)   3 each but the newest ends with a ``shard.close``, and the next one names
that end   4 calls and causes across shards: taken over only where they were open, recorded once   5 bodies that are gone:
an order in a later shard counts
"""

from collections.abc import Callable, Sequence

import msgspec

from magistrate.evidence.absence import Absences
from magistrate.evidence.attested import Attestations, Attested
from magistrate.evidence.malformed import NoteError
from magistrate.evidence.note import Verifier
from magistrate.evidence.noted import Noted
from magistrate.evidence.ports import Readable
from magistrate.evidence.reached import Reached
from magistrate.evidence.reading import Bundles, read_bundles
from magistrate.evidence.report import Report
from magistrate.evidence.said import Said
from magistrate.evidence.shards import Opening, beginning, closed, kept_beginnings, opening
from magistrate.evidence.succession import SHARD_CLOSE, Read, kept_steps, own_steps
from magistrate.evidence.tiles import Missing
from magistrate.evidence.verify import NOBODY, TreeCheck, check_also, report_of, verify_log

Progress = Callable[[int, int], None]
"""Is told how many records of how many are done, of each shard by itself."""


class Copy(msgspec.Struct, frozen=True):
    """One shard as the verifier has it. ``vkey`` is the key beside it, which is believed for nothing but its name.

    ``bundles`` reads it: in several processes, say, and its bodies if it was told to.
    """

    number: int
    objects: Readable
    vkey: str = ""
    attested: Attested = NOBODY
    bundles: Bundles | None = None


def verify_shards(
    shards: Sequence[Copy], vkey: str, *, also: Sequence[str] = (), progress: Progress | None = None
) -> Report:
    """Verify the shards of a log, oldest first; the last is the one that is written. See `verify.verify_log`."""
    newest = shards[-1]
    if len(shards) == 1 and newest.number == 1:
        return verify_log(
            newest.objects,
            vkey,
            also=also,
            attested=newest.attested,
            bundles=newest.bundles,
            progress=progress,
        )
    return _Chain(shards, vkey, also).report(progress)


def number_of(read: Read) -> int:
    """Return which shard a log says it is; 1 where it cannot be read, or was never rotated and put away alone.

    A closed shard that was taken to an archive is a log of its own there, and counts as the first.
    """
    try:
        return len(closed(read)) + 1
    except NoteError:
        return 1


class _Chain:
    """One verification under way."""

    def __init__(self, shards: Sequence[Copy], vkey: str, also: Sequence[str]) -> None:
        self._shards, self._vkey, self._also = shards, vkey, also
        self._noted = Noted()
        self._absences = Absences()
        self._checks: list[TreeCheck] = []
        """Of the shards that could be read, oldest first."""

    def report(self, progress: Progress | None) -> Report:
        try:
            self._verify(progress)
        except NoteError as error:
            self._noted.tampered("checkpoint", str(error))
        except Missing as missing:
            self._noted.undecidable("succession", str(missing))
        for check in self._checks:  # not before: what one of them misses may stand in the next
            check.finish()
        self._absences.tell(self._noted)
        cosigned = (check.attestations.cosigned for check in reversed(self._checks))
        return report_of(
            self._noted,
            size=sum(check.checkpoint.size for check in self._checks),
            bodies=sum(check.bodies for check in self._checks),
            open_calls=self._checks[-1].open_calls if self._checks else 0,
            stamps=sum(check.attestations.stamps for check in self._checks),
            cosigned=next(filter(None, cosigned), {}),
            erased=self._absences.erased,
            pruned=self._absences.pruned,
            beacons=sum(check.attestations.beacons for check in self._checks),
            stretches=[one for check in self._checks for one in check.attestations.stretches],
        )

    def _verify(self, progress: Progress | None) -> None:
        newest = self._shards[-1]
        read, note = newest.objects.get, newest.objects.get("checkpoint")
        beginnings = list(kept_beginnings(read).values())
        if note:
            beginnings.append(beginning(read, note))
        trusted = Verifier(self._vkey)
        reached = Reached(trusted, [*kept_steps(read), *own_steps(read)], beginnings)
        expected, before = 1, None
        for shard in self._shards:
            for number in range(expected, shard.number):
                self._noted.remark(f"shard {number}", "is not here, and was not verified")
                before = None
            expected = shard.number + 1
            before = self._read(shard, reached, trusted, before, progress)

    def _read(
        self,
        shard: Copy,
        reached: Reached,
        trusted: Verifier,
        before: TreeCheck | None,
        progress: Progress | None,
    ) -> TreeCheck | None:
        """Read one shard; ``before``: the check of the one before it. Return its own, or None: it has no checkpoint."""
        newest = shard is self._shards[-1]
        noted = self._noted.within("" if newest else f"shard {shard.number}, ")
        note = shard.objects.get("checkpoint")
        if note is None:
            noted.undecidable("checkpoint", "there is no checkpoint")
            return None
        try:
            checkpoint = reached.checkpoint(note)
        except NoteError as error:
            noted.tampered("checkpoint", str(error))
            return None
        if newest:
            check_also(note, self._also, noted)
        key = reached.key_of(checkpoint.origin) or _beside(shard, note) or trusted
        attestations = Attestations(shard.objects.get, key, shard.attested, noted)
        check = TreeCheck(shard.objects, checkpoint, attestations, noted, self._absences, before)
        check.read(shard.bundles or read_bundles(shard.objects), progress)
        self._checks.append(check)
        _joins(shard, check, before, noted, closes=not newest)
        return check


def _joins(shard: Copy, check: TreeCheck, before: TreeCheck | None, noted: Noted, *, closes: bool) -> None:
    """Note where a shard does not follow the one before it, or is not closed although another one follows."""
    opened = _opening(check.first)
    if opened is None or opened.number != shard.number:
        noted.tampered("record 0", f"does not open shard {shard.number}")
    elif before is not None and opened.previous != before.checkpoint:
        noted.tampered("record 0", f"names another end of shard {shard.number - 1} than the one that is here")
    if closes and (check.last is None or check.last.t != SHARD_CLOSE):
        noted.tampered(
            f"record {check.checkpoint.size - 1}", "does not close the shard, and another one follows"
        )


def _beside(shard: Copy, note: bytes) -> Verifier | None:
    """Return the key beside a shard, if it is the one that has signed the checkpoint which is trusted otherwise."""
    try:
        verifier = Verifier(shard.vkey)
    except NoteError:
        return None
    return verifier if verifier.has_signed(note) else None


def _opening(record: Said | None) -> Opening | None:
    try:
        return opening(record.t, record.ext) if record is not None else None
    except ValueError:
        return None
