"""What Gemini's API says in its own words: errors and token counts."""

import re

from magistrate.exchange.content import Json, Tree, Usage
from magistrate.exchange.errors import Unreadable
from magistrate.exchange.outcome import Refusal
from magistrate.wire.gemini_names import get
from magistrate.wire.openai_native import count, told
from magistrate.wire.strict import ANSWER_LIMITS, dump, parse_value

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""google.rpc.Code by HTTP status."""

_NAME = re.compile(r"[A-Z_]{1,64}")


def status_name(status: int) -> str:
    return _STATUSES.get(status, "FAILED_PRECONDITION" if status < 500 else "INTERNAL")


def refuse(refusal: Refusal) -> bytes:
    """Spell a refusal as ``{"error": {"code", "message", "status", "details"}}``.

    The stable code is the ``reason`` of a google.rpc.ErrorInfo, where Google's clients look for one.
    """
    told_more = {"record": refusal.record} if refusal.record else {}
    if refusal.param:
        told_more["field"] = refusal.param
    detail = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": refusal.code.value.upper(),
        "domain": "magistrate",
        "metadata": told_more,
    }
    return dump({"error": {**_error(refusal.http_status, told(refusal)), "details": [detail]}})


def _error(status: int, message: str, name: str | None = None) -> Tree:
    return {"code": status, "message": message, "status": name or status_name(status)}


def read_error(status: int, body: bytes) -> tuple[str, bytes]:
    """Return a summary without content, and the endpoint's error in Gemini's shape.

    An endpoint's 401 and 403 are about *our* credential and project, so their message is not passed on.
    """
    error = _error_in(body)
    name, message = error.get("status"), error.get("message")
    name = name if type(name) is str and _NAME.fullmatch(name) else None
    if status in (401, 403):
        message = "the endpoint refused the gateway's credential"
    elif type(message) is not str:
        message = f"the endpoint answered {status} without saying why"
    summary = " ".join(filter(None, (str(status), name)))
    return summary, dump({"error": _error(status, message, name)})


def _error_in(body: bytes) -> Tree:
    try:
        tree = parse_value(body, ANSWER_LIMITS)
    except Unreadable:
        return {}
    if type(tree) is list and len(tree) == 1:  # how a stream that is no SSE reports it
        tree = tree[0]
    error = tree.get("error") if type(tree) is dict else None
    return error if type(error) is dict else {}


def usage_of(usage: Json) -> Usage:
    """Read ``usageMetadata``. Thoughts and tool results are counted apart; here they are output and input."""
    if type(usage) is not dict:
        return Usage()
    into, out = count(get(usage, "promptTokenCount")), count(get(usage, "candidatesTokenCount"))
    fetched, thoughts = count(get(usage, "toolUsePromptTokenCount")), count(get(usage, "thoughtsTokenCount"))
    return Usage(
        input_tokens=None if into is None else into + (fetched or 0),
        output_tokens=None if out is None and thoughts is None else (out or 0) + (thoughts or 0),
        cached_tokens=count(get(usage, "cachedContentTokenCount")),
        reasoning_tokens=thoughts,
    )
