"""Reading one entry bundle: everything that its 256 records show by themselves.

Verification has two halves. What a record shows alone (spelling, shape, leaf hash, its bodies' ciphertexts) needs no other
record, so bundles may be read in any number of processes. What records say of each other needs their order, and is
judged by one reader of `Bundle`s (`verify`).
"""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from magistrate.evidence.canonical import decode
from magistrate.evidence.merkle import HASH_BYTES, leaf_hash, root_over
from magistrate.evidence.ports import Readable
from magistrate.evidence.record import check_shape
from magistrate.evidence.report import Problem, Verdict
from magistrate.evidence.said import Said, said
from magistrate.evidence.segment import folder_of
from magistrate.evidence.shapes import Body, Read, Shapes
from magistrate.evidence.tiles import WIDTH, decode_bundle, entries_path, tile_path

Ciphertext = Callable[[dict[str, Any], str], bytes | None]
"""Returns the kept bytes of a record's body, by part and what says where it is: ``eid``, ``tenant``, ``ret`` and ``ts`` of its header."""


class Gone(msgspec.Struct, frozen=True, array_like=True):
    """A body that is not there: where it would be, the key that opened it, and how long it was to be kept."""

    place: str
    folder: str
    kid: str
    until: int | None


class Bundle(msgspec.Struct, frozen=True, array_like=True):
    """What one entry bundle says. ``said`` is None for a leaf that is no record; ``root`` that of the bundle's leaves.

    ``broken`` says why the bundle, and all behind it, could not be read; it says nothing else then.
    """

    leaves: bytes = b""
    root: bytes = b""
    said: list[Said | None] = []
    gone: list[Gone] = []
    bodies: int = 0
    problems: list[Problem] = []
    broken: Problem | None = None


Bundles = Callable[[str, int], Iterator[Bundle]]
"""Reads the log of an origin and a size, bundle by bundle, in order. The last may be a broken one."""


def read_bundles(objects: Readable, ciphertext: Ciphertext | None = None) -> Bundles:
    """Return what reads a log's bundles one after the other, here; bodies too if ``ciphertext`` is given."""

    def bundles(origin: str, size: int) -> Iterator[Bundle]:
        shapes = Shapes()
        for number in range((size + WIDTH - 1) // WIDTH):
            bundle = read_bundle(objects, ciphertext, origin, size, number, shapes)
            yield bundle
            if bundle.broken is not None:
                return

    return bundles


def read_bundle(
    objects: Readable, ciphertext: Ciphertext | None, origin: str, size: int, number: int, shapes: Shapes
) -> Bundle:
    """Read bundle ``number`` of the log of ``origin`` and ``size``. ``shapes`` are those of the bundles read before."""
    width = min(size - number * WIDTH, WIDTH)
    place = entries_path(number, width)
    kept = get_or_full(objects, place, entries_path(number))
    if kept is None:
        return Bundle(broken=Problem(Verdict.UNDECIDABLE, place, "cannot be read"))
    try:
        entries = decode_bundle(kept[0])
    except ValueError as error:
        return Bundle(broken=Problem(Verdict.TAMPERED, place, str(error)))
    if len(entries) < width or (len(entries) > width and not kept[1]):
        what = f"holds {len(entries)} of {width} records"
        return Bundle(broken=Problem(Verdict.TAMPERED, place, what))
    reader = _Reader(origin, ciphertext, shapes)
    for offset, raw in enumerate(entries[:width]):
        reader.add(f"record {number * WIDTH + offset}", raw)
    hashes = [leaf_hash(raw) for raw in entries[:width]]
    leaves = b"".join(hashes)
    problem = check_tile(objects, tile_path(0, number, width), tile_path(0, number), leaves)
    if problem is not None:
        reader.problems.append(problem)
    return Bundle(leaves, root_over(hashes), reader.said, reader.gone, reader.bodies, reader.problems)


def check_tile(objects: Readable, path: str, full: str, hashes: bytes) -> Problem | None:
    """Compare a tile that is kept with the hashes that were derived; return what is wrong with it."""
    kept = get_or_full(objects, path, full)
    if kept is None:
        return Problem(Verdict.UNDECIDABLE, path, "cannot be read")
    data, whole = kept
    if (data[: len(hashes)] if whole else data) == hashes:
        return None
    return Problem(Verdict.TAMPERED, path, "is not the hash of what is below it")


def get_or_full(objects: Readable, path: str, full: str) -> tuple[bytes, bool] | None:
    """Return a file, and whether it is the full one that a partial one has since become; None: it is not here."""
    data = objects.get(path)
    if data is not None:
        return data, False
    data = objects.get(full) if full != path else None
    return None if data is None else (data, True)


class _Reader:
    """One bundle under way."""

    def __init__(self, origin: str, ciphertext: Ciphertext | None, shapes: Shapes) -> None:
        self._origin = origin
        self._ciphertext = ciphertext
        self._shapes = shapes
        self.said: list[Said | None] = []
        self.gone: list[Gone] = []
        self.problems: list[Problem] = []
        self.bodies = 0

    def add(self, place: str, raw: bytes) -> None:
        try:
            read = self._shapes.read(raw) or self._read_carefully(raw)
            if self._ciphertext is not None:
                for body in read.bodies:
                    self._body(place, read.where, body, self._ciphertext)
        except ValueError as error:
            self._tampered(place, f"is not a record: {error}")
            self.said.append(None)
            return
        if read.log != self._origin:
            self._tampered(place, f"is a record of another log, `{read.log}`")
        self.said.append(read.said)

    def _read_carefully(self, raw: bytes) -> Read:
        header = decode(raw)
        check_shape(header)
        self._shapes.learn(header, raw)
        return read_of(header, raw)

    def _body(self, place: str, where: dict[str, Any], body: Body, ciphertext: Ciphertext) -> None:
        kept = ciphertext(where, body.part)
        self.bodies += 1
        if kept is None:
            ret = where.get("ret")
            until = ret.get("until") if isinstance(ret, dict) else None
            self.gone.append(
                Gone(
                    f"{place}, {body.part}",
                    f"body/{folder_of(where)}",
                    body.kid,
                    until if type(until) is int else None,
                )
            )
        elif hashlib.sha256(kept).hexdigest() != body.ct:
            self._tampered(f"{place}, {body.part}", "the body is not the recorded one")

    def _tampered(self, place: str, what: str) -> None:
        self.problems.append(Problem(Verdict.TAMPERED, place, what))


def read_of(header: dict[str, Any], raw: bytes) -> Read:
    """Return what a header says that was read the careful way."""
    bodies = [Body(meta["part"], meta["ct"], str(meta.get("kid", ""))) for meta in header.get("body", ())]
    return Read(header["log"], said(header, raw), bodies, header)


def split(leaves: bytes) -> list[bytes]:
    """Return the hashes that stand one after the other."""
    return [leaves[at : at + HASH_BYTES] for at in range(0, len(leaves), HASH_BYTES)]
