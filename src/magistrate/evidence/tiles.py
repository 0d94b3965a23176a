"""Tiles: the tree as static files (C2SP tlog-tiles). 256 hashes of one level each; full tiles never change."""

from collections.abc import Callable, Sequence

import msgspec

from magistrate.evidence.merkle import EMPTY_ROOT, HASH_BYTES, leaf_hash, node_hash

WIDTH = 256
HEIGHT = 8

Read = Callable[[str], bytes | None]
"""Returns the file at a path, or None."""


class Missing(ValueError):  # noqa: N818  because it names what is not there
    """A tile that the size says exists cannot be read, or has the wrong length."""


class Growth(msgspec.Struct, frozen=True):
    """A tree that grew: its size and root, and every file that is new or has become wider."""

    size: int
    root: bytes
    files: dict[str, bytes]


def tile_path(level: int, number: int, width: int = WIDTH) -> str:
    """Return ``tile/<L>/<N>[.p/W]``; ``N`` in groups of three digits, all but the last with an ``x``."""
    return f"tile/{level}/{_number(number)}{_partial(width)}"


def entries_path(number: int, width: int = WIDTH) -> str:
    """Return the path of an entry bundle."""
    return f"tile/entries/{_number(number)}{_partial(width)}"


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Return entries, each behind its length as a big-endian uint16."""
    return b"".join(len(entry).to_bytes(2) + entry for entry in entries)


def decode_bundle(data: bytes) -> list[bytes]:
    """Return the entries of a bundle.

    Raises:
        ValueError: a length runs over the end.
    """
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 2])
        end = at + 2 + length
        if at + 2 > len(data) or end > len(data):
            raise ValueError(f"entry {len(entries)} runs over the end of its bundle")
        entries.append(data[at + 2 : end])
        at = end
    return entries


def grow(read: Read, old_size: int, entries: Sequence[bytes]) -> Growth:
    """Append ``entries`` to the tree of ``old_size``.

    Reads only the rightmost, partial files of the old tree. Every hash is computed once: a level's new hashes are the
    pairs of the level below.
    """
    files: dict[str, bytes] = {}
    size = old_size + len(entries)
    _add_bundles(files, read, old_size, entries)
    new = [leaf_hash(entry) for entry in entries]
    start, level = old_size, 0
    while new:
        _add_tiles(files, read, level, start, new)
        start, new = _above(read, level, start, new)
        level += 1
    return Growth(size, root_of(lambda path: files.get(path) or read(path), size), files)


def root_of(read: Read, size: int) -> bytes:
    """Return the root hash of the tree of ``size``.

    Raises:
        Missing: a tile that it needs cannot be read.
    """
    if size == 0:
        return EMPTY_ROOT
    return _subtree(read, size, 0, size)


def prove_inclusion(read: Read, index: int, size: int) -> list[bytes]:
    """Return the audit path of leaf ``index`` (RFC 6962 section 2.1.1)."""
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} in a tree of {size}")
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        split = low + _split(high - low)
        if index < split:
            path.append(_subtree(read, size, split, high))
            high = split
        else:
            path.append(_subtree(read, size, low, split))
            low = split
    return path[::-1]


def prove_consistency(read: Read, old: int, new: int) -> list[bytes]:
    """Return the proof that the tree of ``old`` is the beginning of that of ``new`` (RFC 6962 section 2.1.2)."""
    if not 0 < old <= new:
        raise ValueError(f"a tree of {old} cannot be the beginning of one of {new}")
    path: list[bytes] = []
    low, high, whole = 0, new, True
    while old != high:
        split = low + _split(high - low)
        if old <= split:
            path.append(_subtree(read, new, split, high))
            high = split
        else:
            path.append(_subtree(read, new, low, split))
            low, whole = split, False
    return ([] if whole else [_subtree(read, new, low, high)]) + path[::-1]


def entry(read: Read, index: int, size: int) -> bytes:
    """Return entry ``index`` of the tree of ``size``.

    Raises:
        Missing: its bundle cannot be read or does not hold it.
    """
    number, offset = divmod(index, WIDTH)
    entries = decode_bundle(_file(read, size, number, lambda width: entries_path(number, width)))
    if offset >= len(entries):
        raise Missing(f"entry {index} is not in its bundle")
    return entries[offset]


def _subtree(read: Read, size: int, low: int, high: int) -> bytes:
    """Return the hash of leaves ``low`` to ``high``; aligned full subtrees are read, not computed."""
    width = high - low
    if width & (width - 1) == 0 and low % width == 0:
        return _node(read, size, width.bit_length() - 1, low // width)
    split = low + _split(width)
    return node_hash(_subtree(read, size, low, split), _subtree(read, size, split, high))


def _node(read: Read, size: int, height: int, number: int) -> bytes:
    """Return the hash of the full subtree of 2^height leaves: read from its tile, or hashed up inside it."""
    level, inner = divmod(height, HEIGHT)
    per_tile = WIDTH >> inner
    tile, offset = divmod(number, per_tile)
    available = size >> (level * HEIGHT)
    data = _file(read, available, tile, lambda width: tile_path(level, tile, width))
    span = 1 << inner
    first = offset * span * HASH_BYTES
    hashes = [data[first + i * HASH_BYTES : first + (i + 1) * HASH_BYTES] for i in range(span)]
    if len(hashes[-1]) != HASH_BYTES:
        raise Missing(f"`{tile_path(level, tile)}` is shorter than the tree says")
    while len(hashes) > 1:
        hashes = [node_hash(hashes[i], hashes[i + 1]) for i in range(0, len(hashes), 2)]
    return hashes[0]


def _file(read: Read, available: int, number: int, path: Callable[[int], str]) -> bytes:
    width = min(available - number * WIDTH, WIDTH)
    data = read(path(WIDTH)) if width == WIDTH else read(path(width)) or read(path(WIDTH))
    if data is None:
        raise Missing(f"`{path(width)}` cannot be read")
    return data


def _add_bundles(files: dict[str, bytes], read: Read, old_size: int, entries: Sequence[bytes]) -> None:
    number, have = divmod(old_size, WIDTH)
    head = _required(read, entries_path(number, have)) if have else b""
    at = 0
    while at < len(entries):
        taken = entries[at : at + WIDTH - have]
        files[entries_path(number, have + len(taken))] = head + encode_bundle(taken)
        at += len(taken)
        number, have, head = number + 1, 0, b""


def _add_tiles(files: dict[str, bytes], read: Read, level: int, start: int, new: Sequence[bytes]) -> None:
    number, have = divmod(start, WIDTH)
    head = _required(read, tile_path(level, number, have)) if have else b""
    at = 0
    while at < len(new):
        taken = new[at : at + WIDTH - have]
        files[tile_path(level, number, have + len(taken))] = head + b"".join(taken)
        at += len(taken)
        number, have, head = number + 1, 0, b""


def _above(read: Read, level: int, start: int, new: Sequence[bytes]) -> tuple[int, list[bytes]]:
    """Return start and hashes of the level above: one for each tile of this level that is full now."""
    number, have = divmod(start, WIDTH)
    hashes = list(new)
    if have:
        head = _required(read, tile_path(level, number, have))
        hashes = [head[i : i + HASH_BYTES] for i in range(0, len(head), HASH_BYTES)] + hashes
    full = len(hashes) // WIDTH
    above = []
    for tile in range(full):
        layer = hashes[tile * WIDTH : (tile + 1) * WIDTH]
        while len(layer) > 1:
            layer = [node_hash(layer[i], layer[i + 1]) for i in range(0, len(layer), 2)]
        above.append(layer[0])
    return number, above


def _required(read: Read, path: str) -> bytes:
    data = read(path)
    if data is None:
        raise Missing(f"`{path}` cannot be read")
    return data


def _split(width: int) -> int:
    """Return the largest power of two below ``width``."""
    return 1 << (width - 1).bit_length() - 1


def _number(number: int) -> str:
    groups = [f"{number % 1000:03d}"]
    while number >= 1000:
        number //= 1000
        groups.append(f"x{number % 1000:03d}")
    return "/".join(reversed(groups))


def _partial(width: int) -> str:
    return "" if width == WIDTH else f".p/{width}"
