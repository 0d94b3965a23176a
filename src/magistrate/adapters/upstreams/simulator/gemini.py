"""Gemini's generateContent, simulated."""

from collections.abc import Iterator
from http import HTTPStatus

import orjson

from magistrate.adapters.upstreams.simulator.conversation import (
    Asked,
    Json,
    Reply,
    digest_of,
    event,
    objects,
    text_of,
    whole_number,
)

SIGNATURE = "c2ltdWxhdG9y"
"""What stands for a thought's signature: `simulator` in base64."""


def read(body: bytes, tree: Json, model: str, verb: str) -> Asked:
    asks = tree.get("generateContentRequest") if verb == "countTokens" else None
    contents = (asks if isinstance(asks, dict) else tree).get("contents")
    said, returned = "", None
    for content in reversed(objects(contents)):
        if content.get("role", "user") not in ("user", "function"):
            continue
        parts = objects(content.get("parts"))
        results = [
            r for part in parts if (r := part.get("functionResponse") or part.get("function_response"))
        ]
        if results:
            if returned is None:
                returned = "\n".join(
                    orjson.dumps(result.get("response")).decode() for result in objects(results)
                )
            continue
        said = text_of(parts)
        break
    config = tree.get("generationConfig") or tree.get("generation_config")
    wanted = config.get("candidateCount", config.get("candidate_count")) if isinstance(config, dict) else None
    return Asked(
        model=model,
        said=said,
        returned=returned,
        stream=verb == "streamGenerateContent",
        size=len(body),
        digest=digest_of(body),
        choices=whole_number(wanted, 1, 8),
    )


def count(asked: Asked) -> bytes:
    """Answer ``:countTokens``."""
    tokens = asked.size // 4 + 1
    return orjson.dumps(
        {"totalTokens": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}]}
    )


def _finish(reply: Reply) -> str:
    if reply.refusal:
        return "SAFETY"
    return "MAX_TOKENS" if reply.truncated else "STOP"


def _usage(reply: Reply) -> Json:
    return {
        "promptTokenCount": reply.input_tokens,
        "candidatesTokenCount": reply.output_tokens - reply.reasoning_tokens,
        "thoughtsTokenCount": reply.reasoning_tokens,
        "totalTokenCount": reply.input_tokens + reply.output_tokens,
    }


def _call_parts(reply: Reply) -> Iterator[Json]:
    for call in reply.calls:
        yield {
            "functionCall": {"id": call.id, "name": call.name, "args": call.parsed()},
            "thoughtSignature": SIGNATURE,
        }


def _body(reply: Reply, candidates: list[Json]) -> Json:
    return {
        "candidates": candidates,
        "usageMetadata": _usage(reply),
        "modelVersion": reply.model,
        "responseId": reply.id,
    }


def _candidate(index: int, parts: list[Json], **end: Json) -> Json:
    return {"content": {"parts": parts, "role": "model"}, "index": index, **end}


def _finish_message(reply: Reply) -> dict[str, Json]:
    return {"finishMessage": reply.refusal} if reply.refusal else {}


def whole(reply: Reply) -> bytes:
    parts: list[Json] = [{"text": reply.reason, "thought": True}] if reply.reason else []
    if reply.text:
        parts.append({"text": reply.text})
    parts += _call_parts(reply)
    end = {"finishReason": _finish(reply), **_finish_message(reply)}
    return orjson.dumps(_body(reply, [_candidate(index, parts, **end) for index in range(reply.choices)]))


def stream(reply: Reply, asked: Asked) -> Iterator[bytes]:  # noqa: ARG001  because every dialect streams alike
    everyone = range(reply.choices)
    for part in _parts(reply):
        for index in everyone:
            yield event(_body(reply, [_candidate(index, [part])]))
    end = {"finishReason": _finish(reply), **_finish_message(reply)}
    yield event(_body(reply, [_candidate(index, [{"text": ""}], **end) for index in everyone]))


def _parts(reply: Reply) -> Iterator[Json]:
    for piece in reply.pieces(reply.reason):
        yield {"text": piece, "thought": True}
    for piece in reply.pieces(reply.text):
        yield {"text": piece}
    yield from _call_parts(reply)


_STATUSES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
             429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}  # fmt: skip


def error(status: int, message: str) -> bytes:
    name = _STATUSES.get(status, HTTPStatus(status).name if status in list(HTTPStatus) else "UNKNOWN")
    return orjson.dumps({"error": {"code": status, "message": message, "status": name}})
