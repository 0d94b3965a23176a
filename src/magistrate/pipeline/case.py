"""Case: the file of one exchange on its way along the line."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from magistrate.classify.tokens import Table
from magistrate.exchange.content import Answer, Exchange, Part, Usage
from magistrate.exchange.decision import Decision, Facts, Obligation
from magistrate.exchange.endpoint import Endpoint, Route
from magistrate.exchange.finding import Finding
from magistrate.exchange.outcome import Ending, Outcome, Refusal
from magistrate.exchange.principal import ANONYMOUS, Principal
from magistrate.exchange.stream import StreamEvent
from magistrate.pipeline.line import Line
from magistrate.pipeline.ports import Inbound, UpstreamRequest

if TYPE_CHECKING:
    from magistrate.wire.routes import Route as WireRoute

STEPS = ("read", "identify", "classify", "decide", "open", "route", "call", "inspect", "close")
"""The steps' names in `Server-Timing` and in evidence; step ``n`` of the line is ``STEPS[n - 1]``."""

NOT_TOLD = Usage()
"""What an endpoint that has not answered used."""

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")


class Relaying(Protocol):
    """A stream under way, as far as the file needs to know it."""

    seen: list[StreamEvent]

    @property
    def delivered(self) -> bytes | None: ...

    def abandon(self, ending: bytes) -> bytes: ...


class Attempt:
    """One try at one endpoint."""

    __slots__ = ("endpoint", "result", "status")

    def __init__(self, endpoint: str, result: str, status: int = 0) -> None:
        self.endpoint = endpoint
        self.result = result
        self.status = status


@dataclass(slots=True, eq=False)
class Case:
    """What is known of one exchange so far. Filled in by the steps, in their order, and by nobody else."""

    inbound: Inbound
    line: Line
    record: str = field(init=False)
    trace: str = field(init=False)
    parent: str = field(init=False)
    begins_trace: bool = field(init=False)
    """Whether the client named no trace: nobody else knows of this one yet."""
    wire: "WireRoute | None" = None
    params: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    exchange: Exchange | None = None
    principal: Principal = ANONYMOUS
    datasets: tuple[Mapping[str, str], ...] = ()
    """What data the caller says the call draws on."""
    parts: tuple[Part, ...] = ()
    findings: tuple[Finding, ...] = ()
    labels: tuple[str, ...] = ()
    candidates: tuple[Endpoint, ...] = ()
    facts: Facts | None = None
    decision: Decision | None = None
    opened: bool = False
    evidence_down: bool = False
    route: Route | None = None
    prepared: UpstreamRequest | None = None
    """What the first endpoint will be asked, until it is."""
    attempts: list[Attempt] = field(default_factory=list)
    endpoint: Endpoint | None = None
    obligations: tuple[Obligation, ...] = ()
    tokens: Table | None = None
    """What the reversible tokens sent to the endpoint stand for."""
    answer: Answer | None = None
    relay: Relaying | None = None
    returned_headers: Mapping[str, str] = field(default_factory=dict)
    answer_decision: Decision | None = None
    answer_labels: tuple[str, ...] = ()
    sent: bytes | None = None
    """What went to the endpoint, when obligations made it differ from what the client sent."""
    received: bytes = b""
    """What the endpoint answered."""
    delivered: bytes | None = None
    """What the client got, when it differs from what the endpoint answered."""
    rewritten: dict[str, int] = field(default_factory=dict)
    """Label to number of places rewritten, both ways."""
    restored: dict[str, int] = field(default_factory=dict)
    """Label to number of tokens put back into the answer."""
    usage: Usage = NOT_TOLD
    model_version: str = ""
    fingerprint: str = ""
    finish: str = ""
    ending: Ending = Ending.FAILED
    status: int = 500
    refusal: Refusal | None = None
    detail: str = ""
    marks: list[tuple[str, int]] = field(default_factory=list)
    _last_ns: int = field(init=False)

    def __post_init__(self) -> None:
        self.record = self.line.ids.record()
        self.trace, self.parent = _trace_of(self.inbound.headers)
        self.begins_trace = not self.trace
        self.trace = self.trace or self.line.ids.trace()
        self._last_ns = self.inbound.started_ns

    def mark(self, step: int) -> None:
        """Note that step ``step`` (1 to 9) ended now; a step may be marked more than once."""
        now = self.line.clock.ticks_ns()
        self.marks.append((STEPS[step - 1], (now - self._last_ns) // 1000))
        self._last_ns = now

    @property
    def dialect(self) -> str:
        """The dialect in which this client is answered: the route's, or the one its headers speak."""
        named = self.wire.dialect if self.wire else "openai.chat"
        anthropic = "anthropic-version" in self.inbound.headers
        return "anthropic.messages" if anthropic and (not self.wire or named == "openai.models") else named

    @property
    def total_us(self) -> int:
        return (self.line.clock.ticks_ns() - self.inbound.started_ns) // 1000

    @property
    def cost_nano(self) -> int | None:
        """What the call cost, in nano-units of the endpoint's currency; None when it cannot be known."""
        price = self.endpoint.price if self.endpoint else None
        usage = self.usage
        if price is None or usage.input_tokens is None:
            return None
        cached = usage.cached_tokens or 0
        cached_price = price.input_nano if price.cached_nano is None else price.cached_nano
        fresh = max(usage.input_tokens - cached, 0)
        return (
            fresh * price.input_nano + cached * cached_price + (usage.output_tokens or 0) * price.output_nano
        )

    def outcome(self) -> Outcome:
        """Return how it ended, as a value."""
        refusal = self.refusal
        return Outcome(
            ending=self.ending,
            status=self.status,
            code=refusal.code if refusal else None,
            endpoint=self.endpoint.id if self.endpoint else "",
            model_version=self.model_version,
            fingerprint=self.fingerprint,
            finish=self.finish,
            usage=self.usage,
            cost_nano=self.cost_nano,
            rules=refusal.rules if refusal else (),
            detail=self.detail,
        )


def _trace_of(headers: Mapping[str, str]) -> tuple[str, str]:
    # W3C Trace Context section 3.2: an invalid header is ignored and a new trace begins.
    match = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
    return (match[1], match[2]) if match else ("", "")
