"""Sinks: the targets of links and images in an answer, in Markdown and HTML, with the hosts they lead to.

A page that shows an answer follows its images by itself and its links at a click, so whatever stands in a target leaves
(EchoLeak, CVE-2025-32711). This lexer does not try to be any one renderer. It marks every place that some renderer could
follow, and calls it an image where in doubt, because images need no click.

It reads from left to right with a bounded memory, and decides nothing before what it has seen decides it. So a text
that arrives in pieces has the targets of the whole by construction: a whole text is one piece and its end.
"""

import re
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from magistrate.classify.urls import HostList
from magistrate.classify.views import View, view_of
from magistrate.exchange.content import Part, PartKind
from magistrate.exchange.finding import Finding

LINK = "sink.link"
IMAGE = "sink.image"
DETECTOR = "sinks"
VERSION = "1"

LONGEST_TARGET = 4096
"""Characters of a target. A longer one in an attribute's quotes is not waited for: it is not allowed."""

LONGEST_OPENER = 128
"""Characters from the beginning of what opens a target to where it is recognised, each of them perhaps an entity."""

_BEHIND = 32
"""Characters before an ``=`` in which an attribute's name stands."""

SHOWN = frozenset({PartKind.TEXT, PartKind.REASONING, PartKind.REFUSAL})
"""The kinds of text that are shown as Markdown or HTML. Arguments of tools are not."""


class Target(NamedTuple):
    """A target that leads where policy's list does not, in characters of the text that was read."""

    start: int
    end: int
    label: str


class _After(Enum):
    """What the lexer expects next: nothing in particular, or a target of this construct."""

    NOTHING = 0
    INLINE = 1
    DEFINITION = 2
    ATTRIBUTE = 3
    STYLE = 4


def _spelled(character: str, *names: str) -> str:
    """Return a pattern for ``character`` as itself or as an HTML character reference."""
    codes = {ord(character.lower()), ord(character.upper())}
    references = [f"#0{{0,6}}{code};?|#[xX]0{{0,6}}(?i:{code:x});?" for code in sorted(codes)]
    return f"(?:(?i:{re.escape(character)})|&(?:{'|'.join([*references, *(f'{name};' for name in names)])}))"


_COLON = r"\\?" + _spelled(":", "colon")
_SLASH = rf"(?:\\?{_spelled('/', 'sol')}|{_spelled(chr(92), 'bsol')})"
_SCHEME = "|".join(
    "".join(map(_spelled, word)) + ("" if word == "ftp" else _spelled("s") + "?")
    for word in ("http", "ftp", "ws")
)
_OPENER = re.compile(
    rf"(?P<image>!\[)|(?P<inline>\]\()|(?P<definition>\]:)|(?P<blank>\n[ \t]{{0,16}}\r?\n)"
    rf"|(?P<tag><(?=/?(?P<name>[A-Za-z][A-Za-z0-9-]{{0,15}})(?![A-Za-z0-9:+.@-])))|(?P<end>>)|(?P<value>=)"
    rf"|(?P<style>(?i:url\(|@import))|(?P<bare>(?:{_SCHEME}){_COLON}{_SLASH}|(?i:www)\.)"
)
_MAY_OPEN = re.compile(r"[\]<&@]|!\[|:[/\\]|(?i:www\.|url\()")

_UNDECIDED = re.compile(r"[A-Za-z0-9&#;:/\\.@<!?\[\]+-]*\Z|\n[ \t]{0,16}\r?\Z")
"""What the end of a text may be if an opener begins in it. White space stands in no opener but a blank line."""

_MARKS = ("](", "]:", "![", "<", ":/", ":\\", "&", "www.", "url(", "@import")
"""Without one of these nothing opens. Most texts have none."""

_SPACE = re.compile(r"\s*")
_BARE_ENDS = re.compile(r"[\s<>\[\]|^]")
_QUOTES = re.compile(r"[\"'`]")
_TRAILING = ".,;:!?*_~'\"`){}"
_NAME = re.compile(r"([A-Za-z-]+)\s*\Z")
_PARENTHESES = re.compile(r"\\.|[\s()]", re.DOTALL)
_CLICKED_TAGS = frozenset({"a", "area"})
_CLICKED_ATTRIBUTES = frozenset({"href", "ping"})


