"""Artefact: a trained model as one flat file that anybody can read. No pickles, nothing that runs.

Line 1 names the format, line 2 is a JSON header, and behind it stand the arrays one after the other, little-endian,
in the header's order. The header holds the SHA-256 of the arrays; the version is the SHA-256 of the whole file, so a
record that names a version names these very weights.
"""

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

FORMAT = b"magistrate-model/1\n"
LONGEST_HEADER = 64 * 1024
DTYPES = {"int8": "<i1", "int16": "<i2", "int32": "<i4", "float32": "<f4"}

Arrays = Mapping[str, NDArray[Any]]


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One array behind the header."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the file says of itself. ``facts`` are the model's own numbers: thresholds, calibration, labels."""

    name: str
    arrays: tuple[Shape, ...]
    sha256: str
    facts: dict[str, Any]
    trained_on: dict[str, str]
    """Source file or module to the first 16 hex digits of its SHA-256: what the weights were made from."""


class Artefact(msgspec.Struct, frozen=True):
    """A file that was read and whose arrays are what its header says."""

    header: Header
    arrays: Arrays
    version: str


class BrokenArtefact(ValueError):  # noqa: N818  because it names what was found
    """The bytes are not a model file, or not the one they say they are."""


def read(content: bytes) -> Artefact:
    """Return the model in ``content``.

    Raises:
        BrokenArtefact: wrong format, a header that does not fit the arrays, or arrays that were changed.
    """
    if not content.startswith(FORMAT):
        raise BrokenArtefact("does not begin like a model file")
    line, newline, body = content[len(FORMAT) :].partition(b"\n")
    if not newline or len(line) > LONGEST_HEADER:
        raise BrokenArtefact("has no header")
    try:
        header = msgspec.json.decode(line, type=Header)
    except msgspec.MsgspecError as error:
        raise BrokenArtefact(f"has a header that cannot be read: {error}") from None
    if hashlib.sha256(body).hexdigest() != header.sha256:
        raise BrokenArtefact("has arrays that are not the ones its header names")
    arrays: dict[str, NDArray[Any]] = {}
    at = 0
    for each in header.arrays:
        if each.dtype not in DTYPES or any(size < 0 for size in each.shape):
            raise BrokenArtefact(f"has an array `{each.name}` of an unknown kind")
        dtype = np.dtype(DTYPES[each.dtype])
        count = math.prod(each.shape)
        if at + count * dtype.itemsize > len(body):
            raise BrokenArtefact(f"is too short for its array `{each.name}`")
        flat = np.frombuffer(body, dtype=dtype, count=count, offset=at)
        arrays[each.name] = flat.reshape(each.shape)
        at += count * dtype.itemsize
    if at != len(body):
        raise BrokenArtefact("is longer than its arrays")
    return Artefact(header, arrays, hashlib.sha256(content).hexdigest()[:16])


def write(name: str, facts: dict[str, Any], trained_on: dict[str, str], arrays: Arrays) -> bytes:
    """Return the file for these arrays; the same arguments give the same bytes."""
    kinds = {np.dtype(code): kind for kind, code in DTYPES.items()}
    shapes = tuple(
        Shape(key, kinds[array.dtype.newbyteorder("<")], tuple(array.shape)) for key, array in arrays.items()
    )
    body = b"".join(
        np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()
        for array in arrays.values()
    )
    header = Header(name, shapes, hashlib.sha256(body).hexdigest(), facts, trained_on)
    return FORMAT + msgspec.json.encode(header, order="sorted") + b"\n" + body
