"""Canonical bytes of a record header: a restricted profile of RFC 8785 (JCS).

ASCII keys, no floats, integers within 2^53-1, well-formed Unicode. Inside it, sorted compact JSON *is* JCS, byte for
byte, so a fast encoder serves and every other implementation agrees.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

LONGEST = 65_535
"""Bytes: tlog-tiles prefixes entries with a uint16."""

LARGEST_INTEGER = 2**53 - 1
"""RFC 8785 section 3.2.2.3: beyond it JSON numbers stop being exact in other languages."""


DEEPEST = 32
"""Levels of nesting: far more than a header has, far less than any reader's stack."""


def encode(header: Mapping[str, object]) -> bytes:
    """Return the canonical bytes of ``header``.

    Raises:
        ValueError: something stands outside the profile; the message names the place.
    """
    plain = _encode_plain(header)
    if plain is not None:
        return plain
    if not _fits(header):
        _complain(header, "")
    try:
        data = orjson.dumps(header, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        _complain(header, "")
        raise ValueError(f"the header is not JSON: {error}") from None
    if len(data) > LONGEST:
        raise ValueError(f"the header has {len(data)} bytes; a leaf holds at most {LONGEST}")
    return data


def decode(data: bytes) -> dict[str, Any]:
    """Return the header in ``data``, which must be canonical.

    Raises:
        ValueError: not JSON, not an object, or not the canonical spelling (duplicate keys included).
    """
    if len(data) > LONGEST:
        raise ValueError(f"longer than {LONGEST} bytes")
    plain = _decode_plain(data)
    if plain is not None:
        return plain
    value = orjson.loads(data)
    if type(value) is not dict:
        raise ValueError("not an object")
    if encode(value) != data:
        raise ValueError("not canonical: the same meaning has another spelling")
    return value


def _no_float(text: str) -> float:
    raise ValueError(f"{text} is no whole number")


_parser = msgspec.json.Decoder(float_hook=_no_float)
_CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER


def _decode_plain(data: bytes) -> dict[str, Any] | None:
    """Return the header in ``data`` if it is one that parser and writer alone can vouch for; None says nothing.

    Nearly all are, at a third of the time that looking at each value takes: ASCII throughout, so are its keys; fewer
    brackets than levels are allowed, so it is not too deep; the parser refuses floats, the writer integers past 2^53-1,
    and what is written again byte for byte has no key twice and no other spelling.
    """
    if not data.isascii() or data.count(b"{") + data.count(b"[") > DEEPEST:
        return None
    try:
        value = _parser.decode(data)
        if type(value) is dict and orjson.dumps(value, option=_CANONICAL) == data:
            return value
    except (msgspec.DecodeError, ValueError, TypeError):
        pass  # the careful way says what is wrong, and where
    return None


def _encode_plain(header: Mapping[str, object]) -> bytes | None:
    """Return the canonical bytes of ``header`` if kinds of values and writer alone can vouch for them; None says nothing.

    On the path of every record, at half the time that looking at each key and number takes: the writer refuses keys that
    are no texts, integers past 2^53-1 and halves of surrogate pairs, and what is ASCII throughout has ASCII keys.
    """
    if type(header) is not dict or not _holds(header, DEEPEST):
        return None
    try:
        data = orjson.dumps(header, option=_CANONICAL)
    except TypeError:
        return None  # the careful way says what is wrong, and where
    return data if data.isascii() and len(data) <= LONGEST else None


_SCALARS = frozenset({int, bool, type(None)})


def _holds(value: Any, left: int) -> bool:
    """Return whether ``value``, a mapping or a list, holds nothing but the profile's kinds of values, ``left`` levels deep."""
    for item in value.values() if type(value) is dict else value:
        of = type(item)
        if of is str:
            continue
        if of is dict or of is list or of is tuple:
            if left == 1 or not _holds(item, left - 1):
                return False
        elif of not in _SCALARS:
            return False
    return True


def _fits(value: object, left: int = DEEPEST) -> bool:
    """Return whether ``value`` stands inside the profile.

    Lone surrogates are left to the encoder, which refuses them.
    """
    of = type(value)
    if left == 0:
        return of is not dict and of is not list and of is not tuple and _fits(value)
    if of is dict:
        for key, item in value.items():  # type: ignore[attr-defined]  # because the type was just checked
            if type(key) is not str or not key.isascii():
                return False
            if type(item) is not str and not _fits(item, left - 1):
                return False
        return True
    if of is list or of is tuple:
        return all(type(item) is str or _fits(item, left - 1) for item in value)  # type: ignore[attr-defined]  # as above
    if of is int:
        return -LARGEST_INTEGER <= value <= LARGEST_INTEGER  # type: ignore[operator]  # as above
    return of is str or of is bool or value is None


def _complain(value: object, place: str, left: int = DEEPEST) -> None:
    """Raise the ValueError that names what stands outside the profile, and where."""
    if left == 0 and isinstance(value, dict | list | tuple):
        raise ValueError(f"`{place[:80]}…` is nested deeper than {DEEPEST} levels")
    if isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str or not key.isascii():
                raise ValueError(f"`{place}.{key!a}` is no ASCII key")
            _complain(item, f"{place}.{key}" if place else key, left - 1)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _complain(item, f"{place}[{index}]", left - 1)
    elif isinstance(value, str):
        if _has_surrogate(value):
            raise ValueError(f"`{place}` holds half of a surrogate pair")
    elif not _fits(value):
        if type(value) is int:
            raise ValueError(f"`{place}` is beyond 2^53-1")
        raise ValueError(
            f"`{place}` is a {type(value).__name__}; headers hold text, whole numbers, true, false and null"
        )


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
