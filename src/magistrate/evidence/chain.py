"""Verification of a log that was rotated: every shard that is here, each as a whole, and what they say of each other.

1 the newest shard by the trusted key or one that follows it, the others by the same or by hashes (see `reached`)
2 each shard as a log of its own (see `verify`)   3 each but the newest ends with a ``shard.close``, and the next one names
that end   4 calls and causes across shards: taken over only where they were open, recorded once   5 bodies that are gone:
an order in a later shard counts
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from magistrate.evidence.absence import Absences
from magistrate.evidence.attested import Attestations, Attested
from magistrate.evidence.checkpoint import Checkpoint
from magistrate.evidence.links import Noted
from magistrate.evidence.malformed import NoteError
from magistrate.evidence.note import Verifier
from magistrate.evidence.ports import Readable
from magistrate.evidence.reached import Reached
from magistrate.evidence.report import Report
from magistrate.evidence.shards import Opening, beginning, closed, kept_beginnings, opening
from magistrate.evidence.succession import SHARD_CLOSE, Read, kept_steps, own_steps
from magistrate.evidence.tiles import Missing
from magistrate.evidence.verify import NOBODY, Ciphertext, TreeCheck, check_also, report_of, verify_log


class Copy(msgspec.Struct, frozen=True):
    """One shard as the verifier has it. ``vkey`` is the key beside it, which is believed for nothing but its name."""

    number: int
    objects: Readable
    vkey: str = ""
    attested: Attested = NOBODY
    ciphertext: Ciphertext | None = None


def verify_shards(
    shards: Sequence[Copy],
    vkey: str,
    *,
    also: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Verify the shards of a log, oldest first; the last is the one that is written. See `verify.verify_log`."""
    newest = shards[-1]
    if len(shards) == 1 and newest.number == 1:
        return verify_log(
            newest.objects,
            vkey,
            also=also,
            attested=newest.attested,
            ciphertext=newest.ciphertext,
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
        self._size = self._bodies = self._stamps = self._open_calls = 0
        self._cosigned: dict[str, int] = {}

    def report(self, progress: Callable[[int, int], None] | None) -> Report:
        try:
            self._verify(progress)
        except NoteError as error:
            self._noted.tampered("checkpoint", str(error))
        except Missing as missing:
            self._noted.undecidable("succession", str(missing))
        for place, what, too_early in self._absences.unexplained():
            (self._noted.tampered if too_early else self._noted.undecidable)(place, what)
        return report_of(
            self._noted,
            size=self._size,
            bodies=self._bodies,
            open_calls=self._open_calls,
            stamps=self._stamps,
            cosigned=self._cosigned,
            erased=self._absences.erased,
            pruned=self._absences.pruned,
        )

    def _verify(self, progress: Callable[[int, int], None] | None) -> None:
        newest = self._shards[-1]
        notes = {shard.number: shard.objects.get("checkpoint") for shard in self._shards}
        read = newest.objects.get
        trusted = Verifier(self._vkey)
        beginnings = list(kept_beginnings(read).values())
        if note := notes[newest.number]:
            beginnings.append(beginning(read, note))
        reached = Reached(trusted, [*kept_steps(read), *own_steps(read)], beginnings)
        before: tuple[Copy, TreeCheck, Checkpoint] | None = None
        for shard in self._shards:
            noted = self._noted.within("" if shard is newest else f"shard {shard.number}, ")
            note = notes[shard.number]
            if note is None:
                noted.undecidable("checkpoint", "there is no checkpoint")
                before = None
                continue
            try:
                checkpoint = reached.checkpoint(note)
            except NoteError as error:
                noted.tampered("checkpoint", str(error))
                before = None
                continue
            if shard is newest:
                check_also(note, self._also, noted)
            key = reached.key_of(checkpoint.origin) or _beside(shard, note) or trusted
            attestations = Attestations(shard.objects.get, key, shard.attested, noted)
            linked = before[1].links if before and before[0].number == shard.number - 1 else None
            check = TreeCheck(
                shard.objects, checkpoint, shard.ciphertext, attestations, noted, self._absences, linked
            )
            check.read(progress)
            self._joins(shard, check, checkpoint, before, noted)
            self._count(check, checkpoint)
            before = shard, check, checkpoint

    def _joins(
        self,
        shard: Copy,
        check: TreeCheck,
        checkpoint: Checkpoint,
        before: tuple[Copy, TreeCheck, Checkpoint] | None,
        noted: Noted,
    ) -> None:
        """Note where a shard does not follow the one before it, or is not closed although another one follows."""
        opened = _opening(check.first)
        if opened is None or opened.number != shard.number:
            noted.tampered("record 0", f"does not open shard {shard.number}")
        elif before is not None and before[0].number == shard.number - 1 and opened.previous != before[2]:
            noted.tampered(
                "record 0", f"names another end of shard {before[0].number} than the one that is here"
            )
        if shard is not self._shards[-1] and check.last.get("t") != SHARD_CLOSE:
            noted.tampered(
                f"record {checkpoint.size - 1}", "does not close the shard, and another one follows"
            )
        first = before[0].number + 1 if before else 1
        for number in range(first, shard.number):
            self._noted.remark(f"shard {number}", "is not here, and was not verified")

    def _count(self, check: TreeCheck, checkpoint: Checkpoint) -> None:
        self._size += checkpoint.size
        self._bodies += check.bodies
        self._stamps += check.attestations.stamps
        self._cosigned = check.attestations.cosigned or self._cosigned
        self._open_calls = check.links.open_calls


def _beside(shard: Copy, note: bytes) -> Verifier | None:
    """Return the key beside a shard, if it is the one that has signed the checkpoint which is trusted otherwise."""
    try:
        verifier = Verifier(shard.vkey)
    except NoteError:
        return None
    return verifier if verifier.has_signed(note) else None


def _opening(header: dict[str, Any]) -> Opening | None:
    try:
        return opening(header)
    except (ValueError, KeyError):
        return None
