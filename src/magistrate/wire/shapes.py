"""Shapes: what a dialect knows about its bodies, as tables of visits.

A `Visit` checks the type of what stands at a path and files its text under a role and a kind. A dialect is a table of
shapes, read top down; a field that no table knows is swept, so it travels on and is seen. Text where another type
stands is refused, because a parser downstream might still read it as text.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from magistrate.exchange.content import Json, Part, PartKind, Path, Role
from magistrate.exchange.errors import Unreadable
from magistrate.wire.tree import argument_parts, sweep_into

METADATA = Role.METADATA

Visit: TypeAlias = Callable[[Json, Path, Role, list[Part]], None]
"""Reads the value at a path, in a role, and appends its parts. Raises `Unreadable` when text may stand there and
the type is wrong."""

_NAMES = {str: "a string", dict: "an object", list: "an array", bool: "true or false", int: "a number",
          float: "a number", type(None): "null"}  # fmt: skip


def wrong(value: Json, path: Path, expected: str) -> Unreadable:
    """Return the refusal of a value of the wrong type where text can stand."""
    place = ".".join(map(str, path))
    return Unreadable(f"`{place}` must be {expected}, not {_NAMES.get(type(value), 'that')}", path)


# --- leaves ---------------------------------------------------------------------------------------------


def scalar(value: Json, path: Path, role: Role, out: list[Part]) -> None:
    """A number, true, false or null by the API's word. A string or container standing there is swept."""
    of = type(value)
    if of is str or of is dict or of is list:
        sweep_into(value, path, role, out)


def free(kind: PartKind = PartKind.METADATA, role: Role | None = None) -> Visit:
    """Any JSON, all of it filed under ``kind`` (and ``role``, or the one around it)."""

    def visit(value: Json, path: Path, around: Role, out: list[Part]) -> None:
        sweep_into(value, path, role or around, out, kind)

    return visit


def text(kind: PartKind = PartKind.TEXT, role: Role | None = None, *, nullable: bool = False) -> Visit:
    """A string."""

    def visit(value: Json, path: Path, around: Role, out: list[Part]) -> None:
        if type(value) is str:
            out.append(Part(path, role or around, kind, value))
        elif value is not None or not nullable:
            raise wrong(value, path, "a string or null" if nullable else "a string")

    return visit


def word(*words: str) -> Visit:
    """One of the API's own words, which is no text. Any other value is swept, so that new words still travel."""
    known = frozenset(words)

    def visit(value: Json, path: Path, _role: Role, out: list[Part]) -> None:
        if type(value) is str:
            if value not in known:
                out.append(Part(path, Role.METADATA, PartKind.METADATA, value))
        else:
            scalar(value, path, Role.METADATA, out)

    return visit


def ident(value: Json, path: Path, _role: Role, out: list[Part]) -> None:
    """An identifier or setting: whatever stands there is filed as metadata."""
    if type(value) is str:
        out.append(Part(path, Role.METADATA, PartKind.METADATA, value))
    else:
        scalar(value, path, Role.METADATA, out)


def opaque(media: str, role: Role | None = None) -> Visit:
    """Bytes no detector reads (base64): described by ``media`` and digest, sent on as they are."""

    def visit(value: Json, path: Path, around: Role, out: list[Part]) -> None:
        if type(value) is not str:
            raise wrong(value, path, "a string")
        if value:
            out.append(bytes_part(value, path, role or around, media))

    return visit


sealed = opaque("application/octet-stream", Role.METADATA)
"""An endpoint's own ciphertext or signature, which has to come back to it byte for byte."""


_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_\r\n"


def is_base64(value: str) -> bool:
    """True when only base64 (either alphabet) stands in ``value``."""
    return value.isascii() and not value.encode().translate(None, _BASE64)


def bytes_part(value: str, path: Path, role: Role, media: str) -> Part:
    """File base64 as opaque. What is not base64 is filed as text: only bytes may go unread."""
    if is_base64(value):
        return opaque_part(value, path, role, media)
    return Part(path, role, PartKind.TEXT, value)


