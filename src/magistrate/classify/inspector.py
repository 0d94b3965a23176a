"""The stream inspector: a text that arrives in pieces, judged as if it had arrived whole.

It releases a stretch of text only when no finding can begin in it and end behind it, whatever comes next:

- a token (a run without white space) may still grow, so the last one is held, up to the longest value there is;
- groups of digits and short capitals may be one number, so a trailing chain of them is held;
- a private key is held from its first line to its last.

Everything else goes out at once: in prose the hold-back is the word under way. Policy-free: it reports, others decide.
"""

import re
from collections.abc import Hashable
from typing import Generic, TypeVar

import msgspec

from magistrate.classify.digits import LONGEST_CARD
from magistrate.classify.rules import LONGEST_CONTEXT, LONGEST_KEY, LONGEST_VALUE
from magistrate.classify.scanner import Scanner
from magistrate.classify.views import FOLDED
from magistrate.exchange.finding import Finding

ChannelT = TypeVar("ChannelT", bound=Hashable)

LONGEST_CHAIN = 96
"""Characters of groups that may be one number; an IBAN in groups has 42, a card 37."""

BEHIND = 2 * (LONGEST_CONTEXT + LONGEST_CHAIN)
"""Characters of released text that are kept because rules look behind a value for context."""

_SPACE = re.compile(r"\s+")
_CHAIN_TOKEN = re.compile(r"[^\s]*[0-9][^\s]*|[A-Za-z]{1,4}|[-.+(]+")
_FOREIGN = re.compile("[^\x21-\x7e\\s" + "".join(map(re.escape, FOLDED)) + "]")
"""Characters that no value holds and no reader takes for one it holds: a token ends before and after them."""

_KEY_BEGINS = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}(?:PRIVATE KEY(?: BLOCK)?-----)?")
_KEY_ENDS = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")

assert LONGEST_CARD <= LONGEST_CHAIN


class Ready(msgspec.Struct, frozen=True):
    """The next stretch of a channel's original text, with everything found in it (spans relative to it)."""

    text: str
    findings: tuple[Finding, ...] = ()


NOTHING = Ready("")


class _Channel:
    """One growing text: ``text`` begins at a place where no finding straddles; ``released`` counts from there."""

    __slots__ = ("boundaries", "released", "text")

    def __init__(self) -> None:
        self.text = ""
        self.released = 0
        self.boundaries: list[int] = []


class Inspector(Generic[ChannelT]):
    """One answer's channels.

    Laws, for every cut of a text into pieces: the released texts concatenate to the text; their findings are those of
    the whole; nothing of a value is released before its finding is.
    """

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        self._channels: dict[ChannelT, _Channel] = {}

    def feed(self, channel: ChannelT, text: str) -> Ready:
        """Take the next piece of ``channel``; return what can be released."""
        state = self._channels.get(channel)
        if state is None:
            state = self._channels[channel] = _Channel()
        state.text += text
        return self._release(state, _safe_until(state.text, state.released))

    def close(self, channel: ChannelT) -> Ready:
        """Return what is left of ``channel``; nothing more comes."""
        state = self._channels.pop(channel, None)
        return NOTHING if state is None else self._release(state, len(state.text), closing=True)

    def _release(self, state: _Channel, until: int, *, closing: bool = False) -> Ready:
        start = state.released
        if until <= start:
            return NOTHING
        found = self._scanner.scan_text(state.text)
        if not closing:
            # What straddles the end is not complete: the stretch ends before it.
            for finding in reversed(found):
                if finding.start < until < finding.end:
                    until = finding.start
            if until <= start:
                return NOTHING
        ready = Ready(
            state.text[start:until],
            tuple(
                msgspec.structs.replace(f, part=0, start=f.start - start, end=f.end - start)
                for f in found
                if f.end > f.start and start <= f.start < until
            )
            + tuple(f for f in found if f.end == f.start),
        )
        state.released = until
        state.boundaries.append(until)
        _forget(state)
        return ready


def _forget(state: _Channel) -> None:
    """Drop released text that no rule looks back to; cut only where no finding straddles."""
    keep = state.released - BEHIND
    if keep <= 0:
        return
    cut = 0
    while state.boundaries and state.boundaries[0] <= keep:
        cut = state.boundaries.pop(0)
    if cut:
        state.text = state.text[cut:]
        state.released -= cut
        state.boundaries = [boundary - cut for boundary in state.boundaries]


def _safe_until(text: str, released: int) -> int:
    """Return how far ``text`` can be released if no finding straddles that place."""
    until = _before_chain(text, released)
    key = _unfinished_key(text, released)
    return min(until, key) if key is not None else until


def _before_chain(text: str, released: int) -> int:
    """Return where the tokens begin that may still grow or be joined."""
    floor = max(released, len(text) - LONGEST_VALUE)
    tail = text[floor:]
    tokens = [(m.start(), m.end()) for m in re.finditer(r"\S+", tail)]
    if not tokens:
        # White space alone: what stands before it may be joined over it, and was held if it could be.
        return floor if floor > released else len(text)
    start, end = tokens.pop()
    if end == len(tail):
        last = tail[start:end]
        start += _after_foreign(last)
        if start < end and not _CHAIN_TOKEN.fullmatch(tail[start:end]):
            return floor + start
        if start > 0 and not tail[start - 1].isspace():
            return floor + start
        left = start
    else:
        if not _CHAIN_TOKEN.fullmatch(tail[start:end]):
            return len(text)
        left = start
    for start, end in reversed(tokens):
        if not _CHAIN_TOKEN.fullmatch(tail[start:end]) or left - end > 2 or len(tail) - start > LONGEST_CHAIN:
            break
        left = start
    return floor + left


def _after_foreign(token: str) -> int:
    end = 0
    for match in _FOREIGN.finditer(token):
        end = match.end()
    return end


def _unfinished_key(text: str, released: int) -> int | None:
    """Return where a private key begins whose end has not come, as long as it still can."""
    for begins in _KEY_BEGINS.finditer(text, released):
        ends = _KEY_ENDS.search(text, begins.end())
        if ends is None and len(text) - begins.start() <= LONGEST_KEY + LONGEST_CONTEXT:
            return begins.start()
    return None
