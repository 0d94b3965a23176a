"""Verification: everything derived again from what is on disk, trusting the keys it is given and nothing else.

1 the checkpoint's signatures   2 every entry bundle and leaf hash   3 every tile of every level   4 the root
5 every header: canonical, each writer's sequence without a gap, each trace's chain, causes that exist, no silence
6 every body: the ciphertext that the header names, or a record that ordered it to go
7 witnesses and time-stamps: about this tree, by whom we trust
"""

from collections.abc import Callable, Mapping, Sequence

from magistrate.evidence.absence import Absences
from magistrate.evidence.attested import Attestations, Attested
from magistrate.evidence.beacon import BEACON
from magistrate.evidence.checkpoint import Checkpoint
from magistrate.evidence.checkpoint import parse as parse_checkpoint
from magistrate.evidence.links import Links
from magistrate.evidence.merkle import root_over
from magistrate.evidence.note import NoteError, Verifier
from magistrate.evidence.noted import Noted
from magistrate.evidence.ports import Readable
from magistrate.evidence.reading import Bundle, Bundles, Ciphertext, check_tile, read_bundles, split
from magistrate.evidence.report import MOST_FINDINGS, Problem, Report, Verdict, worst
from magistrate.evidence.said import Said
from magistrate.evidence.stretches import Stretch
from magistrate.evidence.succession import signer_of
from magistrate.evidence.tiles import WIDTH, tile_path

__all__ = ["MOST_FINDINGS", "Attested", "Problem", "Report", "Verdict", "verify_log"]

NOBODY = Attested()
"""No witness and no authority is asked."""


