"""What we write ourselves, as the vendors' own clients read it. No socket: the transport is a function."""

import json

import anthropic
import httpx
import httpx2
import openai
import pytest

from magistrate.exchange.outcome import Code, Refusal
from magistrate.wire.anthropic_messages import AnthropicMessages
from magistrate.wire.models import list_models
from magistrate.wire.openai_chat import OpenAIChat

pytestmark = pytest.mark.requirement("P1")

CHAT, MESSAGES = OpenAIChat(), AnthropicMessages()
WITHHELD = Refusal(Code.OUTPUT_WITHHELD, "a secret was withheld", record="018f-rec")
DENIED = Refusal(Code.POLICY_DENIED, "card numbers stay here", record="018f-rec")
ASK = [{"role": "user", "content": "hi"}]


class Served:
    """Answers every request with one body, and counts how often it is asked."""

    def __init__(self, body, status=200, media="application/json"):
        self.body, self.status, self.media, self.asked = body, status, media, 0

    def answer(self, library):
        def serve(_request):
            self.asked += 1
            return library.Response(self.status, content=self.body, headers={"content-type": self.media})

        return library.Client(transport=library.MockTransport(serve))

    def openai(self):
        return openai.OpenAI(api_key="mag-x", base_url="http://gateway/v1", http_client=self.answer(httpx))

    def anthropic(self):
        return anthropic.Anthropic(
            api_key="mag-x", base_url="http://gateway", http_client=self.answer(httpx2)
        )


def sse(tree, named=False):
    name = f"event: {tree['type']}\n" if named else ""
    return f"{name}data: {json.dumps(tree)}\n\n".encode()


def relayed(dialect, raw, refusal):
    """The stream as a client gets it when it is refused after ``raw``."""
    events = dialect.open_stream().feed(raw)
    return b"".join(dialect.write_event(e, {}, {}) for e in events) + dialect.refuse_in_stream(
        refusal, events
    )


def test_the_openai_client_sees_a_refused_stream_end_in_content_filter():
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    raw = sse({**head, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hel"}}]})
    client = Served(relayed(CHAT, raw, WITHHELD), media="text/event-stream").openai()
    chunks = list(client.chat.completions.create(model="m", messages=ASK, stream=True))
    assert [c.choices[0].delta.content for c in chunks] == ["Hel", None]
    assert chunks[-1].choices[0].finish_reason == "content_filter"
    assert chunks[-1].model_extra["magistrate"]["record"] == "018f-rec"


def test_the_anthropic_client_sees_a_refused_stream_stop_with_refusal():
    message = {"id": "m1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None,
               "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 1}}  # fmt: skip
    raw = b"".join(
        sse(tree, named=True)
        for tree in (
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
        )
    )
    client = Served(relayed(MESSAGES, raw, WITHHELD), media="text/event-stream").anthropic()
    with client.messages.stream(model="m", max_tokens=9, messages=ASK) as stream:
        final = stream.get_final_message()
    assert final.stop_reason == "refusal"
    assert final.content[0].text == "Hel"
    assert "018f-rec" in final.stop_details.explanation
    assert final.usage.output_tokens == 1


def test_held_text_carried_late_reads_as_one_text():
    """What was held back and released when its channel closed looks like any other delta."""
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    said, end = CHAT.open_stream().feed(
        sse({**head, "choices": [{"index": 0, "delta": {"content": "hello"}}]})
        + sse({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    )
    wire = CHAT.write_event(said, {0: "he"}, {}) + CHAT.carry(said, said.deltas[0], "llo")
    wire += CHAT.write_event(end, {}, {}) + b"data: [DONE]\n\n"
    client = Served(wire, media="text/event-stream").openai()
    chunks = list(client.chat.completions.create(model="m", messages=ASK, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "hello"
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_the_openai_client_gets_a_refusal_as_its_own_error_and_does_not_retry():
    served = Served(CHAT.refuse(DENIED), DENIED.http_status)
    with pytest.raises(openai.PermissionDeniedError) as caught:
        served.openai().chat.completions.create(model="m", messages=ASK)
    assert caught.value.code == "policy_denied"
    assert "018f-rec" in caught.value.message
    assert served.asked == 1


def test_the_anthropic_client_gets_a_refusal_as_its_own_error_and_does_not_retry():
    served = Served(MESSAGES.refuse(DENIED), DENIED.http_status)
    with pytest.raises(anthropic.PermissionDeniedError) as caught:
        served.anthropic().messages.create(model="m", max_tokens=9, messages=ASK)
    assert caught.value.body["error"]["code"] == "policy_denied"
    assert "018f-rec" in caught.value.message
    assert served.asked == 1


def test_an_anthropic_error_before_the_message_is_raised():
    raw = MESSAGES.refuse_in_stream(WITHHELD, [])
    client = Served(raw, media="text/event-stream").anthropic()
    with pytest.raises(anthropic.APIStatusError, match="018f-rec"):
        list(client.messages.create(model="m", max_tokens=9, messages=ASK, stream=True))


def test_both_clients_list_the_models():
    openai_list = Served(list_models(["a", "b"], anthropic=False, created_s=1)).openai().models.list()
    assert [model.id for model in openai_list] == ["a", "b"]
    anthropic_list = Served(list_models(["a", "b"], anthropic=True, created_s=1)).anthropic().models.list()
    assert [model.id for model in anthropic_list] == ["a", "b"]


def test_every_body_the_openai_client_builds_is_read_whole():
    """The client's own serialisation, from its own arguments, keeps its meaning through the dialect."""
    seen = []

    def serve(request):
        seen.append(request.content)
        return httpx.Response(
            200, content=b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[]}'
        )

    client = openai.OpenAI(
        api_key="k", base_url="http://g/v1", http_client=httpx.Client(transport=httpx.MockTransport(serve))
    )
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    client.chat.completions.create(
        model="m", messages=ASK, tools=[tool], tool_choice="auto", max_tokens=5, extra_body={"x": 1}
    )
    exchange = CHAT.read_request(seen[0], {})
    assert exchange.tools == ("f",)
    assert json.loads(CHAT.write_request(exchange, {}, model="m")) == json.loads(seen[0])
