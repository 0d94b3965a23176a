"""OpenAI chat completions: ``POST /v1/chat/completions``."""

from collections.abc import Mapping, Sequence

from magistrate.exchange.content import Answer, Exchange, ExchangeKind, Json, Part, Path, Tree
from magistrate.exchange.errors import MalformedAnswer, Unreadable
from magistrate.exchange.outcome import Refusal
from magistrate.exchange.stream import Delta, StreamEvent
from magistrate.wire import openai_chat_stream as streams
from magistrate.wire import openai_native as native
from magistrate.wire.dialect import StreamReader
from magistrate.wire.events import EventReader
from magistrate.wire.openai_chat_shapes import ANSWER, REQUEST
from magistrate.wire.openai_logprobs import vouch
from magistrate.wire.shapes import METADATA
from magistrate.wire.strict import describe, dump, parse, parse_answer
from magistrate.wire.tree import rewrite

LIMITS = ("max_completion_tokens", "max_tokens")


class OpenAIChat:
    """The dialect ``openai.chat``. See `Dialect` for the contract."""

    name = "openai.chat"

    def read_request(
        self,
        body: bytes,
        params: Mapping[str, str],  # noqa: ARG002  because this path names nothing
    ) -> Exchange:
        """Read a chat completion request. Raises `Unreadable`."""
        tree = parse(body)
        model = native.model_of(tree)
        parts: list[Part] = []
        REQUEST(tree, (), METADATA, parts)
        return Exchange(
            kind=ExchangeKind.MODEL_CALL,
            dialect=self.name,
            operation="chat",
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
        """Read a whole answer, all choices. Raises `MalformedAnswer`."""
        tree = _without_foreign_tokens(parse_answer(body))
        parts: list[Part] = []
        try:
            ANSWER(tree, (), METADATA, parts)
        except Unreadable as error:
            raise MalformedAnswer(describe(error)) from error
        choices = tree["choices"]
        return Answer(
            parts=tuple(parts),
            body=tree,
            model=native.text_of(tree, "model"),
            fingerprint=native.text_of(tree, "system_fingerprint"),
            finish=native.text_of(choices[0], "finish_reason") if choices else "",
            usage=native.usage_of(tree),
        )

    def write_answer(self, answer: Answer, rewrites: Mapping[int, str]) -> bytes:
        """Serialise with rewrites; a choice that is rewritten loses its token texts."""
        tree = rewrite(answer.body, answer.parts, rewrites)
        touched = {answer.parts[index].path[1] for index in rewrites if _in_choice(answer.parts[index].path)}
        return dump(without_tokens(tree, touched))

    def read_error(self, status: int, body: bytes) -> tuple[str, bytes]:
        return native.read_error(status, body)

    def open_stream(self) -> StreamReader:
        return EventReader(streams.ChunkReader().read)

    def write_event(self, event: StreamEvent, texts: Mapping[int, str], parts: Mapping[int, str]) -> bytes:
        return streams.write_event(event, texts, parts)

    def carry(self, template: StreamEvent, delta: Delta, text: str) -> bytes:
        return streams.carry(template, delta, text)

    def refuse(self, refusal: Refusal) -> bytes:
        return native.refuse(refusal)

    def refuse_in_stream(self, refusal: Refusal, seen: Sequence[StreamEvent]) -> bytes:
        return streams.refuse(refusal, seen)


def tools_of(tree: Tree) -> tuple[str, ...]:
    """Return the names of the tools a request offers; a hosted tool goes by its type."""
    names: list[str] = []
    for tool in tree.get("tools") or ():
        kind = tool.get("type")
        inner = tool.get(kind) if type(kind) is str else None
        name = inner.get("name") if type(inner) is dict else kind
        if type(name) is str:
            names.append(name)
    names += [name for tool in tree.get("functions") or () if type(name := tool.get("name")) is str]
    return tuple(names)


def _in_choice(path: Path) -> bool:
    return len(path) > 1 and path[0] == "choices"


def without_tokens(tree: Tree, positions: set[Json]) -> Tree:
    """Return ``tree`` with ``logprobs`` null in the choices at ``positions``."""
    if not positions:
        return tree
    return {
        **tree,
        "choices": [
            {**choice, "logprobs": None} if position in positions and "logprobs" in choice else choice
            for position, choice in enumerate(tree["choices"])
        ],
    }


def _without_foreign_tokens(tree: Tree) -> Tree:
    choices = tree.get("choices")
    if type(choices) is not list:
        return tree
    foreign: set[Json] = set()
    for position, choice in enumerate(choices):
        if type(choice) is not dict or choice.get("logprobs") is None:
            continue
        message = choice.get("message")
        texts = message if type(message) is dict else {}
        known = {name: texts[name] for name in ("content", "refusal") if type(texts.get(name)) is str}
        if not vouch(choice["logprobs"], known):
            foreign.add(position)
    return without_tokens(tree, foreign)
