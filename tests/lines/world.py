"""The world around the line, on paper: every port answered by a small simulator that can be told to fail."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from magistrate.app.bundles import PolicySource
from magistrate.classify.inspector import Inspector
from magistrate.classify.scanner import Scanner
from magistrate.evidence.draft import Draft, Receipt
from magistrate.exchange.content import Part
from magistrate.exchange.endpoint import Endpoint, Price
from magistrate.exchange.errors import EvidenceUnavailable, Refused, UpstreamError
from magistrate.exchange.finding import Finding, FindingStatus
from magistrate.exchange.outcome import Code
from magistrate.exchange.principal import Principal
from magistrate.exchange.stream import Channel
from magistrate.pipeline.case import Case
from magistrate.pipeline.govern import govern
from magistrate.pipeline.line import Limits, Line
from magistrate.pipeline.ports import (
    Disconnected,
    Inbound,
    Observation,
    SentenceReader,
    UpstreamAnswer,
    UpstreamRequest,
)
from magistrate.policy.bundle import Bundle, load
from magistrate.route.catalogue import Catalogue
from magistrate.wire.dialects import DIALECTS

KEY = "mag-test"
ALICE = Principal(key="k1", user="alice", groups=("staff",), application="tests")
SCANNER = Scanner()
STARTER = PolicySource(None).load()

OPERATIONS = (
    "openai.chat:chat",
    "openai.responses:responses",
    "openai.embeddings:embeddings",
    "anthropic.messages:messages",
    "anthropic.messages:count_tokens",
    "gemini:generate",
    "gemini:count_tokens",
)


def endpoint(name: str = "sim", *, model: str = "m", **changes: Any) -> Endpoint:
    """An endpoint that speaks every dialect and holds no certification."""
    plain = Endpoint(
        id=f"{name}/{model}",
        provider=name,
        api="simulator",
        model=model,
        upstream_model=f"{model}-at-{name}",
        operations=OPERATIONS,
        region="eu",
        price=Price(input_nano=1000, output_nano=2000, version="p1"),
    )
    return msgspec.structs.replace(plain, **changes)


class Clock:
    """Wall time that can jump; ticks that only go forward."""

    def __init__(self) -> None:
        self.wall_us = 1_790_000_000_000_000
        self.ticks = 0

    def now_us(self) -> int:
        return self.wall_us

    def ticks_ns(self) -> int:
        self.ticks += 1_000_000
        return self.ticks

    def standing(self) -> dict[str, object]:
        return {"src": "system", "sync": True, "err_us": 40}


class Ids:
    """Ids in sequence."""

    def __init__(self) -> None:
        self.count = 0

    def record(self) -> str:
        self.count += 1
        return f"00000000-0000-7000-8000-{self.count:012x}"

    def trace(self) -> str:
        self.count += 1
        return f"{self.count:032x}"


class Keys:
    """One key, or a store that cannot be read."""

    def __init__(self) -> None:
        self.principal = ALICE
        self.unreadable = False

    def authenticate(self, presented: str, now_us: int) -> Principal:
        if self.unreadable:
            raise Refused(Code.INTERNAL, "keys cannot be verified at the moment")
        if presented != KEY:
            raise Refused(Code.AUTHENTICATION_FAILED, "no such key")
        return self.principal


class Evidence:
    """A log in memory. ``down`` makes it refuse from that append on (0 refuses the first)."""

    def __init__(self) -> None:
        self.drafts: list[Draft] = []
        self.handed: list[Draft] = []
        """Those of `drafts` that were not waited for."""
        self.down: int | None = None
        self.on_append: Callable[[Draft], None] = lambda draft: None

    async def hand_over(self, draft: Draft) -> None:
        await self.append(draft)
        self.handed.append(draft)

    def append(self, draft: Draft) -> "asyncio.Future[Receipt]":
        receipt: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        if self.down is not None and len(self.drafts) >= self.down:
            receipt.set_exception(EvidenceUnavailable("the recorder does not answer"))
            return receipt
        self.on_append(draft)
        self.drafts.append(draft)
        receipt.set_result(Receipt(str(draft.header["eid"]), len(self.drafts) - 1, b"\0" * 32))
        return receipt

    @property
    def phases(self) -> list[str]:
        return [str(draft.header["phase"]) for draft in self.drafts]

    def body(self, index: int, part: str) -> bytes:
        return next((b.content for b in self.drafts[index].bodies if b.part == part), b"")


class Classifier:
    """The real scanner, or one that answers as told."""

    versions: Mapping[str, str] = {"always-on": SCANNER.version}

    def __init__(self) -> None:
        self.indeterminate = False

    async def classify(self, parts: Sequence[Part]) -> tuple[Finding, ...]:
        return self.classify_now(parts)

    async def classify_answer(self, parts: Sequence[Part]) -> tuple[Finding, ...]:
        return self.classify_now(parts)

    def classify_now(self, parts: Sequence[Part]) -> tuple[Finding, ...]:
        if self.indeterminate:
            return (
                Finding(
                    "inspection.incomplete", "d", "1", status=FindingStatus.INDETERMINATE, detail="raised"
                ),
            )
        return SCANNER.scan(parts)

    def open_inspector(self) -> Inspector[Channel]:
        return Inspector(SCANNER)

    def open_reader(self) -> SentenceReader | None:
        return None


@dataclass
class Script:
    """What an endpoint does when called."""

    status: int = 200
    body: bytes = b""
    chunks: tuple[bytes, ...] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    error: UpstreamError | None = None
    hangs: bool = False
    breaks: UpstreamError | None = None
    """Raised after the chunks."""


class Answer:
    """The `UpstreamAnswer` port over a script."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.status = script.status
        self.headers: Mapping[str, str] = script.headers
        self.closed = False

    async def read(self, limit: int) -> bytes:
        if len(self.script.body) > limit:
            raise UpstreamError("the answer is too long", sent=True)
        return self.script.body

    async def chunks(self) -> AsyncIterator[bytes]:
        for chunk in self.script.chunks or (self.script.body,):
            await asyncio.sleep(0)
            yield chunk
        if self.script.hangs:
            await asyncio.Event().wait()
        if self.script.breaks:
            raise self.script.breaks

    async def aclose(self) -> None:
        self.closed = True


