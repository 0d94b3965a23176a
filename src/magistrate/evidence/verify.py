"""Verification: everything derived again from what is on disk, trusting the keys it is given and nothing else.

1 the checkpoint's signatures   2 every entry bundle and leaf hash   3 every tile of every level   4 the root
5 every header: canonical, each writer's sequence without a gap, each trace's chain, causes that exist, no silence
6 every body: the ciphertext that the header names, or a record that ordered it to go
7 witnesses and time-stamps: about this tree, by whom we trust
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from magistrate.evidence.absence import Absences
from magistrate.evidence.attested import Attestations, Attested
from magistrate.evidence.canonical import decode
from magistrate.evidence.checkpoint import Checkpoint
from magistrate.evidence.checkpoint import parse as parse_checkpoint
from magistrate.evidence.links import Links, Noted, facts
from magistrate.evidence.merkle import EMPTY_ROOT, HASH_BYTES, leaf_hash, node_hash
from magistrate.evidence.note import NoteError, Verifier
from magistrate.evidence.ports import Readable
from magistrate.evidence.record import check_shape
from magistrate.evidence.report import MOST_FINDINGS, Problem, Report, Verdict, worst
from magistrate.evidence.segment import folder_of
from magistrate.evidence.succession import signer_of
from magistrate.evidence.tiles import WIDTH, decode_bundle, entries_path, tile_path

__all__ = ["MOST_FINDINGS", "Attested", "Problem", "Report", "Verdict", "verify_log"]

NOBODY = Attested()
"""No witness and no authority is asked."""

Ciphertext = Callable[[dict[str, Any], str], bytes | None]
"""Returns the kept bytes of a record's body, by header and part."""


