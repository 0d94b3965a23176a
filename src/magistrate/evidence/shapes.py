"""Headers that look like ones that were read before: checked by one pass of a pattern instead of value by value.

A log's headers have a few dozen *shapes*: the same keys in the same places, with other texts and numbers between them.
Of a header that was checked the careful way (`canonical.decode`, `record.check_shape`) a pattern is made. It accepts what
differs from that header in plain texts, numbers, true and false, and the length of lists; all of that has passed the
careful way, too, because

- the pattern spells everything between the values: the order of keys, none twice, no space, the same depth;
- printable ASCII without quote and backslash is spelled in one way only, and so is a whole number without sign or leading
  zero, which is below 2^53 as long as it is below 9 * 10^15;
- what `check_shape` asks of ids, digests, counts and lengths is part of the pattern, and the parts' names are in it.

What no pattern accepts is not wrong for that: the careful way decides.
"""

import re
from typing import Any

import msgspec
import orjson

from magistrate.evidence import canonical
from magistrate.evidence.said import AHEAD, Said, digest_of

MOST_SHAPES = 16
"""Patterns that are tried on a header. One that fails costs some tenths of a microsecond."""

MOST_MADE = 64
"""Patterns that one reader makes in all, at some milliseconds each."""

SAMPLED = 64
"""Of headers that no pattern accepts, one in so many is looked at, so that ever new shapes cost little."""

SEEN = 2
"""A pattern is made of a shape that was seen so often in the sample."""

MOST_SEEN = 256
"""Shapes that are counted."""

LONGEST = 4096
"""Bytes of a header of which a pattern is made."""

_PLAIN = r"[ !#-\[\]-~]*+"
_TEXT = f'"{_PLAIN}"'
_TEXTS = rf"\[(?:{_TEXT}(?:,{_TEXT})*+)?+\]"
_COUNT = r"(?:[1-8][0-9]{15}|[1-9][0-9]{0,14}+)"
_NUMBER = f"(?:{_COUNT}|0)"
_LENGTH = "(?:[1-9][0-9]{0,8}+|0)"
"""Of a body: below 10^9, and so below `seal.LARGEST_BODY`."""
_HASH = "[0-9a-f]{64}"
_NAME = f'"({_PLAIN})"'
_TAKEN = {
    "eid": '"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"',
    "log": _NAME,
    "prev": f'"((?:{_HASH})?+)"',
    "tenant": _NAME,
    "trace": _NAME,
    "ts": f"({_NUMBER})",
    "wid": _NAME,
    "wseq": f"({_COUNT})",
}
"""What every header has of which a pattern is made, and how it is taken out."""

_RET = {"class": _NAME, "days": f"({_NUMBER})", "until": f"({_NUMBER})"}
_ALWAYS = (*_TAKEN, *(f"ret.{name}" for name in _RET))
_SPELLED = frozenset({"durability", "kind", "phase", "t"})
"""Texts that stand in a pattern word for word, wherever they are: what is decided by them holds for its whole shape."""

_plain = re.compile(_PLAIN).fullmatch