class Upstream:
    """Endpoints by provider, each with a list of scripts; the last one repeats."""

    def __init__(self, **scripts: list[Script]) -> None:
        self.scripts = scripts
        self.calls: list[tuple[str, UpstreamRequest]] = []
        self.answers: list[Answer] = []

    async def call(self, endpoint: Endpoint, request: UpstreamRequest) -> UpstreamAnswer:
        self.calls.append((endpoint.id, request))
        todo = self.scripts[endpoint.provider]
        script = todo.pop(0) if len(todo) > 1 else todo[0]
        if script.hangs and script.chunks is None:
            await asyncio.Event().wait()
        if script.error:
            raise script.error
        answer = Answer(script)
        self.answers.append(answer)
        return answer

    async def aclose(self) -> None:
        """Nothing is held."""

    def sent(self, index: int = -1) -> Any:
        return msgspec.json.decode(self.calls[index][1].body)


class Reply:
    """A client that remembers what it got, and can leave."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.pieces: list[bytes] = []
        self.ended = False
        self.started = False
        self.gone = False
        self._waiting: asyncio.Task[Any] | None = None

    @contextmanager
    def while_connected(self) -> Iterator[None]:
        if self.gone:
            raise Disconnected
        self._waiting = asyncio.current_task()
        try:
            yield
        except asyncio.CancelledError:
            if self.gone:
                raise Disconnected from None
            raise
        finally:
            self._waiting = None

    def leave(self) -> None:
        self.gone = True
        if self._waiting:
            self._waiting.cancel()

    async def start(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        assert not self.started, "an answer starts once"
        self.started, self.status, self.headers = True, status, dict(headers)

    async def send(self, body: bytes) -> None:
        assert self.started
        assert not self.ended
        if self.gone:
            raise Disconnected
        self.pieces.append(body)

    async def end(self, body: bytes = b"") -> None:
        await self.send(body)
        self.ended = True

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Telemetry:
    """What operators saw."""

    def __init__(self) -> None:
        self.seen: list[Observation] = []

    def observe(self, event: Observation) -> None:
        self.seen.append(event)


@dataclass
class World:
    """Everything around one line."""

    upstream: Upstream
    endpoints: tuple[Endpoint, ...] = (endpoint(),)
    clock: Clock = field(default_factory=Clock)
    ids: Ids = field(default_factory=Ids)
    keys: Keys = field(default_factory=Keys)
    evidence: Evidence = field(default_factory=Evidence)
    classifier: Classifier = field(default_factory=Classifier)
    telemetry: Telemetry = field(default_factory=Telemetry)
    bundle: Bundle = field(default_factory=lambda: STARTER)
    limits: Limits = Limits()
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def line(self) -> Line:
        line = Line(
            clock=self.clock,
            ids=self.ids,
            draw=lambda: 0.0,
            keys=self.keys,
            dialects=DIALECTS,
            classifier=self.classifier,
            bundle=self.bundle,
            catalogue=Catalogue(self.endpoints),
            evidence=self.evidence,
            upstream=self.upstream,
            telemetry=self.telemetry,
            token_key=hashlib.sha256(b"tokens").digest(),
            limits=self.limits,
        )
        return replace(line, **self.changes)

    async def ask(
        self, path: str, body: Any, *, reply: Reply | None = None, method: str = "POST", **headers: str
    ) -> Reply:
        """Send one request down the line and return what the client got."""
        reply = reply or Reply()
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        inbound = Inbound(
            method=method,
            path=path,
            query="",
            headers={"authorization": f"Bearer {KEY}", **named},
            body=raw,
            received_us=self.clock.now_us(),
            started_ns=self.clock.ticks_ns(),
        )
        await govern(Case(inbound, self.line), reply)
        return reply


def policies(text: str) -> Bundle:
    """A bundle of ``text`` beside the starter's schema."""
    schema = PolicySource(None).files()["schema.cedarschema"]
    return load({"schema.cedarschema": schema, "test.cedar": text.encode()})