def verify_log(
    objects: Readable,
    vkey: str,
    *,
    also: Sequence[str] = (),
    attested: Attested = NOBODY,
    ciphertext: Ciphertext | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Verify a whole log. ``progress`` is told how many records of how many are done.

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
    attestations = Attestations(objects.get, trusted, attested, noted)
    check = TreeCheck(objects, checkpoint, ciphertext, attestations, noted)
    check.read(progress)
    check.finish()
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

    ``absences`` and ``before`` are shared with other shards of the same log.
    """

    def __init__(
        self,
        objects: Readable,
        checkpoint: Checkpoint,
        ciphertext: Ciphertext | None,
        attestations: Attestations,
        noted: Noted,
        absences: Absences | None = None,
        before: Links | None = None,
    ) -> None:
        self._objects = objects
        self._checkpoint = checkpoint
        self._ciphertext = ciphertext
        self._attestations = attestations
        self._noted = noted
        self._hashes: list[bytes] = []
        self.links = Links(noted, before)
        self.bodies = 0
        self._absences = absences or Absences()
        self.first: dict[str, Any] = {}
        self.last: dict[str, Any] = {}
        """The first and the last record, as far as they were read."""

    def read(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Read all of it and note what is wrong."""
        self._entries(progress)
        self._tiles()
        if len(self._hashes) == self._checkpoint.size:
            self.links.finish()
            self._attestations.finish()

    def _entries(self, progress: Callable[[int, int], None] | None) -> None:
        size = self._checkpoint.size
        for number in range((size + WIDTH - 1) // WIDTH):
            width = min(size - number * WIDTH, WIDTH)
            place = entries_path(number, width)
            kept = self._get(place, entries_path(number))
            if kept is None:
                return
            try:
                entries = decode_bundle(kept[0])
            except ValueError as error:
                self._noted.tampered(place, str(error))
                return
            if len(entries) < width or (len(entries) > width and not kept[1]):
                self._noted.tampered(place, f"holds {len(entries)} of {width} records")
                return
            for offset, raw in enumerate(entries[:width]):
                leaf = leaf_hash(raw)
                self._hashes.append(leaf)
                self._record(number * WIDTH + offset, raw, leaf)
            if progress is not None:
                progress(number * WIDTH + width, size)

    def _tiles(self) -> None:
        """Derive every tile from the leaves; compare it with the one that is kept, and the last with the root."""
        if len(self._hashes) != self._checkpoint.size:
            return
        level, hashes = 0, self._hashes
        while hashes:
            for number in range((len(hashes) + WIDTH - 1) // WIDTH):
                row = hashes[number * WIDTH : (number + 1) * WIDTH]
                place = tile_path(level, number, len(row))
                kept = self._get(place, tile_path(level, number))
                if kept is None:
                    continue
                data, whole = kept
                if (data[: len(row) * HASH_BYTES] if whole else data) != b"".join(row):
                    self._noted.tampered(place, "is not the hash of what is below it")
            hashes = [_fold(hashes[i : i + WIDTH]) for i in range(0, len(hashes) // WIDTH * WIDTH, WIDTH)]
            level += 1
        if _root(self._hashes) != self._checkpoint.root:
            self._noted.tampered("checkpoint", "the records do not lead to the signed root")

    def finish(self) -> None:
        """Note the bodies that are gone and were not ordered to go."""
        for place, what, too_early in self._absences.unexplained():
            (self._noted.tampered if too_early else self._noted.undecidable)(place, what)

    @property
    def attestations(self) -> Attestations:
        return self._attestations

    def report(self) -> Report:
        """Return what was found, after `read` and `finish`."""
        return report_of(
            self._noted,
            size=self._checkpoint.size,
            bodies=self.bodies,
            open_calls=self.links.open_calls,
            stamps=self._attestations.stamps,
            cosigned=self._attestations.cosigned,
            erased=self._absences.erased,
            pruned=self._absences.pruned,
        )

    def _record(self, index: int, raw: bytes, leaf: bytes) -> None:
        place, ts, beacon = f"record {index}", 0, None
        try:
            header = decode(raw)
            check_shape(header)
            self.first, self.last = self.first or header, header
            ts, beacon = header["ts"], facts(header).get("beacon")
            if header["log"] != self._checkpoint.origin:
                self._noted.tampered(place, f"is a record of another log, `{header['log']}`")
            self.links.add(place, header, raw)
            self._absences.saw(header)
            if self._ciphertext is not None:
                for meta in header.get("body", []):
                    self._body(place, header, meta)
        except ValueError as error:
            self._noted.tampered(place, f"is not a record: {error}")
        self._attestations.add(place, leaf, ts, beacon)

    def _body(self, place: str, header: dict[str, Any], meta: dict[str, Any]) -> None:
        assert self._ciphertext is not None
        kept = self._ciphertext(header, meta["part"])
        self.bodies += 1
        if kept is None:
            self._absences.missing(f"{place}, {meta['part']}", f"body/{folder_of(header)}", header, meta)
        elif hashlib.sha256(kept).hexdigest() != meta["ct"]:
            self._noted.tampered(f"{place}, {meta['part']}", "the body is not the recorded one")

    def _get(self, path: str, full: str) -> tuple[bytes, bool] | None:
        """Return a file, and whether it is the full one that a partial one has since become."""
        data = self._objects.get(path)
        if data is not None:
            return data, False
        data = self._objects.get(full) if full != path else None
        if data is not None:
            return data, True
        self._noted.undecidable(path, "cannot be read")
        return None


def _fold(hashes: list[bytes]) -> bytes:
    while len(hashes) > 1:
        hashes = [node_hash(hashes[i], hashes[i + 1]) for i in range(0, len(hashes), 2)]
    return hashes[0]


def _root(hashes: list[bytes]) -> bytes:
    """Return the root, layer by layer: an odd node out moves up as it is, which is what RFC 6962's recursion gives."""
    if not hashes:
        return EMPTY_ROOT
    while len(hashes) > 1:
        pairs = [node_hash(hashes[i], hashes[i + 1]) for i in range(0, len(hashes) - 1, 2)]
        hashes = pairs + hashes[len(pairs) * 2 :]
    return hashes[0]


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
) -> Report:
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
    )
