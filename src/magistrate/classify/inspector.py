"""The stream inspector: a text that arrives in pieces, judged as if it had arrived whole.

A cut is safe when no value can begin before it and end behind it, whatever comes next. A value that may still grow reaches
to the end of what is known, so it begins in one of these places, and these are held:

- the token under way (a run without white space), up to the longest value there is;
- the groups before it, if each could be joined to the next by a single separator and the first could begin a number or a
  licence plate (a word of at most four capitals);
- a private key or the beginning of one, from its first line to its last;
- letters spaced out one by one, Morse code, and as much text as the longest phrase that the reader's own detectors look for;
- a word before a sign such as ``:``, if it could be a password whose name comes behind it, both of them reversed.

An escape that is not complete (``&#5``) may become any character: what is before it is judged as if it were the end.

A value that is complete is a finding, and no cut goes through a finding. All of it is measured in the normal spelling, so
that what hides between a value's characters does not stretch the bounds. Whoever stretches them all the same is met by
an INDETERMINATE finding: nobody knows then, and the fail-mode table decides. In prose the hold-back is the word under way.
Policy-free: the inspector reports, others decide.
"""

import re
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

import msgspec

from magistrate.classify import disguised, morse
from magistrate.classify.codings import LOOK_ALIKES
from magistrate.classify.digits import LONGEST_CARD
from magistrate.classify.look_alikes import CHECK_DIGITS
from magistrate.classify.rules import (
    KEY_BEGINS,
    KEY_BODY,
    KEY_ENDS,
    LONGEST_CONTEXT,
    LONGEST_KEY,
    LONGEST_VALUE,
)
from magistrate.classify.scanner import DETECTOR, Scanner
from magistrate.classify.validators import IBAN_LENGTHS
from magistrate.classify.views import escape_begins, view_of
from magistrate.exchange.finding import Finding, FindingStatus, incomplete

ChannelT = TypeVar("ChannelT", bound=Hashable)

LONGEST_CHAIN = 96
"""Characters of groups that may be one number; an IBAN in groups has 66 at most, a card 37, a telephone number 58."""

LONGEST_EXTENSION = 13
"""Characters, from the digit before it: `` ext. 123456``."""

BEHIND = 2 * (LONGEST_CONTEXT + LONGEST_CHAIN)
"""Characters of released text that are kept because rules look behind a value for context."""

SPARE = BEHIND // 4
"""Characters more than that before some are dropped: to find out where a text can begin anew costs as much as to read on."""

MOST_HELD = 4 * LONGEST_KEY
"""Characters held or kept, hidden ones included. No honest text comes near it."""

_FOREIGN = re.compile(r"[^\x21-\x7e\s]")
"""Characters that no value holds in its normal spelling: a token ends before and after them."""

_CONTINUES = re.compile(r"[0-9]|\((?:[0-9]|\Z)|[A-Za-z]{1,4}(?![A-Za-z])")
"""How a group begins that is joined to the one before it: digits, or a bank's code of at most four letters."""
_GOES_ON = re.compile(r"[A-Za-z0-9)]")
_CAPITALS = r"(?<![A-Za-z0-9])[A-Z]{1,4}(?:-[A-Z]{1,4})?\Z"
"""The letters that a licence plate begins with."""
_LOOKS_NUMERIC = re.compile(rf"[0-9{LOOK_ALIKES}]+(?![A-Za-z0-9])")
"""A group whose letters may stand for digits."""
_DIGIT = re.compile(rf"[0-9]|{_CAPITALS}|(?<![A-Za-z0-9])[{LOOK_ALIKES}]+\Z")
_ACCOUNT = re.compile(rf"(?i:(?<![A-Z0-9])(?:{'|'.join(IBAN_LENGTHS)}){CHECK_DIGITS})|{_CAPITALS}")
"""What a number that goes on with letters begins with: country and check digits of an IBAN, or a plate's letters."""
_EXTENSION = re.compile(r"(?i)(?<=[0-9])(?: ?ex?|(?: ?x| ?ext\.? ?|#)[0-9]{0,6})\Z")
"""What may be on its way behind a telephone number and belong to it."""
_EXTENSION_ENDS = frozenset("eExXtT. #0123456789")
"""What such a beginning can end with: most texts end otherwise, and need not be searched."""

