"""Chat completions, simulated."""

from collections.abc import Iterator

import orjson

from magistrate.adapters.upstreams.simulator.conversation import (
    CREATED_S,
    Asked,
    Call,
    Json,
    Reply,
    digest_of,
    event,
    objects,
    text_of,
    whole_number,
)


def read(body: bytes, tree: Json, model: str, verb: str) -> Asked:  # noqa: ARG001  because every dialect is read alike
    said, returned = "", None
    for message in reversed(objects(tree.get("messages"))):
        role = message.get("role")
        if role in ("tool", "function"):
            returned = text_of(message.get("content")) if returned is None else returned
        elif role == "user":
            said = text_of(message.get("content"))
            break
    options = tree.get("stream_options")
    return Asked(
        model=str(tree.get("model", "")),
        said=said,
        returned=returned,
        stream=tree.get("stream") is True,
        size=len(body),
        digest=digest_of(body),
        choices=whole_number(tree.get("n"), 1, 128),
        tell_usage=isinstance(options, dict) and options.get("include_usage") is True,
    )


def finish(reply: Reply) -> str:
    if reply.truncated:
        return "length"
    return "tool_calls" if reply.calls else "stop"


def usage(reply: Reply) -> Json:
    return {
        "prompt_tokens": reply.input_tokens,
        "completion_tokens": reply.output_tokens,
        "total_tokens": reply.input_tokens + reply.output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": reply.reasoning_tokens},
    }


def _called(call: Call) -> Json:
    return {
        "id": f"call_{call.id}",
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


def whole(reply: Reply) -> bytes:
    message: dict[str, Json] = {
        "role": "assistant",
        "content": reply.text or None,
        "refusal": reply.refusal or None,
    }
    if reply.reason:
        message["reasoning_content"] = reply.reason
    if reply.calls:
        message["tool_calls"] = [_called(call) for call in reply.calls]
    end = finish(reply)
    return orjson.dumps(
        {
            "id": f"chatcmpl-{reply.id}",
            "object": "chat.completion",
            "created": CREATED_S,
            "model": reply.model,
            "system_fingerprint": "fp_simulator",
            "choices": [
                {"index": index, "message": message, "logprobs": None, "finish_reason": end}
                for index in range(reply.choices)
            ],
            "usage": usage(reply),
        }
    )


def stream(reply: Reply, asked: Asked) -> Iterator[bytes]:
    """Yield events; choices take turns."""
    head = {
        "id": f"chatcmpl-{reply.id}",
        "object": "chat.completion.chunk",
        "created": CREATED_S,
        "model": reply.model,
        "system_fingerprint": "fp_simulator",
    }
    everyone = range(reply.choices)

    def chunk(index: int, delta: Json, end: str | None = None) -> bytes:
        return event({**head, "choices": [{"index": index, "delta": delta, "finish_reason": end}]})

    for index in everyone:
        yield chunk(index, {"role": "assistant", "content": ""})
    for delta in _deltas(reply):
        for index in everyone:
            yield chunk(index, delta)
    end = finish(reply)
    for index in everyone:
        yield chunk(index, {}, end)
    if asked.tell_usage:
        yield event({**head, "choices": [], "usage": usage(reply)})
    yield b"data: [DONE]\n\n"


def _deltas(reply: Reply) -> Iterator[Json]:
    for piece in reply.pieces(reply.reason):
        yield {"reasoning_content": piece}
    for piece in reply.pieces(reply.refusal):
        yield {"refusal": piece}
    for piece in reply.pieces(reply.text):
        yield {"content": piece}
    for position, call in enumerate(reply.calls):
        opening = _called(Call(call.id, call.name, ""))
        yield {"tool_calls": [{"index": position, **opening}]}
        for piece in reply.pieces(call.arguments):
            yield {"tool_calls": [{"index": position, "function": {"arguments": piece}}]}


_TYPES = {400: "invalid_request_error", 401: "authentication_error", 404: "invalid_request_error",
          429: "rate_limit_error"}  # fmt: skip


def error(status: int, message: str) -> bytes:
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    code = "rate_limit_exceeded" if status == 429 else None
    return orjson.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}})
