"""Verification: everything derived again from what is on disk, trusting one verifier key and nothing else.

1 the checkpoint's signature   2 every entry bundle and leaf hash   3 every tile of every level   4 the root
5 every header: canonical, each writer's sequence without a gap, each trace's chain, causes that exist
6 every body: the ciphertext that the header names, or a record that ordered it to go
"""

import hashlib
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any

import msgspec

from magistrate.evidence.absence import Absences
from magistrate.evidence.canonical import decode
from magistrate.evidence.checkpoint import Checkpoint
from magistrate.evidence.checkpoint import parse as parse_checkpoint
from magistrate.evidence.merkle import EMPTY_ROOT, HASH_BYTES, leaf_hash, node_hash
from magistrate.evidence.note import NoteError, Verifier
from magistrate.evidence.ports import Objects
from magistrate.evidence.record import check_shape
from magistrate.evidence.segment import folder_of
from magistrate.evidence.tiles import WIDTH, decode_bundle, entries_path, tile_path

MOST_FINDINGS = 1000


class Verdict(StrEnum):
    VALID = "valid"
    TAMPERED = "tampered"
    UNDECIDABLE = "undecidable"
    """Something that is needed cannot be read; what could be read is as it was."""


class Problem(msgspec.Struct, frozen=True):
    """What is wrong, and where."""

    verdict: Verdict
    place: str
    what: str


class Report(msgspec.Struct, frozen=True):
    """What verification found. ``open_calls`` are intents without an outcome: calls that never ended."""

    verdict: Verdict
    size: int
    bodies: int
    open_calls: int
    findings: tuple[Problem, ...] = ()
    erased: int = 0
    """Bodies that are not there because a recorded erasure destroyed their key."""
    pruned: int = 0
    """Bodies that are not there because their retention had ended, as a record says."""


Ciphertext = Callable[[dict[str, Any], str], bytes | None]
"""Returns the kept bytes of a record's body, by header and part."""


