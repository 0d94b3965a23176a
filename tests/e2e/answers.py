"""What a scripted model says, spelled out in each wire format as the real endpoints spell it."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

CREATED = 1_790_000_000


@dataclass(frozen=True)
class Tool:
    """A tool call the model makes."""

    name: str
    arguments: dict[str, Any]
    id: str = "call_1"


@dataclass(frozen=True)
class Answer:
    """One scripted answer. ``pieces`` splits the text of a stream; without it the text goes word by word.

    ``status`` other than 200 sends ``body`` (or the dialect's native error). ``hang`` sends nothing, ever.
    ``cut_after`` drops the connection after that many stream events (or before any body, when not streaming).
    """

    text: str = ""
    pieces: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    thinking: str = ""
    signature: str = ""
    status: int = 200
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    hang: bool = False
    cut_after: int | None = None
    pace_s: float = 0.0
    """Seconds between two events of a stream."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Unknown fields put on the top level of a whole answer: the future, as seen from here."""

    def split(self) -> tuple[str, ...]:
        if self.pieces:
            return self.pieces
        words = self.text.split(" ")
        return tuple(w if i == 0 else " " + w for i, w in enumerate(words)) if self.text else ()


def _tokens(text: str) -> int:
    return max(1, len(text) // 4)


def _data(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def _named(value: dict[str, Any]) -> bytes:
    return b"event: " + value["type"].encode() + b"\n" + _data(value)


# --- openai.chat -------------------------------------------------------------------------------------------------


def _chat_tools(answer: Answer) -> list[dict[str, Any]]:
    return [
        {
            "id": t.id,
            "type": "function",
            "function": {"name": t.name, "arguments": json.dumps(t.arguments)},
        }
        for t in answer.tools
    ]


def chat_whole(answer: Answer, asked: dict[str, Any]) -> dict[str, Any]:
    text = answer.text or "".join(answer.pieces)
    message: dict[str, Any] = {"role": "assistant", "content": text or None, "refusal": None}
    if answer.tools:
        message["tool_calls"] = _chat_tools(answer)
    choice = {
        "message": message,
        "finish_reason": "tool_calls" if answer.tools else "stop",
        "logprobs": None,
    }
    used = _tokens(text)
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": CREATED,
        "model": asked.get("model", "m") + "-2026-08-07",
        "choices": [{"index": i, **choice} for i in range(asked.get("n") or 1)],
        "usage": {"prompt_tokens": 7, "completion_tokens": used, "total_tokens": 7 + used},
        "system_fingerprint": "fp_scripted",
        **answer.extra,
    }


def chat_stream(answer: Answer, asked: dict[str, Any]) -> Iterator[bytes]:
    def chunk(choices: list[dict[str, Any]], **more: Any) -> bytes:
        return _data(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion.chunk",
                "created": CREATED,
                "model": asked.get("model", "m") + "-2026-08-07",
                "system_fingerprint": "fp_scripted",
                "choices": choices,
                **more,
            }
        )

    def delta(index: int, value: dict[str, Any], finish: str | None = None) -> bytes:
        return chunk([{"index": index, "delta": value, "logprobs": None, "finish_reason": finish}])

    count = asked.get("n") or 1
    for n in range(count):
        yield delta(n, {"role": "assistant", "content": "" if not answer.tools else None, "refusal": None})
    for piece in answer.split():
        for n in range(count):
            yield delta(n, {"content": piece})
    for i, call in enumerate(_chat_tools(answer)):
        arguments = call["function"]["arguments"]
        call["function"]["arguments"] = ""
        yield delta(0, {"tool_calls": [{"index": i, **call}]})
        for at in range(0, len(arguments), 9):
            yield delta(0, {"tool_calls": [{"index": i, "function": {"arguments": arguments[at : at + 9]}}]})
    for n in range(count):
        yield delta(n, {}, "tool_calls" if answer.tools else "stop")
    if (asked.get("stream_options") or {}).get("include_usage"):
        used = _tokens(answer.text)
        yield chunk([], usage={"prompt_tokens": 7, "completion_tokens": used, "total_tokens": 7 + used})
    yield b"data: [DONE]\n\n"


# --- openai.responses --------------------------------------------------------------------------------------------


def _responses_items(answer: Answer) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    text = answer.text or "".join(answer.pieces)
    if text:
        content = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        items.append(
            {
                "id": "msg_1",
                "type": "message",
                "status": "completed",
                "role": "assistant",
                "content": [content],
            }
        )
    items += [
        {
            "id": f"fc_{i}",
            "type": "function_call",
            "status": "completed",
            "call_id": t.id,
            "name": t.name,
            "arguments": json.dumps(t.arguments),
        }
        for i, t in enumerate(answer.tools, 1)
    ]
    return items


def responses_whole(answer: Answer, asked: dict[str, Any], status: str = "completed") -> dict[str, Any]:
    items = _responses_items(answer) if status == "completed" else []
    used = _tokens(answer.text)
    usage = {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": used,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 7 + used,
    }
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": asked.get("instructions"),
        "max_output_tokens": asked.get("max_output_tokens"),
        "model": asked.get("model", "m") + "-2026-08-07",
        "output": items,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": 1.0,
        "text": asked.get("text") or {"format": {"type": "text"}},
        "tool_choice": asked.get("tool_choice", "auto"),
        "tools": asked.get("tools", []),
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage if status == "completed" else None,
        "user": None,
        "metadata": {},
        **answer.extra,
    }