_KEY_LINE = "-----BEGIN "
_KEY_BEGINS = re.compile(KEY_BEGINS)
_KEY_MAY_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,57}-{0,4}\Z")
_KEY_BODY = re.compile(KEY_BODY)
_KEY_ENDS = re.compile(KEY_ENDS)

assert LONGEST_CARD <= LONGEST_CHAIN


class Ready(msgspec.Struct, frozen=True):
    """The next stretch of a channel's original text, with everything found in it (spans relative to it)."""

    text: str
    findings: tuple[Finding, ...] = ()


NOTHING = Ready("")


class _Channel:
    """One growing text: ``text`` begins where no finding straddles; what is before ``released`` is context."""

    __slots__ = ("released", "text")

    def __init__(self) -> None:
        self.text = ""
        self.released = 0


class Inspector(Generic[ChannelT]):
    """One answer's channels.

    Laws, for every cut of a text into pieces: the released texts concatenate to the text; their findings are those of
    the whole, or one of them is INDETERMINATE; nothing of a value is released before its finding is.
    """

    def __init__(self, scanner: Scanner, *, notices: tuple[Finding, ...] = ()) -> None:
        """``notices`` are told with the first stretch: what else there is to know about this inspection."""
        self._scanner = scanner
        self._notices = notices
        self._channels: dict[ChannelT, _Channel] = {}

    def feed(self, channel: ChannelT, text: str) -> Ready:
        """Take the next piece of ``channel``; return what can be released."""
        state = self._channels.get(channel)
        if state is None:
            state = self._channels[channel] = _Channel()
        state.text += text
        safe = _safe_until(state.text[state.released :], self._scanner.phrase)
        ready = self._release(state, state.released + safe)
        if len(state.text) - state.released > MOST_HELD:
            return self._give_up(state, ready)
        return ready

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
            for finding in reversed(found):
                if finding.start < until < finding.end:
                    until = finding.start
            if until <= start:
                return NOTHING
        findings = _within(found, start, until) if found else ()
        if self._notices:
            findings, self._notices = self._notices + findings, ()
        ready = Ready(state.text[start:until], findings)
        state.released = until
        if not closing and self._forget(state, found):
            return msgspec.structs.replace(ready, findings=(*findings, self._incomplete("context")))
        return ready

    def _give_up(self, state: _Channel, ready: Ready) -> Ready:
        """Release everything, with the admission that it was not inspected to its end."""
        rest = self._release(state, len(state.text), closing=True)
        state.text, state.released = "", 0
        shift = len(ready.text)
        findings = tuple(
            msgspec.structs.replace(f, start=f.start + shift, end=f.end + shift)
            if f.status is FindingStatus.FOUND
            else f
            for f in rest.findings
        )
        return Ready(ready.text + rest.text, (*ready.findings, *findings, self._incomplete("hold-back")))

    def _forget(self, state: _Channel, found: tuple[Finding, ...]) -> bool:
        """Drop released text that no rule looks back to; return whether some had to go that one might."""
        if state.released <= BEHIND + SPARE:
            return False
        cut = _context_from(state.text[: state.released])
        for finding in reversed(found):
            if finding.start < cut < finding.end:
                cut = finding.start
        lost = state.released - cut > MOST_HELD
        if lost:
            cut = state.released
        if cut > 0:
            state.text = state.text[cut:]
            state.released -= cut
        return lost

    def _incomplete(self, bound: str) -> Finding:
        return incomplete(DETECTOR, self._scanner.version, f"the bound on {bound}")


def _within(found: tuple[Finding, ...], start: int, until: int) -> tuple[Finding, ...]:
    """Return what of ``found`` begins from ``start`` to ``until``, relative to ``start``, and what has no place."""
    return tuple(
        msgspec.structs.replace(f, part=0, start=f.start - start, end=f.end - start)
        if f.status is FindingStatus.FOUND
        else f
        for f in found
        if f.status is not FindingStatus.FOUND or start <= f.start < until
    )


def _context_from(released: str) -> int:
    """Return where the context begins that rules may look back to from the end of ``released``.

    After white space a text can begin anew. Inside a token it cannot: what follows might look like the start of a value,
    so as much is kept in front as a value can be long.
    """
    if len(released) <= BEHIND:
        return 0
    view = view_of(released)
    seen = released if view is None else view.text
    keep = len(seen) - BEHIND
    if keep <= 0:
        return 0
    low = max(keep - LONGEST_VALUE, 0)
    keep = morse.kept_from(seen, low + _last_token(seen[low:keep]))
    return keep if view is None or keep == 0 else view.span(keep, keep + 1)[0]