def verify_log(
    objects: Readable,
    vkey: str,
    *,
    also: Sequence[str] = (),
    attested: Attested = NOBODY,
    ciphertext: Ciphertext | None = None,
    bundles: Bundles | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Verify a whole log. ``progress`` is told how many records of how many are done.

    Bodies are verified if ``ciphertext`` is given. ``bundles`` reads the log instead (and bodies, if it was told to): in
    several processes, say.

    Where the key in force follows ``vkey`` by steps that the log shows, it counts as ``vkey`` does. ``also`` are further keys of the log (its ML-DSA-44 one) whose signatures must stand under the checkpoint too.
    """
    noted = Noted()
    note = objects.get("checkpoint")
    if note is None:
        noted.undecidable("checkpoint", "there is no checkpoint")
        return report_of(noted)
    try:
        trusted = Verifier(vkey)
        verifier = signer_of(objects.get, trusted, note)
        checkpoint = parse_checkpoint(verifier.verify(note))
    except NoteError as error:
        noted.tampered("checkpoint", str(error))
        return report_of(noted)
    if checkpoint.origin != verifier.name:
        noted.tampered("checkpoint", f"it is of `{checkpoint.origin}`, the key is of `{verifier.name}`")
        return report_of(noted)
    check_also(note, also, noted)
    check = TreeCheck(objects, checkpoint, Attestations(objects.get, trusted, attested, noted), noted)
    check.read(bundles or read_bundles(objects, ciphertext), progress)
    check.finish()
    check.absences.tell(noted)
    return check.report()


def check_also(note: bytes, vkeys: Sequence[str], noted: Noted) -> None:
    for vkey in vkeys:
        try:
            verifier = Verifier(vkey)
            if verifier.cosigns and verifier.cosignature(note) is None:
                noted.undecidable(
                    "checkpoint", f"`{verifier.name}` has not signed it with its key {verifier.id.hex()}"
                )
            elif not verifier.cosigns:
                verifier.verify(note)
        except NoteError as error:
            noted.tampered("checkpoint", str(error))


class TreeCheck:
    """One verification under way, of a tree whose checkpoint is trusted.

    ``absences`` are shared with other shards of the same log; ``before`` is the check of the shard before this one.
    """

    def __init__(
        self,
        objects: Readable,
        checkpoint: Checkpoint,
        attestations: Attestations,
        noted: Noted,
        absences: Absences | None = None,
        before: "TreeCheck | None" = None,
    ) -> None:
        self._objects = objects
        self._checkpoint = checkpoint
        self._attestations = attestations
        self._noted = noted
        self._roots: list[bytes] = []
        self._read = 0
        self.links: Links = Links(noted, before.links if before else None)
        self.bodies = 0
        self.absences = absences or Absences()
        self.first: Said | None = None
        self.last: Said | None = None
        """The first and the last record, as far as they were read and are records."""

    @property
    def checkpoint(self) -> Checkpoint:
        return self._checkpoint

    @property
    def attestations(self) -> Attestations:
        return self._attestations

    @property
    def open_calls(self) -> int:
        return self.links.open_calls

    def read(self, bundles: Bundles, progress: Callable[[int, int], None] | None = None) -> None:
        """Read all of it and note what is wrong."""
        self._entries(bundles, progress)
        self._tiles()

    def finish(self) -> None:
        """Note what only the end shows. Of a closed shard: once the one after it has been read, if it is here."""
        if self._read == self._checkpoint.size:
            self.links.finish()
            self._attestations.finish()

    def _entries(self, bundles: Bundles, progress: Callable[[int, int], None] | None) -> None:
        size = self._checkpoint.size
        for bundle in bundles(self._checkpoint.origin, size):
            if bundle.broken is not None:
                self._noted.add(bundle.broken)
                return
            self._add(bundle)
            if progress is not None:
                progress(self._read, size)

    def _tiles(self) -> None:
        """Derive the tiles above the lowest from the bundles' roots; compare them with those that are kept, and the last with the root."""
        if self._read != self._checkpoint.size:
            return
        level, hashes = 1, self._roots[: self._checkpoint.size // WIDTH]
        while hashes:
            for number in range((len(hashes) + WIDTH - 1) // WIDTH):
                row = hashes[number * WIDTH : (number + 1) * WIDTH]
                path, full = tile_path(level, number, len(row)), tile_path(level, number)
                problem = check_tile(self._objects, path, full, b"".join(row))
                if problem is not None:
                    self._noted.add(problem)
            hashes = [root_over(hashes[i : i + WIDTH]) for i in range(0, len(hashes) // WIDTH * WIDTH, WIDTH)]
            level += 1
        if root_over(self._roots) != self._checkpoint.root:
            self._noted.tampered("checkpoint", "the records do not lead to the signed root")

    def report(self) -> Report:
        """Return what was found, after `read` and `finish`."""
        return report_of(
            self._noted,
            size=self._checkpoint.size,
            bodies=self.bodies,
            open_calls=self.open_calls,
            stamps=self._attestations.stamps,
            cosigned=self._attestations.cosigned,
            erased=self.absences.erased,
            pruned=self.absences.pruned,
            beacons=self._attestations.beacons,
            stretches=self._attestations.stretches,
        )

    def _add(self, bundle: Bundle) -> None:
        self._roots.append(bundle.root)
        self.bodies += bundle.bodies
        for problem in bundle.problems:
            self._noted.add(problem)
        log = self._checkpoint.origin
        for gone in bundle.gone:
            self.absences.missing(self._noted.spelled(gone.place), (log, gone.folder), gone.kid, gone.until)
        for leaf, record in zip(split(bundle.leaves), bundle.said, strict=True):
            place = f"record {self._read}"
            self._read += 1
            if record is None:
                self._attestations.add(place, leaf, 0, None)
                continue
            self.first, self.last = self.first or record, record
            self.links.add(place, record)
            if record.ext:
                self.absences.saw(log, record.t, record.ts, record.ext)
            self._attestations.add(place, leaf, record.ts, record.ext.get("beacon"))
            if record.own and record.t == BEACON:
                self._attestations.drew(place, record)


def report_of(
    noted: Noted,
    *,
    size: int = 0,
    bodies: int = 0,
    open_calls: int = 0,
    stamps: int = 0,
    cosigned: Mapping[str, int] = {},
    erased: int = 0,
    pruned: int = 0,
    beacons: int = 0,
    stretches: Sequence[Stretch] = (),
) -> Report:
    """Return a report of what was noted and counted."""
    return Report(
        worst(noted.problems),
        size,
        bodies,
        open_calls,
        tuple(noted.problems),
        tuple(noted.remarks),
        stamps,
        dict(cosigned),
        erased,
        pruned,
        beacons,
        tuple(stretches),
    )