def responses_stream(answer: Answer, asked: dict[str, Any]) -> Iterator[bytes]:
    number = -1

    def event(kind: str, **more: Any) -> bytes:
        nonlocal number
        number += 1
        return _named({"type": kind, "sequence_number": number, **more})

    begun = responses_whole(answer, asked, "in_progress")
    yield event("response.created", response=begun)
    yield event("response.in_progress", response=begun)
    for at, item in enumerate(_responses_items(answer)):
        where = {"output_index": at, "item_id": item["id"]}
        if item["type"] == "message":
            part = item["content"][0]
            yield event(
                "response.output_item.added",
                output_index=at,
                item={**item, "status": "in_progress", "content": []},
            )
            yield event("response.content_part.added", **where, content_index=0, part={**part, "text": ""})
            for piece in answer.split():
                yield event("response.output_text.delta", **where, content_index=0, delta=piece, logprobs=[])
            yield event("response.output_text.done", **where, content_index=0, text=part["text"], logprobs=[])
            yield event("response.content_part.done", **where, content_index=0, part=part)
        else:
            arguments = item["arguments"]
            yield event(
                "response.output_item.added",
                output_index=at,
                item={**item, "status": "in_progress", "arguments": ""},
            )
            for i in range(0, len(arguments), 9):
                yield event("response.function_call_arguments.delta", **where, delta=arguments[i : i + 9])
            yield event(
                "response.function_call_arguments.done", **where, name=item["name"], arguments=arguments
            )
        yield event("response.output_item.done", output_index=at, item=item)
    yield event("response.completed", response=responses_whole(answer, asked))


# --- anthropic.messages ------------------------------------------------------------------------------------------


def _blocks(answer: Answer) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if answer.thinking:
        blocks.append({"type": "thinking", "thinking": answer.thinking, "signature": answer.signature})
    if text := answer.text or "".join(answer.pieces):
        blocks.append({"type": "text", "text": text})
    blocks += [{"type": "tool_use", "id": t.id, "name": t.name, "input": t.arguments} for t in answer.tools]
    return blocks


def messages_whole(answer: Answer, asked: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": asked.get("model", "m"),
        "content": _blocks(answer),
        "stop_reason": "tool_use" if answer.tools else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 7,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": _tokens(answer.text),
        },
        **answer.extra,
    }


def messages_stream(answer: Answer, asked: dict[str, Any]) -> Iterator[bytes]:
    whole = messages_whole(answer, asked)
    begun = {**whole, "content": [], "stop_reason": None}
    yield _named({"type": "message_start", "message": begun})
    yield _named({"type": "ping"})
    for at, block in enumerate(whole["content"]):
        yield from _block_events(at, block, answer)
    yield _named(
        {
            "type": "message_delta",
            "delta": {"stop_reason": whole["stop_reason"], "stop_sequence": None},
            "usage": {"output_tokens": whole["usage"]["output_tokens"]},
        }
    )
    yield _named({"type": "message_stop"})


def _block_events(at: int, block: dict[str, Any], answer: Answer) -> Iterator[bytes]:
    def delta(value: dict[str, Any]) -> bytes:
        return _named({"type": "content_block_delta", "index": at, "delta": value})

    empty = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}
    start = {**block, **empty[block["type"]]}
    yield _named({"type": "content_block_start", "index": at, "content_block": start})
    if block["type"] == "text":
        for piece in answer.split():
            yield delta({"type": "text_delta", "text": piece})
    elif block["type"] == "thinking":
        for word in block["thinking"].split(" "):
            yield delta({"type": "thinking_delta", "thinking": word + " "})
        yield delta({"type": "signature_delta", "signature": block["signature"]})
    else:
        yield delta({"type": "input_json_delta", "partial_json": ""})
        arguments = json.dumps(block["input"])
        for i in range(0, len(arguments), 9):
            yield delta({"type": "input_json_delta", "partial_json": arguments[i : i + 9]})
    yield _named({"type": "content_block_stop", "index": at})


# --- the rest ----------------------------------------------------------------------------------------------------


def count_tokens(answer: Answer, asked: dict[str, Any]) -> dict[str, Any]:
    return {"input_tokens": _tokens(json.dumps(asked.get("messages", []))), **answer.extra}


def embeddings(answer: Answer, asked: dict[str, Any]) -> dict[str, Any]:
    texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]

    def vector(text: object) -> list[float]:
        return [byte / 256 for byte in hashlib.sha256(str(text).encode()).digest()[:8]]

    return {
        "object": "list",
        "model": asked["model"],
        "data": [{"object": "embedding", "index": i, "embedding": vector(t)} for i, t in enumerate(texts)],
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
        **answer.extra,
    }


def native_error(dialect: str, status: int) -> dict[str, Any]:
    """Return a provider's own error body for ``status``."""
    if dialect.startswith("anthropic"):
        kind = {429: "rate_limit_error", 529: "overloaded_error"}.get(status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": "scripted failure"}, "request_id": "r1"}
    return {"error": {"message": "scripted failure", "type": "server_error", "param": None, "code": None}}


WHOLE = {
    "openai.chat": chat_whole,
    "openai.responses": responses_whole,
    "anthropic.messages": messages_whole,
    "anthropic.count_tokens": count_tokens,
    "openai.embeddings": embeddings,
}
STREAM = {
    "openai.chat": chat_stream,
    "openai.responses": responses_stream,
    "anthropic.messages": messages_stream,
}
