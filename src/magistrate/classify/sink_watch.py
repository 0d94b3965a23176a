"""The watch over sinks in a stream: an inspector whose text is held until the targets in it are judged."""

from collections.abc import Hashable, Sequence
from typing import Generic, Protocol, TypeVar

import msgspec

from magistrate.classify.inspector import MOST_HELD, NOTHING, ChannelT, Ready
from magistrate.classify.sinks import DETECTOR, VERSION, Lexer, finding_of
from magistrate.classify.urls import HostList
from magistrate.exchange.finding import Finding, FindingStatus, incomplete

ChannelT_contra = TypeVar("ChannelT_contra", bound=Hashable, contravariant=True)


class StreamInspector(Protocol[ChannelT_contra]):
    """What the inspector promises; the watch keeps the same laws over it."""

    def feed(self, channel: ChannelT_contra, text: str) -> Ready: ...

    def close(self, channel: ChannelT_contra) -> Ready: ...


class _Channel:
    """``text`` came from the inspector and is not released; the lexer has decided it up to ``decided``."""

    __slots__ = ("decided", "findings", "lexer", "text")

    def __init__(self, hosts: HostList) -> None:
        self.lexer = Lexer(hosts)
        self.text = ""
        self.decided = 0
        self.findings: list[Finding] = []


class SinkWatch(Generic[ChannelT]):
    """An inspector over an inspector: its findings are the inner one's and the sinks', in order of place.

    Laws: as for `Inspector`; in particular nothing of a target that is not allowed leaves before its finding.
    """

    def __init__(self, inner: StreamInspector[ChannelT], hosts: HostList) -> None:
        self._inner = inner
        self._hosts = hosts
        self._channels: dict[ChannelT, _Channel] = {}

    def feed(self, channel: ChannelT, text: str) -> Ready:
        """Take the next piece of ``channel``; return what can be released."""
        ready = self._inner.feed(channel, text)
        if ready is NOTHING:
            return NOTHING
        state = self._channels.get(channel)
        if state is None:
            state = self._channels[channel] = _Channel(self._hosts)
        if not state.text and not ready.findings and state.lexer.passes(ready.text):
            return ready
        return self._release(state, ready, final=False)

    def close(self, channel: ChannelT) -> Ready:
        """Return what is left of ``channel``; nothing more comes."""
        ready = self._inner.close(channel)
        state = self._channels.pop(channel, None) or _Channel(self._hosts)
        return self._release(state, ready, final=True)

    def _release(self, state: _Channel, ready: Ready, *, final: bool) -> Ready:
        state.findings += [_moved(finding, len(state.text)) for finding in ready.findings]
        state.text += ready.text
        self._decide(state, final=final)
        if len(state.text) - state.decided > MOST_HELD:
            self._decide(state, final=True)
            state.findings.append(_INCOMPLETE)
        if state.decided == len(state.text) and not state.findings:
            text, state.text, state.decided = state.text, "", 0
            return Ready(text)
        until = _before_straddling(state.findings, state.decided)
        return _cut(state, until)

    def _decide(self, state: _Channel, *, final: bool) -> None:
        begin = state.decided
        onward, targets = state.lexer.read(state.text[begin:], final=final)
        state.findings += [_moved(finding_of(target), begin) for target in targets]
        state.decided = begin + onward


_INCOMPLETE = incomplete(DETECTOR, VERSION, "the bound on hold-back")


def _moved(finding: Finding, by: int) -> Finding:
    if finding.status is not FindingStatus.FOUND or not by:
        return finding
    return msgspec.structs.replace(finding, start=finding.start + by, end=finding.end + by)


def _before_straddling(findings: Sequence[Finding], until: int) -> int:
    """Return the last place up to ``until`` through which no finding goes."""
    for finding in sorted(findings, key=lambda finding: finding.start, reverse=True):
        if finding.status is FindingStatus.FOUND and finding.start < until < finding.end:
            until = finding.start
    return until


def _cut(state: _Channel, until: int) -> Ready:
    out: list[Finding] = []
    kept: list[Finding] = []
    for finding in sorted(state.findings, key=lambda finding: (finding.start, -finding.end)):
        leaves = finding.status is not FindingStatus.FOUND or finding.start < until
        (out if leaves else kept).append(finding if leaves else _moved(finding, -until))
    text = state.text[:until]
    state.text = state.text[until:]
    state.decided -= until
    state.findings = kept
    return Ready(text, tuple(out)) if text or out else NOTHING