class Lexer:
    """Reads one text. `read` is called again with what it left undecided and what came after that."""

    def __init__(self, hosts: HostList) -> None:
        self._hosts = hosts
        self._after = _After.NOTHING
        self._in_image = False
        self._tag = ""
        self._attribute = ""
        self._behind = ""

    def passes(self, text: str) -> bool:
        """Return whether ``text`` can go by unread: nothing is open, opens in it, or begins to at its end."""
        return (
            self._after is _After.NOTHING
            and self._idle
            and text.isascii()
            and text[-1:].isspace()
            and not _MAY_OPEN.search(text)
        )

    def read(self, text: str, *, final: bool) -> tuple[int, list[Target]]:
        """Return how far ``text`` is decided (all of it if it is ``final``) and the targets that leave, up to there."""
        view = view_of(text)
        page = _Page(text, view, final)
        targets: list[Target] = []
        at = 0
        while at < len(page.seen):
            opening = self._after is _After.NOTHING
            onward = self._open(page, at, targets) if opening else self._target(page, at, targets)
            if onward < 0:
                at = ~onward
                break
            at = onward
        self._behind = (self._behind + page.seen[:at])[-_BEHIND:]
        return (len(text) if at == len(page.seen) else page.original(at)), targets

    def _open(self, page: "_Page", at: int, targets: list[Target]) -> int:
        """Read up to the next opener and through it. Return where to go on, or ``~at`` to wait for more at ``at``."""
        seen = page.seen
        match = None if self._idle and not page.marked else _OPENER.search(seen, at)
        if match is None or match.start() >= page.undecided:
            return len(seen) if page.final else ~max(at, page.undecided)
        start, end = match.span()
        match match.lastgroup if match["name"] is None else "tag":
            case "image":
                self._in_image = True
            case "blank":
                # An image cannot span a blank line, but a line with something invisible in it is not blank.
                if page.spelled(start, end) == seen[start:end]:
                    self._in_image = False
            case "tag":
                self._tag = match["name"].lower()
            case "end":
                self._tag = ""
            case "value" if self._tag:
                name = _NAME.search((self._behind + seen[max(0, start - _BEHIND) : start])[-_BEHIND:])
                self._attribute = name[1].lower() if name else ""
                self._after = _After.ATTRIBUTE
            case "inline":
                self._after = _After.INLINE
            case "definition":
                self._after = _After.DEFINITION
            case "style":
                self._after = _After.STYLE
            case "bare":
                return self._bare(page, start, targets)
        return end

    @property
    def _idle(self) -> bool:
        return not self._tag and not self._in_image

    def _target(self, page: "_Page", at: int, targets: list[Target]) -> int:
        """Read the target that the last opener announced."""
        seen = page.seen
        space = _SPACE.match(seen, at)
        start = space.end() if space else at
        if start == len(seen):
            return start if page.final else ~start
        quote = self._closing_quote(seen[start])
        begin = start + bool(quote)
        limit = begin + LONGEST_TARGET
        stop = seen.find(quote, begin, limit + 1) if quote else self._unquoted_end(seen, begin, limit + 1)
        too_long = stop < 0 and len(seen) > limit
        if stop < 0 and not too_long and not page.final:
            return ~start
        end = min(stop if stop >= 0 else len(seen), limit)
        compound = self._after in {_After.ATTRIBUTE, _After.STYLE}
        spellings = (seen[begin:end], page.spelled(begin, end))
        if too_long or not self._hosts.permits(*spellings, compound=compound):
            targets.append(Target(*page.span(begin, end), self._label()))
        self._after = _After.NOTHING
        return end + bool(quote and end == stop)

    def _closing_quote(self, first: str) -> str:
        if self._after in {_After.INLINE, _After.DEFINITION}:
            return ">" if first == "<" else ""
        return first if first in "\"'" else ""

    def _unquoted_end(self, seen: str, begin: int, limit: int) -> int:
        if self._after is _After.INLINE:
            return _balanced_end(seen, begin, limit)
        match = _UNQUOTED_ENDS[self._after].search(seen, begin, limit)
        return match.start() if match else -1

    def _label(self) -> str:
        if self._after is _After.INLINE:
            return IMAGE if self._in_image else LINK
        clicked = self._tag in _CLICKED_TAGS and self._attribute in _CLICKED_ATTRIBUTES
        return LINK if self._after is _After.ATTRIBUTE and clicked else IMAGE

    def _bare(self, page: "_Page", start: int, targets: list[Target]) -> int:
        """Read an address that stands by itself. Its host is judged to the end of the run, in case it goes on there."""
        seen = page.seen
        ends = _BARE_ENDS.search(seen, start, start + LONGEST_TARGET + 1)
        too_long = ends is None and len(seen) - start > LONGEST_TARGET
        if ends is None and not too_long and not page.final:
            return ~start
        run = seen[start : ends.start() if ends else start + LONGEST_TARGET].rstrip(_TRAILING)
        quote = _QUOTES.search(run)
        end = start + (quote.start() if quote else len(run))
        prefix = "http://" if run[:3].lower() == "www" else ""
        named = len(run) > len("www.") or not prefix
        spellings = (prefix + run, prefix + page.spelled(start, start + len(run)))
        if named and (too_long or not self._hosts.permits(*spellings)):
            label = IMAGE if self._tag and self._tag not in _CLICKED_TAGS else LINK
            targets.append(Target(*page.span(start, end), label))
        return max(end, start + 1)


