"""The watch over meaning in a stream: text is held until the sentence it belongs to was read.

It is fed what the endpoint said and what the inspector below it released of that, says which sentences are complete, is told
what was found in them, and releases them. It reads nothing itself, so it waits for nothing: who asks models and other people's
detectors does.
"""

from collections.abc import Sequence
from typing import Generic

import msgspec

from magistrate.classify.inspector import MOST_HELD, NOTHING, ChannelT, Ready
from magistrate.classify.sentences import CONTEXT, Passage, is_whole, next_end, on_sentence, passage
from magistrate.exchange.content import PartKind, Role
from magistrate.exchange.finding import Finding, FindingStatus, incomplete

DETECTOR = "sentences"
VERSION = "1"


class _Channel:
    """``tail`` is what was said from a little before the open sentence on; ``held`` is released from below and not yet here.

    Places count the channel's characters: ``base`` is where ``tail`` begins, ``out`` where ``held`` does, ``begin`` where
    the open sentence does. All before ``begin`` is read, or will be before it is released.
    """

    __slots__ = ("base", "begin", "guessed", "held", "known", "out", "tail")

    def __init__(self) -> None:
        self.tail = self.held = ""
        self.base = self.begin = self.out = 0
        self.known: list[Finding] = []
        """From below; these and the others count from the channel's beginning."""
        self.guessed: list[tuple[Finding, bool]] = []
        """By those who read sentences, and whether it is about the sentence as a whole."""


class SentenceWatch(Generic[ChannelT]):
    """The channels of one answer. Laws: as for `Inspector`, and nothing of a sentence leaves before its verdict is in."""

    def __init__(self) -> None:
        self._channels: dict[ChannelT, _Channel] = {}

    def take(
        self, channel: ChannelT, text: str, ready: Ready, role: Role, kind: PartKind, *, final: bool = False
    ) -> list[tuple[int, Passage]]:
        """Take what was said next and what is released of it; return the sentences that are complete now, with places."""
        state = self._channels.setdefault(channel, _Channel())
        at = state.out + len(state.held)
        state.known += [_moved(finding, at) for finding in ready.findings]
        state.held += ready.text
        state.tail += text
        found: list[tuple[int, Passage]] = []
        begin = state.begin - state.base
        while (end := next_end(state.tail, begin) or (len(state.tail) if final else None)) and end > begin:
            found.append((state.base + begin, passage(state.tail, begin, end, role, kind)))
            begin = end
        state.begin = state.base + begin
        # One character more than the context: a context that was cut begins at a word, one that was not does not.
        cut = max(0, begin - CONTEXT - 1)
        state.tail, state.base = state.tail[cut:], state.base + cut
        return found

    def release(
        self,
        channel: ChannelT,
        read: Sequence[tuple[int, Passage]],
        verdicts: Sequence[Sequence[Finding]],
        *,
        final: bool = False,
    ) -> Ready:
        """Take the verdicts on what `take` returned; return what can be released."""
        state = self._channels[channel]
        for (place, sentence), found in zip(read, verdicts, strict=True):
            for one in found:
                whole = is_whole(one)
                here = on_sentence(one, sentence.sentence) if whole else one
                if one.status is FindingStatus.FOUND or (here, False) not in state.guessed:
                    state.guessed.append((_moved(here, place), whole))
        end = state.out + len(state.held)
        until = end if final else _before_straddling(state, min(state.begin, end))
        ready = _cut(state, until)
        if final:
            del self._channels[channel]
        elif len(state.held) > MOST_HELD:
            # Findings that hold on to each other over sentences without end: nobody knows then.
            rest = _cut(state, state.out + len(state.held))
            more = tuple(_moved(finding, len(ready.text)) for finding in rest.findings)
            return Ready(ready.text + rest.text, (*ready.findings, *more, _INCOMPLETE))
        return ready


_INCOMPLETE = incomplete(DETECTOR, VERSION, "the bound on hold-back")


def _moved(finding: Finding, by: int) -> Finding:
    if finding.status is not FindingStatus.FOUND or not by:
        return finding
    return msgspec.structs.replace(finding, start=finding.start + by, end=finding.end + by)


def _before_straddling(state: _Channel, until: int) -> int:
    """Return the last place up to ``until`` through which no finding goes."""
    if not state.known and not state.guessed:
        return until
    spans = [(one.start, one.end) for one in state.known if one.status is FindingStatus.FOUND]
    spans += [(one.start, one.end) for one, _ in state.guessed if one.status is FindingStatus.FOUND]
    for start, end in sorted(spans, reverse=True):
        if start < until < end:
            until = start
    return until


def _cut(state: _Channel, until: int) -> Ready:
    size = until - state.out
    text, state.held = state.held[:size], state.held[size:]
    known = [one for one in state.known if _leaves(one, until)]
    guessed = [pair for pair in state.guessed if _leaves(pair[0], until)]
    if known or guessed:
        state.known = [one for one in state.known if not _leaves(one, until)]
        state.guessed = [pair for pair in state.guessed if not _leaves(pair[0], until)]
        apart = [one for one, whole in guessed if whole or not _covered(one, known)]
        found = sorted([*known, *apart], key=lambda one: (one.start, -one.end))
        ready = Ready(text, tuple(_moved(one, -state.out) for one in found))
    else:
        ready = Ready(text) if text else NOTHING
    state.out = until
    return ready


def _leaves(finding: Finding, until: int) -> bool:
    # What stands nowhere, such as word of a check that was skipped, need not wait.
    return finding.end <= finding.start or finding.start < until


def _covered(finding: Finding, known: Sequence[Finding]) -> bool:
    """Return whether a rule found something in these characters: that is checked, a model's finding guessed."""
    return finding.end > finding.start and any(
        one.start < finding.end and finding.start < one.end for one in known
    )
