"""OpenAI responses, simulated."""

from collections.abc import Iterator

import orjson

from magistrate.adapters.upstreams.simulator import chat
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
)

error = chat.error


def read(body: bytes, tree: Json, model: str, verb: str) -> Asked:  # noqa: ARG001  because every dialect is read alike
    given = tree.get("input")
    said, returned = (given, None) if isinstance(given, str) else _last(given)
    return Asked(
        model=str(tree.get("model", "")),
        said=said,
        returned=returned,
        stream=tree.get("stream") is True,
        size=len(body),
        digest=digest_of(body),
    )


def _last(given: Json) -> tuple[str, str | None]:
    """Return the last user message's text, and the results of the tools called after it."""
    returned = None
    for item in reversed(objects(given)):
        if str(item.get("type")).endswith("_output"):
            returned = text_of(item.get("output")) if returned is None else returned
        elif item.get("role") == "user":
            return text_of(item.get("content")), returned
    return "", returned


def _item_id(reply: Reply, kind: str, index: int) -> str:
    return f"{kind}_{reply.id}{index}"


def _items(reply: Reply) -> list[Json]:
    """Return the output items, complete."""
    items: list[Json] = []
    if reply.reason:
        summary = [{"type": "summary_text", "text": reply.reason}]
        items.append({"id": _item_id(reply, "rs", 0), "type": "reasoning", "summary": summary})
    if reply.text or reply.refusal:
        content = [_refused(reply.refusal) if reply.refusal else _spoken(reply.text)]
        items.append(
            {
                "id": _item_id(reply, "msg", len(items)),
                "type": "message",
                "status": "completed",
                "role": "assistant",
                "content": content,
            }
        )
    items += [_called(reply, call, len(items) + number) for number, call in enumerate(reply.calls)]
    return items


def _spoken(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _refused(text: str) -> Json:
    return {"type": "refusal", "refusal": text}


def _called(reply: Reply, call: Call, index: int) -> Json:
    return {
        "id": _item_id(reply, "fc", index),
        "type": "function_call",
        "status": "completed",
        "call_id": f"call_{call.id}",
        "name": call.name,
        "arguments": call.arguments,
    }


def _response(reply: Reply, status: str, output: list[Json]) -> dict[str, Json]:
    ended = status != "in_progress"
    return {
        "id": f"resp_{reply.id}",
        "object": "response",
        "created_at": CREATED_S,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": None,
        "metadata": {},
        "model": reply.model,
        "output": output,
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": _usage(reply) if ended else None,
    }


def _usage(reply: Reply) -> Json:
    return {
        "input_tokens": reply.input_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": reply.output_tokens,
        "output_tokens_details": {"reasoning_tokens": reply.reasoning_tokens},
        "total_tokens": reply.input_tokens + reply.output_tokens,
    }


def _status(reply: Reply) -> str:
    return "incomplete" if reply.truncated else "completed"


def whole(reply: Reply) -> bytes:
    return orjson.dumps(_response(reply, _status(reply), _items(reply)))


def stream(reply: Reply, asked: Asked) -> Iterator[bytes]:  # noqa: ARG001  because every dialect streams alike
    opening = _response(reply, "in_progress", [])
    items = _items(reply)
    status = _status(reply)
    events = _lifecycle(reply, items)
    number = 0
    for kind in ("response.created", "response.in_progress"):
        yield event({"type": kind, "sequence_number": number, "response": opening}, kind)
        number += 1
    for kind, fields in events:
        yield event({"type": kind, "sequence_number": number, **fields}, kind)
        number += 1
    kind = f"response.{status}"
    yield event({"type": kind, "sequence_number": number, "response": _response(reply, status, items)}, kind)


def _lifecycle(reply: Reply, items: list[Json]) -> Iterator[tuple[str, dict[str, Json]]]:
    for index, item in enumerate(items):
        kind = item["type"]
        yield "response.output_item.added", {"output_index": index, "item": _unfilled(item)}
        place = {"item_id": item["id"], "output_index": index}
        if kind == "function_call":
            yield from _growing(
                reply, "response.function_call_arguments", place, "arguments", item["arguments"]
            )
        elif kind == "message":
            yield from _content(reply, place, item["content"][0])
        else:
            yield from _summary(reply, place, item["summary"][0])
        yield "response.output_item.done", {"output_index": index, "item": item}


_EMPTY: dict[str, tuple[str, Json]] = {
    "message": ("content", []),
    "function_call": ("arguments", ""),
    "reasoning": ("summary", []),
}


def _unfilled(item: dict[str, Json]) -> Json:
    field, empty = _EMPTY[item["type"]]
    return {**item, field: empty, **({"status": "in_progress"} if "status" in item else {})}


def _growing(
    reply: Reply, name: str, place: dict[str, Json], field: str, text: str, **more: Json
) -> Iterator[tuple[str, dict[str, Json]]]:
    for piece in reply.pieces(text):
        yield f"{name}.delta", {**place, "delta": piece, **more}
    yield f"{name}.done", {**place, field: text, **more}


def _content(
    reply: Reply, place: dict[str, Json], part: dict[str, Json]
) -> Iterator[tuple[str, dict[str, Json]]]:
    kind = part["type"]
    field = "refusal" if kind == "refusal" else "text"
    here = {**place, "content_index": 0}
    yield "response.content_part.added", {**here, "part": {**part, field: ""}}
    more: dict[str, Json] = {} if kind == "refusal" else {"logprobs": []}
    yield from _growing(reply, f"response.{kind}", here, field, part[field], **more)
    yield "response.content_part.done", {**here, "part": part}


def _summary(
    reply: Reply, place: dict[str, Json], part: dict[str, Json]
) -> Iterator[tuple[str, dict[str, Json]]]:
    here = {**place, "summary_index": 0}
    yield "response.reasoning_summary_part.added", {**here, "part": {**part, "text": ""}}
    yield from _growing(reply, "response.reasoning_summary_text", here, "text", part["text"])
    yield "response.reasoning_summary_part.done", {**here, "part": part}
