"""Gemini: ``generateContent``, ``streamGenerateContent`` (with ``alt=sse``) and ``countTokens``."""

from collections.abc import Mapping, Sequence

from magistrate.exchange.content import Answer, Exchange, ExchangeKind, Json, Part, Tree, Usage
from magistrate.exchange.errors import MalformedAnswer, Unreadable
from magistrate.exchange.outcome import Refusal
from magistrate.exchange.stream import Delta, StreamEvent
from magistrate.wire import gemini_native as native
from magistrate.wire import gemini_stream as streams
from magistrate.wire.dialect import StreamReader
from magistrate.wire.gemini_logprobs import drop_foreign_tokens
from magistrate.wire.gemini_names import get, objects, snake, spelled, text_of
from magistrate.wire.gemini_shapes import ANSWER, COUNT, COUNT_REQUEST, REQUEST
from magistrate.wire.openai_native import count, limit_of, lowered
from magistrate.wire.shapes import METADATA
from magistrate.wire.strict import describe, dump, parse, parse_answer
from magistrate.wire.tree import rewrite

_CONFIG, _LIMIT, _NESTED = "generationConfig", "maxOutputTokens", "generateContentRequest"
_KNOWN = ("candidates", "promptFeedback", "usageMetadata", "totalTokens")


class Gemini:
    """The dialect ``gemini``. See `Dialect` for the contract."""

    name = "gemini"

    def read_request(self, body: bytes, params: Mapping[str, str]) -> Exchange:
        """Read a request; ``params`` hold the ``model`` and ``verb`` that the path names.

        Raises:
            Unreadable: with the place.
        """
        verb = params.get("verb", "generateContent")
        counting = verb == "countTokens"
        tree = parse(body)
        parts: list[Part] = []
        (COUNT_REQUEST if counting else REQUEST)(tree, (), METADATA, parts)
        inner = get(tree, _NESTED) if counting else None
        asked = inner if type(inner) is dict else tree
        if "contents" not in asked:
            raise Unreadable("`contents` is missing", ("contents",))
        return Exchange(
            kind=ExchangeKind.MODEL_CALL,
            dialect=self.name,
            operation="count_tokens" if counting else "generate",
            model=params.get("model", ""),
            stream=verb == "streamGenerateContent",
            parts=tuple(parts),
            body=tree,
            tools=tools_of(asked),
            max_output_tokens=_limit(asked),
        )

    def write_request(
        self, exchange: Exchange, rewrites: Mapping[int, str], *, model: str, cap: int | None = None
    ) -> bytes:
        """Serialise with rewrites and the lower of two output limits.

        The path names the model; a ``model`` in the body, which only counts need, becomes the endpoint's too. A count
        takes no limit, so none is added to it.
        """
        tree = _with_model(rewrite(exchange.body, exchange.parts, rewrites), model)
        nested = spelled(tree, _NESTED)
        if type(tree.get(nested)) is dict:
            tree[nested] = _with_model(tree[nested], model)
        if cap is not None and exchange.operation != "count_tokens":
            name = spelled(tree, _CONFIG)
            config = dict(tree.get(name) or {})
            tree[name] = {**config, **lowered(config, (spelled(config, _LIMIT),), cap)}
        return dump(tree)

    def read_answer(self, body: bytes) -> Answer:
        """Read a whole answer, all candidates, or a count. Raises `MalformedAnswer`."""
        tree = parse_answer(body)
        if not any(spelled(tree, name) in tree for name in _KNOWN):
            raise MalformedAnswer("the answer holds no candidates, no feedback and no count")
        counted = "candidates" not in tree and spelled(tree, "totalTokens") in tree
        for candidate in objects(tree.get("candidates")):
            drop_foreign_tokens(candidate, alternatives=True)
        parts: list[Part] = []
        try:
            (COUNT if counted else ANSWER)(tree, (), METADATA, parts)
        except Unreadable as error:
            raise MalformedAnswer(describe(error)) from error
        return Answer(
            parts=tuple(parts),
            body=tree,
            model=text_of(tree, "modelVersion"),
            finish=_finish(tree),
            usage=Usage(input_tokens=count(get(tree, "totalTokens")))
            if counted
            else native.usage_of(get(tree, "usageMetadata")),
        )

    def write_answer(self, answer: Answer, rewrites: Mapping[int, str]) -> bytes:
        """Serialise with rewrites; a candidate that is rewritten loses its token texts."""
        tree = rewrite(answer.body, answer.parts, rewrites)
        return dump(streams.without_tokens(tree, [answer.parts[index].path for index in rewrites]))

    def read_error(self, status: int, body: bytes) -> tuple[str, bytes]:
        return native.read_error(status, body)

    def open_stream(self) -> StreamReader:
        return streams.ChunkReader()

    def write_event(self, event: StreamEvent, texts: Mapping[int, str], parts: Mapping[int, str]) -> bytes:
        return streams.write_event(event, texts, parts)

    def carry(self, template: StreamEvent, delta: Delta, text: str) -> bytes:
        return streams.carry(template, delta, text)

    def refuse(self, refusal: Refusal) -> bytes:
        return native.refuse(refusal)

    def refuse_in_stream(self, refusal: Refusal, seen: Sequence[StreamEvent]) -> bytes:
        return streams.refuse(refusal, seen)


def tools_of(tree: Tree) -> tuple[str, ...]:
    """Return the names of the functions a request offers; a hosted tool goes by its field's name."""
    names: list[str] = []
    for tool in objects(tree.get("tools")):
        functions = spelled(tool, "functionDeclarations")
        names += [name for each in objects(tool.get(functions)) if type(name := each.get("name")) is str]
        names += [snake(key) for key in tool if key != functions]
    return tuple(names)


def _limit(tree: Tree) -> int | None:
    config = get(tree, _CONFIG)
    return limit_of(config, (_LIMIT, snake(_LIMIT))) if type(config) is dict else None


def _with_model(tree: Tree, model: str) -> Tree:
    return {**tree, "model": f"models/{model}"} if "model" in tree else dict(tree)


def _finish(tree: Tree) -> str:
    candidates: list[Json] = objects(tree.get("candidates"))
    if candidates:
        return text_of(candidates[0], "finishReason")
    return text_of(get(tree, "promptFeedback"), "blockReason")