def verify_log(
    objects: Objects,
    vkey: str,
    *,
    ciphertext: Ciphertext | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Verify a whole log. ``progress`` is told how many records of how many are done."""
    note = objects.get("checkpoint")
    if note is None:
        return _report([Problem(Verdict.UNDECIDABLE, "checkpoint", "there is no checkpoint")], 0, 0, 0)
    try:
        verifier = Verifier(vkey)
        checkpoint = parse_checkpoint(verifier.verify(note))
    except NoteError as error:
        return _report([Problem(Verdict.TAMPERED, "checkpoint", str(error))], 0, 0, 0)
    if checkpoint.origin != verifier.name:
        wrong = f"it is of `{checkpoint.origin}`, the key is of `{verifier.name}`"
        return _report([Problem(Verdict.TAMPERED, "checkpoint", wrong)], 0, 0, 0)
    check = _Check(objects, checkpoint, ciphertext)
    check.entries(progress)
    check.tiles()
    return check.report()


class _Check:
    """One verification under way."""

    def __init__(self, objects: Objects, checkpoint: Checkpoint, ciphertext: Ciphertext | None) -> None:
        self._objects = objects
        self._checkpoint = checkpoint
        self._ciphertext = ciphertext
        self._findings: list[Problem] = []
        self._hashes: list[bytes] = []
        self._links = Links()
        self._bodies = 0
        self._absences = Absences()

    def entries(self, progress: Callable[[int, int], None] | None) -> None:
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
                self._tampered(place, str(error))
                return
            if len(entries) < width or (len(entries) > width and not kept[1]):
                self._tampered(place, f"holds {len(entries)} of {width} records")
                return
            for offset, raw in enumerate(entries[:width]):
                self._hashes.append(leaf_hash(raw))
                self._record(number * WIDTH + offset, raw)
            if progress is not None:
                progress(number * WIDTH + width, size)

    def tiles(self) -> None:
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
                    self._tampered(place, "is not the hash of what is below it")
            hashes = [_fold(hashes[i : i + WIDTH]) for i in range(0, len(hashes) // WIDTH * WIDTH, WIDTH)]
            level += 1
        if _root(self._hashes) != self._checkpoint.root:
            self._tampered("checkpoint", "the records do not lead to the signed root")

    def report(self) -> Report:
        self._findings += self._links.findings()
        for place, what, too_early in self._absences.unexplained():
            (self._tampered if too_early else self._undecidable)(place, what)
        report = _report(self._findings, self._checkpoint.size, self._bodies, self._links.open_calls)
        return msgspec.structs.replace(report, erased=self._absences.erased, pruned=self._absences.pruned)

    def _record(self, index: int, raw: bytes) -> None:
        place = f"record {index}"
        try:
            header = decode(raw)
            check_shape(header)
            if header["log"] != self._checkpoint.origin:
                self._tampered(place, f"is a record of another log, `{header['log']}`")
            self._links.add(place, header, raw)
            self._absences.saw(header)
            if self._ciphertext is not None:
                for meta in header.get("body", []):
                    self._body(place, header, meta)
        except ValueError as error:
            self._tampered(place, f"is not a record: {error}")

    def _body(self, place: str, header: dict[str, Any], meta: dict[str, Any]) -> None:
        assert self._ciphertext is not None
        kept = self._ciphertext(header, meta["part"])
        self._bodies += 1
        if kept is None:
            self._absences.missing(f"{place}, {meta['part']}", f"body/{folder_of(header)}", header, meta)
        elif hashlib.sha256(kept).hexdigest() != meta["ct"]:
            self._tampered(f"{place}, {meta['part']}", "the body is not the recorded one")

    def _get(self, path: str, full: str) -> tuple[bytes, bool] | None:
        """Return a file, and whether it is the full one that a partial one has since become."""
        data = self._objects.get(path)
        if data is not None:
            return data, False
        data = self._objects.get(full) if full != path else None
        if data is not None:
            return data, True
        self._undecidable(path, "cannot be read")
        return None

    def _tampered(self, place: str, what: str) -> None:
        self._findings.append(Problem(Verdict.TAMPERED, place, what))

    def _undecidable(self, place: str, what: str) -> None:
        self._findings.append(Problem(Verdict.UNDECIDABLE, place, what))


class Links:
    """What records say of each other: sequences, chains, causes."""

    def __init__(self) -> None:
        self._sequence: dict[str, int] = {}
        self._last: dict[str, str] = {}
        self._ids: set[str] = set()
        self._open: set[str] = set()
        self._findings: list[Problem] = []

    @property
    def open_calls(self) -> int:
        return len(self._open)

    def findings(self) -> list[Problem]:
        return self._findings

    def add(self, place: str, header: dict[str, Any], raw: bytes) -> None:
        """Take one record, in the log's order."""
        eid, writer, trace = header["eid"], header["wid"], header["trace"]
        if eid in self._ids:
            self._note(place, f"`{eid}` was recorded before")
        expected = self._sequence.get(writer, 0) + 1
        if header["wseq"] != expected:
            self._note(
                place, f"writer `{writer}` went from {expected - 1} to {header['wseq']}: a record is missing"
            )
        self._sequence[writer] = header["wseq"]
        if header["prev"] and header["prev"] != self._last.get(trace):
            self._note(place, "does not follow the record before it in its trace")
        for cause in header.get("cause", []):
            if cause not in self._ids:
                self._note(place, f"names `{cause}` as its cause, which is not recorded before it")
            self._open.discard(cause)
        if header["phase"] == "intent":
            self._open.add(eid)
        self._ids.add(eid)
        self._last[trace] = hashlib.sha256(raw).hexdigest()

    def _note(self, place: str, what: str) -> None:
        self._findings.append(Problem(Verdict.TAMPERED, place, what))


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


def _report(findings: Iterable[Problem], size: int, bodies: int, open_calls: int) -> Report:
    found = tuple(findings)
    verdict = Verdict.VALID
    if any(problem.verdict is Verdict.TAMPERED for problem in found):
        verdict = Verdict.TAMPERED
    elif found:
        verdict = Verdict.UNDECIDABLE
    return Report(verdict, size, bodies, open_calls, found[:MOST_FINDINGS])
