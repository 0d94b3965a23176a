"""Strict JSON: one meaning for every parser downstream, or a refusal.

RFC 8259 leaves duplicate keys, lone surrogates and huge numbers to each implementation, and implementations
differ: what one parser judged, another would execute. Here such a body is refused, and what is sent on is always
written anew from the value that was judged.
"""

import json
import re
from typing import NoReturn

import msgspec

from magistrate.exchange.content import Json, Path, Tree
from magistrate.exchange.errors import MalformedAnswer, Unreadable
from magistrate.exchange.outcome import Code

MAX_DEPTH = 64
"""Containers inside containers. The deepest published API shape (a JSON Schema in a tool) uses about 20."""


class Limits(msgspec.Struct, frozen=True):
    """How large a JSON text may be: bytes, and values (roughly: members, items and containers)."""

    max_bytes: int = 32 * 1024 * 1024
    max_depth: int = MAX_DEPTH
    max_nodes: int = 200_000


REQUEST_LIMITS = Limits()
ANSWER_LIMITS = Limits(max_bytes=64 * 1024 * 1024, max_nodes=8_000_000)
"""Answers may be longer: an embedding of 2,048 inputs is six million numbers."""


class TooLarge(Unreadable):
    """The body is over a limit of ours; told as 413, not as 400."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.code = Code.REQUEST_TOO_LARGE


def parse(body: bytes, limits: Limits = REQUEST_LIMITS) -> Tree:
    """Return the object that ``body`` holds.

    Raises:
        Unreadable: it is not exactly one JSON object with one meaning; ``param`` names the place when known.
        TooLarge: it is over ``limits``.
    """
    value = parse_value(body, limits)
    if type(value) is not dict:
        raise Unreadable("the body is JSON but not an object: send one `{...}`")
    return value


def parse_answer(body: bytes, limits: Limits = ANSWER_LIMITS) -> Tree:
    """Like `parse`, for what an endpoint sent.

    Raises:
        MalformedAnswer: where `parse` would refuse.
    """
    try:
        return parse(body, limits)
    except Unreadable as error:
        raise MalformedAnswer(describe(error)) from error


def describe(error: Unreadable) -> str:
    """One line with the place, for the other side's fault told in our words."""
    return f"{error.message} (at `{error.param}`)" if error.param else error.message


def parse_value(body: bytes, limits: Limits = REQUEST_LIMITS) -> Json:
    """Like `parse`, for any JSON value."""
    if len(body) > limits.max_bytes:
        raise TooLarge(f"the body has {len(body)} bytes, more than the limit of {limits.max_bytes}")
    # No value takes fewer than two bytes, so only a long body can hold too many.
    if len(body) > 2 * limits.max_nodes and _count_values(_outside(body)) > limits.max_nodes:
        raise TooLarge(f"the body holds more than {limits.max_nodes} values")
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        _explain(body, error, limits)
    of = type(value)
    if of is dict or of is list:
        keys = _count_keys(value, limits.max_depth)
        # A duplicate would be in the text and not in the value. Cheap bounds settle nearly every body: first all colons.
        if keys != body.count(b":") and keys != _most_keys(body) and keys != _outside(body).count(b":"):
            _refuse_duplicates(body)
    return value


def _outside(body: bytes) -> bytes:
    """Return what stands outside string literals. For text that is not JSON the result means nothing.

    Escaped backslashes go first, then escaped quotes; every quote left opens or closes a literal, so the even
    segments are outside.
    """
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in body else body
    return b"".join(plain.split(b'"')[::2])


def _count_values(outside: bytes) -> int:
    return outside.count(b"{") + outside.count(b"[") + outside.count(b",")


def _most_keys(body: bytes) -> int:
    """Return no fewer than the keys written in ``body``, or -1 where counting exactly is as cheap.

    INVARIANT: each key counts. Its colon follows a quote or white space, and that quote is not escaped: before it
    stands no backslash, or an escaped one. Text such as ``"a":`` inside a string can count too, which is why this
    is only a bound.
    """
    pieces = body.split(b":")
    if len(pieces) > _FEW:
        return -1
    most = 0
    for piece in pieces[:-1]:
        last = piece[-1:]
        if last == b'"':
            most += piece[-2:] != b'\\"' or piece[-3:] == b'\\\\"'
        else:
            most += last in b" \t\r\n"
    return most


_FEW = 512
"""Colons up to which looking at each is cheaper than cutting out all string literals (measured)."""

_CONTAINERS = frozenset((dict, list))


