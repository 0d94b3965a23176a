"""OpenAI responses: ``POST /v1/responses``."""

from collections.abc import Mapping, Sequence

from magistrate.exchange.content import Answer, Exchange, ExchangeKind, Part, Tree
from magistrate.exchange.errors import MalformedAnswer, Unreadable
from magistrate.exchange.outcome import Refusal
from magistrate.exchange.stream import Delta, StreamEvent
from magistrate.wire import openai_native as native
from magistrate.wire import openai_responses_stream as streams
from magistrate.wire.dialect import StreamReader
from magistrate.wire.events import EventReader
from magistrate.wire.openai_responses_shapes import REQUEST, RESPONSE
from magistrate.wire.openai_responses_usage import finish_of, usage_of
from magistrate.wire.shapes import METADATA
from magistrate.wire.strict import describe, dump, parse, parse_answer
from magistrate.wire.tree import rewrite

LIMITS = ("max_output_tokens",)


class OpenAIResponses:
    """The dialect ``openai.responses``. See `Dialect` for the contract."""

    name = "openai.responses"

    def read_request(self, body: bytes, params: Mapping[str, str]) -> Exchange:
        """Read a request. What ``previous_response_id`` or ``conversation`` refer to was judged when it passed.

        Raises:
            Unreadable: with the place.
        """
        del params
        tree = parse(body)
        model = native.model_of(tree)
        parts: list[Part] = []
        REQUEST(tree, (), METADATA, parts)
        return Exchange(
            kind=ExchangeKind.MODEL_CALL,
            dialect=self.name,
            operation="responses",
            model=model,
            stream=native.flag(tree, "stream"),
            parts=tuple(parts),
            body=tree,
            tools=tools_of(tree),
            max_output_tokens=native.limit_of(tree, LIMITS),
        )

    def write_request(
        self, exchange: Exchange, rewrites: Mapping[int, str], *, model: str, cap: int | None = None
    ) -> bytes:
        """Serialise with rewrites, the endpoint's model name, and the lower of two output limits."""
        tree = {**rewrite(exchange.body, exchange.parts, rewrites), "model": model}
        if cap is not None:
            tree.update(native.lowered(tree, LIMITS, cap))
        return dump(tree)

    def read_answer(self, body: bytes) -> Answer:
        """Read a whole response. Raises `MalformedAnswer`."""
        tree = parse_answer(body)
        parts: list[Part] = []
        try:
            RESPONSE(tree, (), METADATA, parts)
        except Unreadable as error:
            raise MalformedAnswer(describe(error)) from error
        if type(tree.get("output")) is not list:
            raise MalformedAnswer("the answer is no response: `output` is missing")
        return Answer(
            parts=tuple(parts),
            body=tree,
            model=native.text_of(tree, "model"),
            finish=finish_of(tree),
            usage=usage_of(tree),
        )

    def write_answer(self, answer: Answer, rewrites: Mapping[int, str]) -> bytes:
        """Serialise with rewrites; a text that is rewritten loses its token texts."""
        tree = rewrite(answer.body, answer.parts, rewrites)
        streams.forget_tokens(tree, [answer.parts[index].path for index in rewrites])
        return dump(tree)

    def read_error(self, status: int, body: bytes) -> tuple[str, bytes]:
        return native.read_error(status, body)

    def open_stream(self) -> StreamReader:
        return EventReader(streams.ResponseReader().read)

    def write_event(self, event: StreamEvent, texts: Mapping[int, str], parts: Mapping[int, str]) -> bytes:
        return streams.write_event(event, texts, parts)

    def carry(self, template: StreamEvent, delta: Delta, text: str) -> bytes:
        return streams.carry(template, delta, text)

    def refuse(self, refusal: Refusal) -> bytes:
        return native.refuse(refusal)

    def refuse_in_stream(self, refusal: Refusal, seen: Sequence[StreamEvent]) -> bytes:
        return streams.refuse(refusal, seen)


def tools_of(tree: Tree) -> tuple[str, ...]:
    """Return the names of the tools a request offers: ``mcp:`` plus a server's label, else a name or a type."""
    names: list[str] = []
    for tool in tree.get("tools") or ():
        kind = tool.get("type")
        label = tool.get("server_label")
        name = f"mcp:{label}" if kind == "mcp" and type(label) is str else tool.get("name", kind)
        if type(name) is str:
            names.append(name)
    return tuple(names)
