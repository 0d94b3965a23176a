"""From server-sent events to a dialect's stream events."""

from collections.abc import Callable

from magistrate.exchange.errors import MalformedAnswer, Unreadable
from magistrate.exchange.stream import StreamEvent
from magistrate.wire.sse import COMMENT, SseEvent, SseReader
from magistrate.wire.strict import describe


class EventReader:
    """A `StreamReader` over a function that reads one event.

    What follows the terminal event is dropped: no client reads on, and nobody judged it.
    """

    def __init__(self, read: Callable[[SseEvent], StreamEvent]) -> None:
        self._sse = SseReader()
        self._read = read
        self._ended = False

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Return the events completed by ``data``. Raises `MalformedAnswer`."""
        return self._events(self._sse.feed(data))

    def finish(self) -> list[StreamEvent]:
        """Return what the end of input completes.

        Raises:
            MalformedAnswer: the stream was cut before its terminal event (or an error event).
        """
        events = self._events(self._sse.finish())
        if not self._ended:
            raise MalformedAnswer("the stream was cut before its terminal event")
        return events

    def _events(self, arrived: list[SseEvent]) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        for sse in arrived:
            if self._ended:
                break
            if sse.comment:
                events.append(StreamEvent("", None, raw=COMMENT))
                continue
            try:
                event = self._read(sse)
            except Unreadable as error:
                raise MalformedAnswer(describe(error)) from error
            self._ended = event.terminal or event.error
            events.append(event)
        return events
