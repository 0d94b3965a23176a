"""Server-sent events, read and written without a socket (WHATWG HTML, section 9.2.6).

Only ``event`` and ``data`` are kept. ``id`` and ``retry`` steer a browser's reconnection, no model API uses them, and
text in them would pass unseen; the text of comments is dropped for the same reason, while the comment itself is told,
because it keeps connections alive.
"""

import msgspec

from magistrate.exchange.errors import MalformedAnswer

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""One event, not yet complete. An image in one event is a few MiB."""

COMMENT = b":\n\n"
"""A keep-alive without content."""


class SseEvent(msgspec.Struct, frozen=True, gc=False):
    """One event: its name (empty for ``message``) and its data lines joined by newlines.

    ``comment`` True is a keep-alive: name and data are empty.
    """

    name: str
    data: bytes
    comment: bool = False


_KEEP_ALIVE = SseEvent("", b"", comment=True)


class SseReader:
    r"""Fed bytes in any cut, yields the same events. Lines end with ``\n``, ``\r`` or ``\r\n``."""

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._limit = max_event_bytes
        self._pieces: list[bytes] = []
        """The line that is not complete yet, joined when its end comes."""
        self._size = 0
        self._pending = 0
        """Bytes of the data lines, and of the incomplete line, so far."""
        self._name = ""
        self._data: list[bytes] = []
        self._began = False
        self._after_return = False
        r"""True when the last byte was ``\r``, whose ``\n`` may come in the next cut."""

    def feed(self, data: bytes) -> list[SseEvent]:
        """Return the events completed by ``data``.

        Raises:
            MalformedAnswer: an event is longer than the limit.
        """
        events: list[SseEvent] = []
        if self._after_return and data:
            self._after_return = False
            if data[0] == 0x0A:
                data = data[1:]
        if not data:
            return events
        lines = data.splitlines(keepends=True)
        last = lines[-1]
        if last[-1] not in b"\r\n":
            lines.pop()
        else:
            last = b""
            self._after_return = data[-1] == 0x0D
        for line in lines:
            body = line.rstrip(b"\r\n")
            if self._pieces:
                self._pieces.append(body)
                body = b"".join(self._pieces)
                self._pieces.clear()
            self._line(body, events)
        if last:
            self._pieces.append(last)
            self._pending += len(last)
            if self._size + self._pending > self._limit:
                raise self._too_long()
        return events

    def finish(self) -> list[SseEvent]:
        """Return what the end of input completes.

        An event without its blank line is dispatched too: some servers end right after the last data line, and
        dropping it would lose a terminal event.
        """
        events: list[SseEvent] = []
        if self._pieces:
            body = b"".join(self._pieces)
            self._pieces.clear()
            self._line(body, events)
        self._line(b"", events)
        return events

    def _line(self, line: bytes, events: list[SseEvent]) -> None:
        if not self._began:
            self._began = True
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            if self._data:
                events.append(SseEvent(self._name, b"\n".join(self._data)))
                self._data = []
            self._name = ""
            self._size = self._pending = 0
            return
        self._pending = 0
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            self._size += len(line)
            if self._size > self._limit:
                raise self._too_long()
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
        elif not field:
            events.append(_KEEP_ALIVE)

    def _too_long(self) -> MalformedAnswer:
        return MalformedAnswer(f"an event in the stream is longer than {self._limit} bytes")


def write_event(name: str, data: bytes) -> bytes:
    r"""Serialise one event. ``data`` may span lines; ``name`` must not.

    INVARIANT: reading the result gives one event with the same name and data (``\r`` in data becomes ``\n``).
    """
    if b"\n" in data or b"\r" in data:
        data = b"\ndata: ".join(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"))
    head = b"event: " + name.encode() + b"\n" if name else b""
    return head + b"data: " + data + b"\n\n"