def opaque_part(value: str, path: Path, role: Role, media: str) -> Part:
    digest = hashlib.sha256(value.encode()).hexdigest()
    return Part(path, role, PartKind.OPAQUE, "", media=media, digest=digest)


LONGEST_DATA_HEAD = 120
"""Characters of a ``data:`` URI's media type and parameters; a longer one could hide text in front of the bytes."""


def locator(value: Json, path: Path, role: Role, out: list[Part]) -> None:
    """A URL: text, because fetching it can carry text away; a base64 ``data:`` URI is opaque instead."""
    if type(value) is not str:
        raise wrong(value, path, "a string")
    head, _, data = value.partition(",") if value[:5].lower() == "data:" else ("", "", "")
    if head[-7:].lower() == ";base64" and len(head) < LONGEST_DATA_HEAD and is_base64(data):
        media = head[5:].split(";", 1)[0].lower() or "text/plain"
        out.append(opaque_part(value, path, role, media))
    else:
        out.append(Part(path, role, PartKind.TEXT, value))


def arguments(role: Role | None = None, kind: PartKind = PartKind.TOOL_ARGUMENTS) -> Visit:
    """A string that should hold JSON: parts for each string inside, or one for the whole if it holds none."""

    def visit(value: Json, path: Path, around: Role, out: list[Part]) -> None:
        if type(value) is not str:
            raise wrong(value, path, "a string")
        out += argument_parts(value, path, role or around, kind)

    return visit


def scalars(*names: str) -> dict[str, Visit]:
    """Return the fields ``names``, all scalars."""
    return dict.fromkeys(names, scalar)


def words(**fields: str) -> dict[str, Visit]:
    """Return fields whose value is one of the words given, separated by spaces."""
    return {name: word(*known.split()) for name, known in fields.items()}


def optional(inner: Visit) -> Visit:
    """Null, or what ``inner`` reads."""

    def visit(value: Json, path: Path, role: Role, out: list[Part]) -> None:
        if value is not None:
            inner(value, path, role, out)

    return visit


def under(role: Role, inner: Visit) -> Visit:
    """Read by ``inner``, in ``role`` whatever is around."""

    def visit(value: Json, path: Path, _role: Role, out: list[Part]) -> None:
        inner(value, path, role, out)

    return visit


# --- containers -----------------------------------------------------------------------------------------


def array(item: Visit, *, nullable: bool = False) -> Visit:
    """A list whose items are all read by ``item``."""

    def visit(value: Json, path: Path, role: Role, out: list[Part]) -> None:
        if type(value) is list:
            for index, each in enumerate(value):
                item(each, (*path, index), role, out)
        elif value is not None or not nullable:
            raise wrong(value, path, "an array")

    return visit


def record(
    fields: Mapping[str, Visit],
    *,
    required: Iterable[str] = (),
    nullable: bool = False,
    role: Role | None = None,
) -> Visit:
    """An object with known fields. An unknown field travels on: its key and all it holds become parts."""
    table = dict(fields)
    needed = tuple(required)

    def visit(value: Json, path: Path, around: Role, out: list[Part]) -> None:
        if type(value) is not dict:
            if value is None and nullable:
                return
            raise wrong(value, path, "an object")
        inside = role or around
        for key, member in value.items():
            here = (*path, key)
            field = table.get(key)
            if field is not None:
                field(member, here, inside, out)
            else:
                unknown(key, member, here, out)
        for key in needed:
            if key not in value:
                raise Unreadable(f"`{'.'.join(map(str, (*path, key)))}` is missing", (*path, key))

    return visit


def unknown(key: str, member: Json, here: Path, out: list[Part]) -> None:
    """A field that no table knows: its name and everything in it, as metadata."""
    out.append(Part(here, Role.METADATA, PartKind.KEY, key))
    sweep_into(member, here, Role.METADATA, out)