def _safe_until(held: str, phrase: int) -> int:
    """Return how far ``held`` can be released if no finding straddles that place."""
    known = held[: escape_begins(held)]
    until = _safe_in(known, phrase)
    view = view_of(known)
    if view is None:
        return until
    # What is read as it stands may begin in an escape that shows nothing.
    seen = _safe_in(view.text, phrase)
    return until if seen >= len(view.text) else min(until, view.span(seen, seen + 1)[0])


def _safe_in(seen: str, phrase: int) -> int:
    """Return the same for one spelling."""
    until = min(
        _before_tokens(seen),
        _before_key(seen),
        _before_spaced(seen),
        disguised.held_from(seen),
        morse.held_from(seen),
    )
    return min(until, max(0, len(seen) - phrase)) if phrase else until


def _before_tokens(seen: str) -> int:
    """Return where the tokens begin that may still grow or be joined."""
    if seen[-1:] in _EXTENSION_ENDS:
        extension = _EXTENSION.search(seen, max(0, len(seen) - LONGEST_EXTENSION))
        if extension:
            seen = seen[: extension.start()]
    floor = max(0, len(seen) - LONGEST_VALUE)
    tail = seen[floor:]
    left = right = end = len(tail)
    begins = _DIGIT
    start = _last_token(tail)
    if start < end:
        left = right = start + _after_foreign(tail[start:end])
        if right > start or not _CONTINUES.match(tail, start):
            return floor + left
        begins = _DIGIT if _is_number(tail, start) else _ACCOUNT
    for begin, end in _tokens_before(tail, start):
        # The groups of one number stand one separator apart; the first holds a digit, or begins an account.
        if right - end != 1 or not _GOES_ON.match(tail, end - 1) or len(tail) - end > LONGEST_CHAIN:
            break
        right = begin + _after_foreign(tail[begin:end])
        if begins.search(tail, right, end):
            left = max(right, len(tail) - LONGEST_CHAIN)
        if right > begin or not _CONTINUES.match(tail, begin):
            break
        if not _is_number(tail, begin):
            begins = _ACCOUNT
    return floor + left


def _last_token(text: str) -> int:
    """Return where the token at the end of ``text`` begins: its length if white space stands there."""
    return len(text) if text[-1:].isspace() or not text else len(text) - len(text.rsplit(None, 1)[-1])


def _tokens_before(text: str, end: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of the tokens of ``text`` before ``end``, the last one first."""
    while end := len(text[:end].rstrip()):
        start = _last_token(text[:end])
        yield start, end
        end = start


def _is_number(tail: str, start: int) -> bool:
    return not tail[start].isalpha() or _LOOKS_NUMERIC.match(tail, start) is not None


def _before_spaced(seen: str) -> int:
    """Return where the characters begin that stand alone, one separator between two, up to the end."""
    first = len(seen)
    at = first - (2 if seen[-1:].isspace() else 1)
    while at >= 0 and not seen[at].isspace() and len(seen) - at <= LONGEST_CHAIN:
        if at > 0 and not seen[at - 1].isspace() and seen[at - 1] != "\x00":
            break
        first = at
        at -= 2
    return first


def _after_foreign(token: str) -> int:
    end = 0
    if not token.isascii() or not token.isprintable():
        for match in _FOREIGN.finditer(token):
            end = match.end()
    return end


def _before_key(seen: str) -> int:
    """Return where a private key begins whose end has not come, as long as it still can."""
    if _KEY_LINE not in seen:
        return len(seen)
    at = 0
    while begins := _KEY_BEGINS.search(seen, at):
        body = _KEY_BODY.match(seen, begins.end())
        assert body is not None
        ends = _KEY_ENDS.search(seen, begins.end(), min(len(seen), body.end() + LONGEST_CONTEXT))
        if ends is None and body.end() == len(seen):
            return begins.start()
        at = ends.end() if ends else body.end()
    partial = _KEY_MAY_BEGIN.search(seen, max(at, len(seen) - LONGEST_CONTEXT))
    return partial.start() if partial else len(seen)
