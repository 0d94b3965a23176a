"""The contract every dialect keeps."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from magistrate.exchange.content import Answer, Exchange, Part, Tree, Usage
from magistrate.exchange.outcome import Refusal
from magistrate.exchange.stream import Channel, Delta, StreamEvent


class StreamReader(Protocol):
    """Turns an upstream's bytes into events. Byte-at-a-time MUST equal all-at-once."""

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Return the events completed by ``data``.

        Raises:
            MalformedAnswer: the bytes are not this dialect's stream.
        """
        ...

    def finish(self) -> list[StreamEvent]:
        """Return what the end of input completes.

        Raises:
            MalformedAnswer: the stream was cut before its terminal event.
        """
        ...


class Dialect(Protocol):
    """One wire format. Stateless; all methods are pure functions of their arguments."""

    name: str
    """For example ``openai.chat``."""

    def read_request(self, body: bytes, params: Mapping[str, str]) -> Exchange:
        """Read a request. ``params`` are what the route took from the path (``model``, ``verb``).

        Raises:
            Unreadable: with the place and what is wrong there.
        """
        ...

    def write_request(
        self, exchange: Exchange, rewrites: Mapping[int, str], *, model: str, cap: int | None = None
    ) -> bytes:
        """Serialise the parsed request with ``rewrites`` (part index to new text) put back by path.

        ``model`` replaces the client's model name by the endpoint's; ``cap`` lowers the output-token limit.
        """
        ...

    def read_answer(self, body: bytes) -> Answer:
        """Read a whole answer.

        Raises:
            MalformedAnswer: it is not this dialect's answer.
        """
        ...

    def write_answer(self, answer: Answer, rewrites: Mapping[int, str]) -> bytes: ...

    def read_error(self, status: int, body: bytes) -> tuple[str, bytes]:
        """Return a one-line summary of an upstream error (for the record) and the body for the client.

        The body MUST be in this dialect's error shape; what is not is wrapped. Never raises.
        """
        ...

    def open_stream(self) -> StreamReader: ...

    def write_event(self, event: StreamEvent, texts: Mapping[int, str], parts: Mapping[int, str]) -> bytes:
        """Serialise an event with new texts for its deltas and parts, by index; unnamed ones stay."""
        ...

    def carry(self, template: StreamEvent, delta: Delta, text: str) -> bytes:
        """Serialise an event like ``template`` that carries only ``text`` for ``delta``'s channel.

        Used to release what was held back when a channel closes. It MUST NOT repeat other channels' texts,
        roles, finish reasons or usage.
        """
        ...

    def refuse(self, refusal: Refusal) -> bytes:
        """Spell a refusal as a body in the native error shape. The status is ``refusal.http_status``."""
        ...

    def refuse_in_stream(self, refusal: Refusal, seen: Sequence[StreamEvent]) -> bytes:
        """End a stream that already began: native error event or ``content_filter`` stop, and the native end.

        ``seen`` are the last few events that went out, so that ids and indexes continue.
        """
        ...


__all__ = [
    "Answer",
    "Channel",
    "Delta",
    "Dialect",
    "Exchange",
    "Part",
    "StreamEvent",
    "StreamReader",
    "Tree",
    "Usage",
]
