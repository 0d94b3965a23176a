"""Anthropic messages: ``POST /v1/messages`` and ``/v1/messages/count_tokens``."""

from collections.abc import Mapping, Sequence

from magistrate.exchange.content import Answer, Exchange, ExchangeKind, Part, Role, Tree, Usage
from magistrate.exchange.errors import MalformedAnswer, Unreadable
from magistrate.exchange.outcome import Refusal
from magistrate.exchange.stream import Delta, StreamEvent
from magistrate.wire import anthropic_stream as streams
from magistrate.wire import openai_native as native
from magistrate.wire.anthropic_native import read_error as read_native_error
from magistrate.wire.anthropic_native import refuse as refuse_natively
from magistrate.wire.anthropic_native import usage_of
from magistrate.wire.anthropic_shapes import ANSWER, COUNT, REQUEST
from magistrate.wire.dialect import StreamReader
from magistrate.wire.events import EventReader
from magistrate.wire.strict import describe, dump, parse, parse_answer
from magistrate.wire.tree import rewrite

LIMITS = ("max_tokens",)


class AnthropicMessages:
    """The dialect ``anthropic.messages``. See `Dialect` for the contract."""

    name = "anthropic.messages"

    def read_request(self, body: bytes, params: Mapping[str, str]) -> Exchange:
        """Read a messages request, or a count request when ``params["verb"]`` is ``count_tokens``.

        Raises:
            Unreadable: with the place.
        """
        tree = parse(body)
        model = native.model_of(tree)
        parts: list[Part] = []
        REQUEST(tree, (), Role.METADATA, parts)
        counting = params.get("verb") == "count_tokens"
        return Exchange(
            kind=ExchangeKind.MODEL_CALL,
            dialect=self.name,
            operation="count_tokens" if counting else "messages",
            model=model,
            stream=native.flag(tree, "stream") and not counting,
            parts=tuple(parts),
            body=tree,
            tools=tools_of(tree),
            max_output_tokens=native.limit_of(tree, LIMITS),
        )

    def write_request(
        self, exchange: Exchange, rewrites: Mapping[int, str], *, model: str, cap: int | None = None
    ) -> bytes:
        """Serialise with rewrites, the endpoint's model name, and the lower of two output limits.

        A count takes no limit, so none is added to it.
        """
        tree = {**rewrite(exchange.body, exchange.parts, rewrites), "model": model}
        if cap is not None and exchange.operation != "count_tokens":
            tree.update(native.lowered(tree, LIMITS, cap))
        return dump(tree)

    def read_answer(self, body: bytes) -> Answer:
        """Read a message, or a count (which has no content). Raises `MalformedAnswer`."""
        tree = parse_answer(body)
        counted = "content" not in tree and "input_tokens" in tree
        parts: list[Part] = []
        try:
            (COUNT if counted else ANSWER)(tree, (), Role.METADATA, parts)
        except Unreadable as error:
            raise MalformedAnswer(describe(error)) from error
        return Answer(
            parts=tuple(parts),
            body=tree,
            model=native.text_of(tree, "model"),
            finish=native.text_of(tree, "stop_reason"),
            usage=Usage(input_tokens=native.count(tree["input_tokens"]))
            if counted
            else usage_of(tree.get("usage")),
        )

    def write_answer(self, answer: Answer, rewrites: Mapping[int, str]) -> bytes:
        return dump(rewrite(answer.body, answer.parts, rewrites))

    def read_error(self, status: int, body: bytes) -> tuple[str, bytes]:
        return read_native_error(status, body)

    def open_stream(self) -> StreamReader:
        return EventReader(streams.MessageReader().read)

    def write_event(self, event: StreamEvent, texts: Mapping[int, str], parts: Mapping[int, str]) -> bytes:
        return streams.write_event(event, texts, parts)

    def carry(self, template: StreamEvent, delta: Delta, text: str) -> bytes:
        return streams.carry(template, delta, text)

    def refuse(self, refusal: Refusal) -> bytes:
        return refuse_natively(refusal)

    def refuse_in_stream(self, refusal: Refusal, seen: Sequence[StreamEvent]) -> bytes:
        return streams.refuse(refusal, seen)


def tools_of(tree: Tree) -> tuple[str, ...]:
    """Return the names of the tools a request offers, and ``mcp:`` plus the name of each server it attaches."""
    names = [name for tool in tree.get("tools") or () if type(name := tool.get("name")) is str]
    names += [
        f"mcp:{name}" for each in tree.get("mcp_servers") or () if type(name := each.get("name")) is str
    ]
    return tuple(names)
