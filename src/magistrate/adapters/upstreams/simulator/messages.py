"""Anthropic messages, simulated."""

from collections.abc import Iterator

import orjson

from magistrate.adapters.upstreams.simulator.conversation import (
    Asked,
    Json,
    Reply,
    digest_of,
    event,
    objects,
    text_of,
)

SIGNATURE = "c2ltdWxhdG9y"
"""What stands for a thinking block's signature: `simulator` in base64."""


def read(body: bytes, tree: Json, model: str, verb: str) -> Asked:  # noqa: ARG001  because every dialect is read alike
    said, returned = "", None
    for message in reversed(objects(tree.get("messages"))):
        if message.get("role") != "user":
            continue
        content = message.get("content")
        results = [block for block in objects(content) if block.get("type") == "tool_result"]
        if results:
            if returned is None:
                returned = "\n".join(text_of(block.get("content")) for block in results)
            continue
        said = text_of(content)
        break
    return Asked(
        model=str(tree.get("model", "")),
        said=said,
        returned=returned,
        stream=tree.get("stream") is True,
        size=len(body),
        digest=digest_of(body),
    )


def count(asked: Asked) -> bytes:
    """Answer ``/v1/messages/count_tokens``."""
    return orjson.dumps({"input_tokens": asked.size // 4 + 1})


def _stop(reply: Reply) -> str:
    if reply.refusal:
        return "refusal"
    if reply.truncated:
        return "max_tokens"
    return "tool_use" if reply.calls else "end_turn"


def _usage(reply: Reply) -> dict[str, Json]:
    return {
        "input_tokens": reply.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": reply.output_tokens,
    }


def whole(reply: Reply) -> bytes:
    content: list[Json] = []
    if reply.reason:
        content.append({"type": "thinking", "thinking": reply.reason, "signature": SIGNATURE})
    if text := reply.text or reply.refusal:
        content.append({"type": "text", "text": text})
    content += [
        {"type": "tool_use", "id": f"toolu_{call.id}", "name": call.name, "input": call.parsed()}
        for call in reply.calls
    ]
    return orjson.dumps(
        {
            "id": f"msg_{reply.id}",
            "type": "message",
            "role": "assistant",
            "model": reply.model,
            "content": content,
            "stop_reason": _stop(reply),
            "stop_sequence": None,
            "usage": _usage(reply),
        }
    )


def _send(kind: str, **fields: Json) -> bytes:
    return event({"type": kind, **fields}, kind)


def stream(reply: Reply, asked: Asked) -> Iterator[bytes]:  # noqa: ARG001  because every dialect streams alike
    yield _send(
        "message_start",
        message={
            "id": f"msg_{reply.id}",
            "type": "message",
            "role": "assistant",
            "model": reply.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {**_usage(reply), "output_tokens": 1},
        },
    )
    yield _send("ping")
    for index, (block, deltas) in enumerate(_blocks(reply)):
        yield _send("content_block_start", index=index, content_block=block)
        for delta in deltas:
            yield _send("content_block_delta", index=index, delta=delta)
        yield _send("content_block_stop", index=index)
    yield _send(
        "message_delta",
        delta={"stop_reason": _stop(reply), "stop_sequence": None},
        usage={"output_tokens": reply.output_tokens},
    )
    yield _send("message_stop")


def _blocks(reply: Reply) -> Iterator[tuple[Json, Iterator[Json]]]:
    if reply.reason:
        yield {"type": "thinking", "thinking": "", "signature": ""}, _thoughts(reply)
    if text := reply.text or reply.refusal:
        pieces = reply.pieces(text)
        yield {"type": "text", "text": ""}, ({"type": "text_delta", "text": piece} for piece in pieces)
    for call in reply.calls:
        block = {"type": "tool_use", "id": f"toolu_{call.id}", "name": call.name, "input": {}}
        pieces = reply.pieces(call.arguments)
        yield block, ({"type": "input_json_delta", "partial_json": piece} for piece in pieces)


def _thoughts(reply: Reply) -> Iterator[Json]:
    for piece in reply.pieces(reply.reason):
        yield {"type": "thinking_delta", "thinking": piece}
    yield {"type": "signature_delta", "signature": SIGNATURE}


_TYPES = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error",
          404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error",
          529: "overloaded_error"}  # fmt: skip


def error(status: int, message: str) -> bytes:
    kind = _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return orjson.dumps(
        {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_simulator"}
    )