def _count_keys(value: Json, max_depth: int) -> int:
    """Count the members of all objects, level by level."""
    keys = 0
    depth = 0
    level = [value]
    while level:
        depth += 1
        if depth > max_depth:
            raise Unreadable(f"the body is nested deeper than {max_depth} levels")
        deeper: list[Json] = []
        for container in level:
            if type(container) is dict:
                keys += len(container)
                deeper += [v for v in container.values() if type(v) is dict or type(v) is list]
            elif not _CONTAINERS.isdisjoint(map(type, container)):
                deeper += [v for v in container if type(v) is dict or type(v) is list]
        level = deeper
    return keys


class _Members(list[tuple[str, Json]]):
    """An object's members as written, duplicates included."""


def _refuse_duplicates(body: bytes) -> NoReturn:
    """Name the duplicate key. Slow and exact; runs only when the counts differ."""
    path = _find_duplicate(json.loads(body, object_pairs_hook=_Members), ())
    where = "" if path is None else f" `{str(path[-1])[:80]}`"
    raise Unreadable(f"the key{where} stands twice in one object: send each key once", path)


def _find_duplicate(value: Json, path: Path) -> Path | None:
    if isinstance(value, _Members):
        seen: set[str] = set()
        for key, member in value:
            if key in seen:
                return (*path, key)
            seen.add(key)
            if (found := _find_duplicate(member, (*path, key))) is not None:
                return found
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if (found := _find_duplicate(item, (*path, index))) is not None:
                return found
    return None


_LONE = re.compile(r"[\ud800-\udfff]")


def _explain(body: bytes, error: Exception, limits: Limits) -> NoReturn:
    """Say in plain words why ``body`` was refused; msgspec's own words mislead for surrogates and names."""
    message = str(error).removeprefix("JSON is malformed: ").replace("Input data was", "it is")
    if isinstance(error, RecursionError):
        raise Unreadable(f"the body is nested deeper than {limits.max_depth} levels") from error
    if isinstance(error, UnicodeDecodeError):
        raise Unreadable("the body is not UTF-8") from error
    if body.startswith(b"\xef\xbb\xbf"):
        raise Unreadable("the body begins with a byte order mark: send UTF-8 without it") from error
    if "out of range" in message:
        raise Unreadable("a number in the body is out of range (64-bit floats, 4,300 digits)") from error
    try:
        lenient = json.loads(body, parse_constant=_Constant)
    except (ValueError, RecursionError):
        if not body.strip():
            message = "it is empty"
        raise Unreadable(f"the body is not JSON: {message}") from error
    path, what = _find_odd(lenient, ()) or (None, "it is written in a way that parsers read differently")
    raise Unreadable(f"the body is not strict JSON: {what}", path) from error


class _Constant(str):
    """``NaN``, ``Infinity`` or ``-Infinity``, which JSON does not have."""

    __slots__ = ()


def _find_odd(value: Json, path: Path) -> tuple[Path, str] | None:
    if isinstance(value, _Constant):
        return path, f"`{value}` is not a JSON number"
    if isinstance(value, str):
        return (path, "a string holds half of a surrogate pair") if _LONE.search(value) else None
    if isinstance(value, dict):
        for key, member in value.items():
            if _LONE.search(key):
                return path, "a key holds half of a surrogate pair"
            if (found := _find_odd(member, (*path, key))) is not None:
                return found
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if (found := _find_odd(item, (*path, index))) is not None:
                return found
    return None


class NotJson(ValueError):  # noqa: N818  because for text inside text it is an answer, not a malfunction
    """No parser reads this text as JSON, so it can only be meant as text."""


def parse_inner(text: str, path: Path) -> Json:
    """Return the JSON value that a string holds (tool arguments on the OpenAI wire).

    Raises:
        NotJson: it holds none, by any parser's reading.
        Unreadable: parsers differ about it (duplicate keys, NaN, lone surrogates, too deep).
    """
    raw = text.encode()
    try:
        return parse_value(raw)
    except Unreadable as error:
        try:
            json.loads(raw)
        except RecursionError:
            pass
        except ValueError:
            raise NotJson from None
        place = ".".join(map(str, path))
        raise Unreadable(
            f"parsers read the JSON text in `{place}` differently: {error.message}", path
        ) from error


_encode = msgspec.json.Encoder().encode


def dump(value: Json) -> bytes:
    """Serialise compactly. Integers of any size survive; floats keep their meaning, not their spelling."""
    return _encode(value)
