"""OpenAI embeddings: ``POST /v1/embeddings``."""

from collections.abc import Mapping, Sequence

from magistrate.exchange.content import Answer, Exchange, ExchangeKind, Json, Part, PartKind, Path, Role
from magistrate.exchange.errors import MalformedAnswer, Unreadable
from magistrate.exchange.outcome import Refusal
from magistrate.exchange.stream import Delta, StreamEvent
from magistrate.wire import openai_native as native
from magistrate.wire.dialect import StreamReader
from magistrate.wire.shapes import (
    array,
    either,
    ident,
    is_base64,
    opaque_part,
    record,
    scalar,
    scalars,
    text,
    word,
    wrong,
)
from magistrate.wire.strict import describe, dump, parse, parse_answer
from magistrate.wire.tree import rewrite, sweep_into

TOKENS = "application/x-tokens"
"""Media type under which an array of token numbers is filed: text, but in a code that no detector reads."""


def _inputs(value: Json, path: Path, role: Role, out: list[Part]) -> None:
    """An array of strings, an array of token numbers, or an array of such arrays."""
    if _numbers(value):
        out.append(opaque_part(dump(value).decode(), path, role, TOKENS))
        return
    for index, item in enumerate(value):
        here = (*path, index)
        if type(item) is str:
            out.append(Part(here, role, PartKind.TEXT, item))
        elif type(item) is list and _numbers(item):
            out.append(opaque_part(dump(item).decode(), here, role, TOKENS))
        elif type(item) is dict:
            sweep_into(item, here, role, out, PartKind.TEXT)
        else:
            raise wrong(item, here, "a string or an array of token numbers")


def _numbers(value: list[Json]) -> bool:
    return bool(value) and set(map(type, value)) == {int}


_REQUEST = record(
    {
        "model": ident,
        "input": either(string=text(role=Role.USER), items=_inputs),
        "encoding_format": word("float", "base64"),
        "dimensions": scalar,
        "user": ident,
        "input_type": ident,
    },
    required=("model", "input"),
    role=Role.USER,
)


def _vector(value: Json, path: Path, _role: Role, _out: list[Part]) -> None:
    """Numbers, or their bytes in base64: nothing that could be read."""
    if type(value) is list and set(map(type, value)) <= {int, float}:
        return
    if type(value) is not str or not is_base64(value):
        raise wrong(value, path, "an array of numbers or base64")


_ANSWER = record(
    {
        "object": word("list"),
        "model": ident,
        "id": ident,
        "usage": record(scalars("prompt_tokens", "total_tokens"), nullable=True),
        "data": array(record({"object": word("embedding"), "index": scalar, "embedding": _vector})),
    },
    required=("data",),
)


class OpenAIEmbeddings:
    """The dialect ``openai.embeddings``. See `Dialect` for the contract. It never streams."""

    name = "openai.embeddings"

    def read_request(
        self,
        body: bytes,
        params: Mapping[str, str],  # noqa: ARG002  because this path names nothing
    ) -> Exchange:
        """Read an embeddings request. Raises `Unreadable`."""
        tree = parse(body)
        parts: list[Part] = []
        _REQUEST(tree, (), Role.METADATA, parts)
        return Exchange(
            kind=ExchangeKind.MODEL_CALL,
            dialect=self.name,
            operation="embeddings",
            model=native.model_of(tree),
            stream=False,
            parts=tuple(parts),
            body=tree,
        )

    def write_request(
        self,
        exchange: Exchange,
        rewrites: Mapping[int, str],
        *,
        model: str,
        cap: int | None = None,  # noqa: ARG002  because an embedding has no output tokens
    ) -> bytes:
        return dump({**rewrite(exchange.body, exchange.parts, rewrites), "model": model})

    def read_answer(self, body: bytes) -> Answer:
        """Read the vectors. Raises `MalformedAnswer`."""
        tree = parse_answer(body)
        parts: list[Part] = []
        try:
            _ANSWER(tree, (), Role.METADATA, parts)
        except Unreadable as error:
            raise MalformedAnswer(describe(error)) from error
        model = native.text_of(tree, "model")
        return Answer(parts=tuple(parts), body=tree, model=model, usage=native.usage_of(tree))

    def write_answer(self, answer: Answer, rewrites: Mapping[int, str]) -> bytes:
        return dump(rewrite(answer.body, answer.parts, rewrites))

    def read_error(self, status: int, body: bytes) -> tuple[str, bytes]:
        return native.read_error(status, body)

    def open_stream(self) -> StreamReader:
        raise MalformedAnswer(_NO_STREAM)

    def write_event(self, event: StreamEvent, texts: Mapping[int, str], parts: Mapping[int, str]) -> bytes:
        raise NotImplementedError(_NO_STREAM)

    def carry(self, template: StreamEvent, delta: Delta, text: str) -> bytes:
        raise NotImplementedError(_NO_STREAM)

    def refuse(self, refusal: Refusal) -> bytes:
        return native.refuse(refusal)

    def refuse_in_stream(self, refusal: Refusal, seen: Sequence[StreamEvent]) -> bytes:
        raise NotImplementedError(_NO_STREAM)


_NO_STREAM = "an embedding is never streamed"