class Body(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a record says of one body: its name, the SHA-256 of its ciphertext (hex), and its key."""

    part: str
    ct: str
    kid: str


class Read(msgspec.Struct, frozen=True):
    """What is made of one header. ``where`` holds ``eid``, ``tenant``, ``ret`` and ``ts``, which say where bodies are."""

    log: str
    said: Said
    bodies: list[Body]
    where: dict[str, Any]


class Shapeless(ValueError):  # noqa: N818  because it names what a header is
    """A header of which no pattern is made."""


class Shape:
    """The pattern of one header, with which nothing is wrong. Raises `Shapeless`."""

    def __init__(self, header: dict[str, Any]) -> None:
        spelling = _Spelling(header)
        at = {name: index + 1 for index, name in enumerate(spelling.taken)}
        self._match = re.compile(spelling.source).fullmatch
        self._always = tuple(at[name] for name in _ALWAYS)
        self._kind, self._phase = header["t"], header["phase"]
        self._bodies = [
            (meta["part"], at[f"ct {index}"], at.get(f"kid {index}", 0))
            for index, meta in enumerate(header.get("body", ()))
        ]
        self._cause, self._closes, self._usage = (at.get(name, 0) for name in ("cause", "closes", "usage"))
        self._handed, self._bound = at.get("handed", 0), at.get("bound", 0)
        self._ahead = header.get("durability") == AHEAD

    def read(self, text: str, raw: bytes) -> Read | None:
        """Return what the header ``raw``, which is ``text``, says, or None: the pattern does not accept it."""
        found = self._match(text)
        if found is None:
            return None
        eid, log, prev, tenant, trace, ts, wid, wseq, kept_as, days, until = found.group(*self._always)
        when = int(ts)
        said = Said(
            eid,
            trace,
            wid,
            int(wseq),
            prev,
            _texts(found[self._cause]) if self._cause else [],
            self._phase,
            self._kind,
            when,
            False,
            {},
            digest_of(raw),
            self._hand(found) if self._handed else None,
            None,
            orjson.loads(found[self._usage]) if self._usage else None,
            int(found[self._closes]) if self._closes else None,
        )
        bodies = [Body(part, found[ct], found[kid] if kid else "") for part, ct, kid in self._bodies]
        ret = {"class": kept_as, "days": int(days), "until": int(until)}
        return Read(log, said, bodies, {"eid": eid, "tenant": tenant, "ret": ret, "ts": when})

    def _hand(self, found: re.Match[str]) -> dict[str, Any]:
        bound = orjson.loads(found[self._bound]) if self._bound else None
        return {"handed": int(found[self._handed]), "ahead": self._ahead, "bound": bound}


class Shapes:
    """The shapes that one reader has met, those that accept most first."""

    def __init__(self) -> None:
        self._known: list[Shape] = []
        self._seen: dict[str, int] = {}
        self._missed = 0
        self._made = 0

    def read(self, raw: bytes) -> Read | None:
        """Return what a header says if it has a known shape. None says nothing: `canonical.decode` has to look."""
        if len(raw) > canonical.LONGEST:
            return None
        text = raw.decode("latin-1")  # byte for byte: a pattern accepts ASCII only
        known = self._known
        for at, shape in enumerate(known):
            found = shape.read(text, raw)
            if found is not None:
                if at:
                    known[at - 1], known[at] = shape, known[at - 1]
                return found
        return None

    def learn(self, header: dict[str, Any], raw: bytes) -> None:
        """Take note of a header that was read the careful way and with which nothing is wrong."""
        self._missed += 1
        if self._missed % SAMPLED or self._made >= MOST_MADE or len(raw) > LONGEST:
            return
        try:
            source = _Spelling(header).source
        except Shapeless:
            return
        if len(self._seen) >= MOST_SEEN:
            self._seen.clear()
        self._seen[source] = self._seen.get(source, 0) + 1
        if self._seen[source] == SEEN:
            self._made += 1
            del self._known[MOST_SHAPES - 1 :]
            self._known.append(Shape(header))


class _Spelling:
    """A header as a pattern (``source``), with the names of what its groups take out. Raises `Shapeless`."""

    def __init__(self, header: dict[str, Any]) -> None:
        self.taken: list[str] = []
        actor = header.get("actor", {})
        if "ext" in header or "prices" in header or not isinstance(actor, dict):
            raise Shapeless("it says more than a pattern can tell")
        if actor.get("kind") == "recorder":
            raise Shapeless("it is the recorder's own")
        self._header = header
        self.source = self._object({name: self._field(name, header[name]) for name in sorted(header)})
        if not {*_ALWAYS}.issubset(self.taken):
            raise Shapeless("it lacks what every record of a call has")

    def _field(self, name: str, value: Any) -> str:
        if name in _TAKEN:
            return self._take(name, _TAKEN[name])
        if name == "ret" and type(value) is dict and value.keys() == _RET.keys():
            return self._object({each: self._take(f"ret.{each}", _RET[each]) for each in sorted(_RET)})
        if name == "body":
            return rf"\[{','.join(self._body(index, meta) for index, meta in enumerate(value))}\]"
        if name == "cause":
            return self._take(name, f"({_TEXTS})")
        if name == "closes":
            return self._take(name, f"({_COUNT})")
        if name == "handed":
            return self._take(name, f"({_NUMBER})")
        if name == "usage" and type(value) is dict and type(value.get("prices")) is str:
            return self._take(name, f"({self._value(name, value)})")
        if name == "bound" and "handed" in self._header:
            return self._take(name, f"({self._value(name, value)})")
        return self._value(name, value)

    def _body(self, index: int, meta: dict[str, Any]) -> str:
        known = {
            "part": re.escape(f'"{_spelled(meta["part"])}"'),
            "ct": f'"({_HASH})"',
            "cm": f'"{_HASH}"',
            "len": _LENGTH,
            "kid": _NAME,
        }
        if type(meta.get("kid", "")) is not str:
            raise Shapeless("a key's id is no text")
        self.taken += [f"{name} {index}" for name in sorted(meta) if name in {"ct", "kid"}]
        return self._object(
            {name: known[name] if name in known else self._value(name, meta[name]) for name in sorted(meta)}
        )

    def _take(self, name: str, pattern: str) -> str:
        self.taken.append(name)
        return pattern

    def _value(self, name: str, value: Any) -> str:
        of = type(value)
        if of is str:
            return re.escape(f'"{_spelled(value)}"') if name in _SPELLED else _TEXT
        if of is dict:
            return self._object({each: self._value(each, value[each]) for each in sorted(value)})
        if of is list:
            return self._list(name, value)
        if of is bool:
            return "(?:true|false)"
        return "null" if value is None else f"(?:-?{_COUNT}|0)"

    def _list(self, name: str, value: list[Any]) -> str:
        items = [self._value(name, item) for item in value]
        if any(item != items[0] for item in items):
            return rf"\[{','.join(items)}\]"
        item = items[0] if items else _TEXT
        return rf"\[(?:{item}(?:,{item})*+)?+\]"

    def _object(self, fields: dict[str, str]) -> str:
        return r"\{" + ",".join(f'"{re.escape(_spelled(name))}":{of}' for name, of in fields.items()) + r"\}"


def _spelled(text: str) -> str:
    """Return a text that JSON spells as it is. Raises `Shapeless`: it does not."""
    if not _plain(text):
        raise Shapeless(f"{text!a} is not spelled as it is")
    return text


def _texts(spelled: str) -> list[str]:
    """Return the plain texts of a list of them."""
    return spelled[2:-2].split('","') if len(spelled) > 2 else []
