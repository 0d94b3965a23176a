"""The restorer: tokens back to values, in a text that arrives in pieces.

It holds back the end of a text as long as it may become a token that is known: never more than the longest token can be
spelled with. For every cut, what comes out is what the whole would have become.
"""

import re
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, NamedTuple, TypeVar

from magistrate.classify.tokens import begun, canonical, names_of, spelled

ChannelT = TypeVar("ChannelT", bound=Hashable)


class Piece(NamedTuple):
    """A stretch of text. Where it is not ``open``, tokens stay: it is where a link leads."""

    text: str
    open: bool = True


class Restorer(Generic[ChannelT]):
    """The channels of one answer. ``value_of`` says what a token becomes; None leaves it."""

    def __init__(self, tokens: Iterable[str], value_of: Callable[[str], str | None]) -> None:
        self._tokens = frozenset(tokens)
        assert self._tokens, "nothing to restore"
        names = names_of(self._tokens)
        self._value_of = value_of
        self._pattern = spelled(names)
        self._begun = begun(names)
        self._longest = max(len(name) + name.count("_") for name in self._tokens)
        self._held: dict[ChannelT, str] = {}

    def feed(self, channel: ChannelT, pieces: Iterable[Piece]) -> str:
        """Take the next pieces of ``channel``; return what can go out."""
        out: list[str] = []
        held = self._held.pop(channel, "")
        for piece in pieces:
            if piece.open:
                text, held = self._restore(held + piece.text)
                out.append(text)
            else:
                out += (self._finished(held), piece.text)
                held = ""
        if held:
            self._held[channel] = held
        return "".join(out)

    def close(self, channel: ChannelT) -> str:
        """Return what is left of ``channel``; nothing more comes."""
        return self._finished(self._held.pop(channel, ""))

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return where known tokens stand in ``text``."""
        found = []
        match = self._next(text, 0)
        while match:
            found.append(match.span())
            match = self._next(text, match.end())
        return found

    def _next(self, text: str, at: int) -> re.Match[str] | None:
        """Return the next known token from ``at`` on."""
        match = self._pattern.search(text, at)
        while match and canonical(match[0]) not in self._tokens:
            # What looks like one may hold the beginning of one.
            match = self._pattern.search(text, match.start() + 1)
        return match

    def _restore(self, text: str, *, final: bool = False) -> tuple[str, str]:
        """Return ``text`` restored as far as it is decided, and the rest."""
        out: list[str] = []
        at = 0
        while True:
            match = self._next(text, at)
            begins = len(text) if final else self._may_begin(text, at)
            if match is None or match.start() >= begins:
                out.append(text[at:begins])
                return "".join(out), text[begins:]
            value = self._value_of(canonical(match[0]))
            out += (text[at : match.start()], match[0] if value is None else value)
            at = match.end()

    def _may_begin(self, text: str, at: int) -> int:
        """Return the first place from which all that follows could be the beginning of a token."""
        for start in range(max(at, len(text) - self._longest), len(text)):
            rest = text[start:]
            if "\\" in rest:
                rest = rest.replace("\\_", "_").removesuffix("\\")
            # A token that is complete waits for what follows it: a letter would make it another word.
            if rest and self._begun.fullmatch(rest):
                return start
        return len(text)

    def _finished(self, text: str) -> str:
        return self._restore(text, final=True)[0]
