"""The list of models: ``GET /v1/models``, in OpenAI's or Anthropic's shape. Magistrate answers it itself."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from magistrate.exchange.content import Answer, Exchange, ExchangeKind
from magistrate.exchange.errors import MalformedAnswer, Unreadable
from magistrate.exchange.outcome import Refusal
from magistrate.exchange.stream import Delta, StreamEvent
from magistrate.wire import openai_native as native
from magistrate.wire.dialect import StreamReader
from magistrate.wire.strict import dump


def list_models(names: Sequence[str], *, anthropic: bool, created_s: int = 0) -> bytes:
    """Spell the list. Clients that send ``anthropic-version`` expect Anthropic's shape, all others OpenAI's.

    ``created_s`` (Unix seconds) is one time for all, because providers' own dates are not ours to state.
    """
    if anthropic:
        return dump(
            {
                "data": [_anthropic(name, created_s) for name in names],
                "has_more": False,
                "first_id": names[0] if names else None,
                "last_id": names[-1] if names else None,
            }
        )
    return dump({"object": "list", "data": [_openai(name, created_s) for name in names]})


def _openai(name: str, created_s: int) -> dict[str, object]:
    return {"id": name, "object": "model", "created": created_s, "owned_by": "magistrate"}


def _anthropic(name: str, created_s: int) -> dict[str, object]:
    created = datetime.fromtimestamp(created_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": "model", "id": name, "display_name": name, "created_at": created}


class ModelsList:
    """The dialect ``openai.models``: a request without a body, answered from the catalogue, never sent on."""

    name = "openai.models"

    def read_request(
        self,
        body: bytes,
        params: Mapping[str, str],  # noqa: ARG002  because this path names nothing
    ) -> Exchange:
        """Read the request.

        Raises:
            Unreadable: it has a body, which nobody could have judged.
        """
        if body:
            raise Unreadable("a list of models is asked for without a body")
        return Exchange(
            kind=ExchangeKind.MODEL_CALL,
            dialect=self.name,
            operation="models",
            model="",
            stream=False,
            parts=(),
            body={},
        )

    def write_request(
        self, exchange: Exchange, rewrites: Mapping[int, str], *, model: str, cap: int | None = None
    ) -> bytes:
        raise NotImplementedError(_OURS)

    def read_answer(self, body: bytes) -> Answer:
        raise NotImplementedError(_OURS)

    def write_answer(self, answer: Answer, rewrites: Mapping[int, str]) -> bytes:
        raise NotImplementedError(_OURS)

    def read_error(self, status: int, body: bytes) -> tuple[str, bytes]:
        return native.read_error(status, body)

    def open_stream(self) -> StreamReader:
        raise MalformedAnswer(_OURS)

    def write_event(self, event: StreamEvent, texts: Mapping[int, str], parts: Mapping[int, str]) -> bytes:
        raise NotImplementedError(_OURS)

    def carry(self, template: StreamEvent, delta: Delta, text: str) -> bytes:
        raise NotImplementedError(_OURS)

    def refuse(self, refusal: Refusal) -> bytes:
        return native.refuse(refusal)

    def refuse_in_stream(self, refusal: Refusal, seen: Sequence[StreamEvent]) -> bytes:
        raise NotImplementedError(_OURS)


_OURS = "a list of models is answered here and never sent on"