def mapping(member: Visit, *, nullable: bool = False) -> Visit:
    """An object whose keys are free: each is a part, each member is read by ``member``."""

    def visit(value: Json, path: Path, role: Role, out: list[Part]) -> None:
        if type(value) is not dict:
            if value is None and nullable:
                return
            raise wrong(value, path, "an object")
        for key, each in value.items():
            here = (*path, key)
            out.append(Part(here, role, PartKind.KEY, key))
            member(each, here, role, out)

    return visit


def either(
    *,
    string: Visit | None = None,
    items: Visit | None = None,
    fields: Visit | None = None,
    nullable: bool = False,
) -> Visit:
    """A string, an array or an object, each with its own reading; what has none is refused."""
    names = [n for n, v in (("a string", string), ("an array", items), ("an object", fields)) if v]
    expected = " or ".join([*names, "null"] if nullable else names)

    def visit(value: Json, path: Path, role: Role, out: list[Part]) -> None:
        of = type(value)
        if of is str and string is not None:
            string(value, path, role, out)
        elif of is list and items is not None:
            items(value, path, role, out)
        elif of is dict and fields is not None:
            fields(value, path, role, out)
        elif value is not None or not nullable:
            raise wrong(value, path, expected)

    return visit


def tagged(tag: str, cases: Mapping[str, Visit], other: Visit | None = None) -> Visit:
    """An object whose ``tag`` field names its shape. An unknown tag is swept whole (or read by ``other``)."""
    table = dict(cases)
    rest = other or free(PartKind.TEXT)

    def visit(value: Json, path: Path, role: Role, out: list[Part]) -> None:
        if type(value) is not dict:
            raise wrong(value, path, "an object")
        name = value.get(tag)
        (table.get(name, rest) if type(name) is str else rest)(value, path, role, out)

    return visit


# --- JSON Schema ------------------------------------------------------------------------------------------------

_TYPES = frozenset(("string", "number", "integer", "boolean", "object", "array", "null"))
_SUBSCHEMAS = frozenset(
    ("items", "additionalProperties", "not", "contains", "if", "then", "else", "propertyNames")
)
_LISTS = frozenset(("anyOf", "oneOf", "allOf", "prefixItems"))
_NAMED = frozenset(("properties", "$defs", "definitions", "patternProperties", "dependentSchemas"))
_PLAIN = frozenset((
    "description", "title", "$schema", "$ref", "$id", "$comment", "$anchor", "format", "pattern", "enum", "const",
    "default", "examples", "required", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems",
    "uniqueItems", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "strict", "nullable", "deprecated",
    "readOnly", "writeOnly", "minProperties", "maxProperties",
))  # fmt: skip


def schema(value: Json, path: Path, role: Role, out: list[Part]) -> None:
    """A JSON Schema (2020-12 and the older ``definitions``): its keywords are vocabulary, all else is text.

    Schemas are instructions to a model as much as any prompt, so property names, enums, defaults and
    descriptions are parts of kind TOOL_DEFINITION.
    """
    if type(value) is not dict:
        sweep_into(value, path, role, out, PartKind.TOOL_DEFINITION)
        return
    for key, member in value.items():
        here = (*path, key)
        of = type(member)
        if key == "type" and of is str and member in _TYPES:
            continue
        if key in _PLAIN or key == "type":
            if of is str:
                out.append(Part(here, role, PartKind.TOOL_DEFINITION, member))
            elif member is not None and of is not bool:
                sweep_into(member, here, role, out, PartKind.TOOL_DEFINITION)
        elif key in _NAMED and of is dict:
            for name, each in member.items():
                there = (*here, name)
                out.append(Part(there, role, PartKind.KEY, name))
                schema(each, there, role, out)
        elif key in _SUBSCHEMAS:
            schema(member, here, role, out)
        elif key in _LISTS and of is list:
            for index, each in enumerate(member):
                schema(each, (*here, index), role, out)
        else:
            unknown(key, member, here, out)
