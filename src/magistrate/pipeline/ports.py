"""What the line asks of the world. Each port is owned here and answered in ``adapters``."""

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec

from magistrate.classify.inspector import Inspector
from magistrate.classify.sentences import Passage
from magistrate.evidence.draft import Draft, Receipt
from magistrate.exchange.content import Part, PartKind, Role
from magistrate.exchange.endpoint import Endpoint
from magistrate.exchange.finding import Finding
from magistrate.exchange.principal import Principal
from magistrate.exchange.stream import Channel


class Clock(Protocol):
    def now_us(self) -> int:
        """Wall clock, microseconds since the Unix epoch, UTC. May jump; nothing may depend on order."""
        ...

    def ticks_ns(self) -> int:
        """Monotonic, nanoseconds from an arbitrary start: for durations and deadlines."""
        ...

    def standing(self) -> Mapping[str, object]:
        """How the wall clock stands, as a record's ``clk`` says it: ``src``, and ``sync`` and ``err_us`` as far as they are known."""
        ...


class Ids(Protocol):
    def record(self) -> str:
        """A UUIDv7, hyphenated. MUST NOT repeat, across restarts and forks."""
        ...

    def trace(self) -> str:
        """32 lower-case hex digits (W3C Trace Context trace-id)."""
        ...


class Inbound(msgspec.Struct, frozen=True):
    """One request as it reached a listener. Header names are lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    received_us: int
    started_ns: int
    peer: str = ""
    overflow: bool = False
    """True when the body was longer than the listener accepts; ``body`` is then empty."""


class Reply(Protocol):
    """Where an answer goes. Sending to a client that is gone raises `Disconnected`."""

    started: bool

    def while_connected(self) -> AbstractContextManager[None]:
        """Inside, an await is interrupted by `Disconnected` as soon as the client goes away.

        Only waits whose effects can be taken back stand inside: never the writing of a record.
        """
        ...

    async def start(self, status: int, headers: Sequence[tuple[str, str]]) -> None: ...

    async def send(self, body: bytes) -> None: ...

    async def end(self, body: bytes = b"") -> None: ...


class Disconnected(Exception):  # noqa: N818  because it is an event, not a malfunction
    """The client went away."""


class Classifier(Protocol):
    """Content to findings. Total: what goes wrong comes back as an INDETERMINATE finding."""

    versions: Mapping[str, str]
    """Detector id to version, for the record."""

    async def classify(self, parts: Sequence[Part]) -> tuple[Finding, ...]:
        """Inspect under the classifier's deadline; never blocks the event loop for long."""
        ...

    async def classify_answer(self, parts: Sequence[Part]) -> tuple[Finding, ...]:
        """The same for a whole answer. What reads sentences reads them here as `open_reader` does in a stream."""
        ...

    def classify_now(self, parts: Sequence[Part]) -> tuple[Finding, ...]:
        """Inspect by the rules, on the spot: for the small pieces of a stream."""
        ...

    def open_inspector(self) -> Inspector[Channel]:
        """Return a fresh stream inspector, for the rules; one per answer."""
        ...

    def open_reader(self) -> "SentenceReader | None":
        """Return what else reads a streamed answer; one per answer. None when nothing does, and no text is held for it."""
        ...


class SentenceReader(Protocol):
    """What reads a streamed answer sentence by sentence. Total, like the classifier."""

    def wants(self, role: Role, kind: PartKind) -> bool:
        """Return whether such text is read, and so is held until it was."""
        ...

    async def read(self, passages: Sequence[Passage]) -> Sequence[tuple[Finding, ...]]:
        """Return the findings in each passage's sentence, within the deadlines of those who read."""
        ...


class KeyRing(Protocol):
    """The keys as of the last load; reading it never blocks."""

    def authenticate(self, presented: str, now_us: int) -> Principal:
        """Return whose key this is. Comparison MUST be constant-time in the secret.

        Raises:
            Refused: AUTHENTICATION_FAILED or KEY_EXPIRED; the message never repeats the key.
        """
        ...


class UpstreamRequest(msgspec.Struct, frozen=True):
    """What goes to an endpoint. ``path`` is relative to its base URL; credentials are the adapter's matter."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    stream: bool


class UpstreamAnswer(Protocol):
    """An endpoint's answer. ``status`` and ``headers`` are known; the body is pulled."""

    status: int
    headers: Mapping[str, str]

    async def read(self, limit: int) -> bytes:
        """Return the whole body.

        Raises:
            UpstreamError: cut short, timed out, or longer than ``limit`` bytes.
        """
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives. Raises `UpstreamError` like `read`."""
        ...

    async def aclose(self) -> None:
        """Stop: cancel what is still running at the endpoint. Idempotent."""
        ...


class Upstream(Protocol):
    async def call(self, endpoint: Endpoint, request: UpstreamRequest) -> UpstreamAnswer:
        """Send and return when the status line is in.

        Raises:
            UpstreamError: ``sent`` says whether the endpoint may have begun.
        """
        ...

    async def aclose(self) -> None:
        """Let go of connections. Idempotent."""
        ...


class EvidenceLog(Protocol):
    def append(self, draft: Draft) -> Awaitable[Receipt]:
        """Hand the record over at once; what is returned is awaited until it is durable (fdatasync'ed by the recorder).

        So a caller can do what has no effect yet while the recorder works. MUST be awaited.

        Raises, when awaited:
            EvidenceUnavailable: it is not known to be durable; the caller must not go on.
        """
        ...

    async def hand_over(self, draft: Draft) -> None:
        """Return once the recorder process holds the record, before it is durable, within a strict bound.

        Until it is durable it counts against the bound; beyond the bound this waits. A record that could still be
        refused for its form is made durable first, as `append` does.

        Raises:
            EvidenceUnavailable: the recorder is away or has not caught up in time; the caller must not go on.
        """
        ...


class Telemetry(Protocol):
    """Numbers and events without content. MUST NOT raise and MUST NOT block."""

    def observe(self, event: "Observation") -> None: ...


class Observation(msgspec.Struct, frozen=True):
    """What operators see of one governed exchange: no content, no credentials."""

    record: str
    trace: str
    ts_us: int
    dialect: str
    operation: str
    model: str
    endpoint: str
    user: str
    application: str
    verdict: str
    ending: str
    status: int
    code: str
    rules: tuple[str, ...]
    labels: tuple[str, ...]
    stream: bool
    total_us: int
    steps_us: tuple[tuple[str, int], ...]
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_nano: int | None = None
    would: str = ""
