"""Stream events: a response that arrives in pieces, in one shape for every dialect."""

from typing import TypeAlias

import msgspec

from magistrate.exchange.content import Part, PartKind, Path, Role, Tree, Usage

Channel: TypeAlias = tuple[str | int, ...]
"""One growing text in a stream: ``(choice, "text")``, ``(choice, "tool", index)``, ``(block, "thinking")``…
Deltas of one channel concatenate to one text; texts of different channels never mix."""


class Delta(msgspec.Struct, frozen=True, gc=False):
    """A piece of a channel's text, standing at ``path`` in its event's data.

    ``kind`` TOOL_ARGUMENTS marks a channel whose whole text is JSON: it is held until complete.
    """

    channel: Channel
    path: Path
    text: str
    role: Role = Role.ASSISTANT
    kind: PartKind = PartKind.TEXT


class StreamEvent(msgspec.Struct, frozen=True):
    """One server-sent event, read.

    ``deltas`` are pieces of growing texts. ``parts`` are complete texts that stand in this event (a final
    event that repeats the answer, an error message, an unknown field): they are inspected as they are.
    ``closes`` lists channels that get no further delta: what is held of them must be released or refused
    before this event goes out. ``data`` None is a bare marker such as ``[DONE]`` or a comment, in ``raw``.
    """

    name: str
    data: Tree | None
    raw: bytes = b""
    deltas: tuple[Delta, ...] = ()
    parts: tuple[Part, ...] = ()
    closes: tuple[Channel, ...] = ()
    settles: tuple[Channel, ...] = ()
    """Channels of whole JSON that probably get no further delta, because the next one of their kind has begun. What is
    held of one goes out before this event if it is complete JSON; clients may read it as soon as they see this event."""
    closes_all: bool = False
    """True on the event (or marker) after which no channel gets a delta."""
    terminal: bool = False
    """True on the event without which a client must treat the stream as cut."""
    error: bool = False
    """True when the endpoint reports a failure in the stream."""
    model: str = ""
    fingerprint: str = ""
    finish: str = ""
    usage: Usage | None = None