class _Page:
    """A text in its normal spelling, with the way back, and what of its end is undecided."""

    __slots__ = ("_text", "_view", "final", "marked", "seen", "undecided")

    def __init__(self, text: str, view: View | None, final: bool) -> None:
        self._text = text
        self._view = view
        self.final = final
        self.seen = text if view is None else view.text
        lower = self.seen.lower()
        self.marked = any(mark in lower for mark in _MARKS)
        self.undecided = len(self.seen)
        if not final:
            rest = _UNDECIDED.search(self.seen, max(0, len(self.seen) - LONGEST_OPENER))
            assert rest is not None
            self.undecided = rest.start()

    def original(self, at: int) -> int:
        return at if self._view is None else self._view.span(at, at + 1)[0]

    def span(self, start: int, end: int) -> tuple[int, int]:
        if self._view is None:
            return start, end
        return self._view.span(start, end) if end > start else (self.original(start),) * 2

    def spelled(self, start: int, end: int) -> str:
        first, last = self.span(start, end)
        return self._text[first:last]


_UNQUOTED_ENDS = {
    _After.DEFINITION: re.compile(r"\s"),
    _After.ATTRIBUTE: re.compile(r"[\s>]"),
    _After.STYLE: re.compile(r"[\s);]"),
}


def _balanced_end(seen: str, begin: int, limit: int) -> int:
    """Return where a destination without angle brackets ends (CommonMark section 6.3), or -1."""
    depth = 0
    for match in _PARENTHESES.finditer(seen, begin, limit):
        character = match[0]
        if character == "(":
            depth += 1
        elif character == ")" and depth:
            depth -= 1
        elif character[0] != "\\":
            return match.start()
        elif character[-1].isspace():
            return match.start() + 1
    return -1


class Sinks:
    """The sinks of whole texts, under one list of hosts."""

    def __init__(self, hosts: HostList) -> None:
        self.hosts = hosts
        self.version = f"{VERSION}-{hosts.digest}"
        """Of the lexer and of the list, for the record."""

    def targets(self, text: str) -> list[Target]:
        """Return the targets in ``text`` that lead off the list, in order, none overlapping."""
        return Lexer(self.hosts).read(text, final=True)[1]

    def findings(self, parts: Sequence[Part]) -> tuple[Finding, ...]:
        """Return them as findings, for the parts that a client shows."""
        return tuple(
            finding
            for index, part in enumerate(parts)
            if part.kind in SHOWN
            for finding in self.marked(part.text, index)
        )

    def marked(self, text: str, part: int) -> list[Finding]:
        """Return the targets in ``text`` as findings in ``part``, whatever kind it is of."""
        return [finding_of(target, part) for target in self.targets(text)]


def finding_of(target: Target, part: int = 0) -> Finding:
    return Finding(target.label, DETECTOR, VERSION, part=part, start=target.start, end=target.end)
