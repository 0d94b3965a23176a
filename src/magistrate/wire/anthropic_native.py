"""What Anthropic's API says in its own words: errors and token counts."""

from magistrate.exchange.content import Json, Usage
from magistrate.exchange.errors import MalformedAnswer
from magistrate.exchange.outcome import Refusal
from magistrate.wire.openai_native import count, told, word_of
from magistrate.wire.strict import dump, parse_answer

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
    503: "overloaded_error",
}


def error_type(status: int) -> str:
    """Return Anthropic's error type for a status."""
    return _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")


def error_body(kind: str, message: str, request_id: str | None, **more: str) -> dict[str, Json]:
    """Return the error object; ``more`` goes beside type and message."""
    return {"type": "error", "error": {"type": kind, "message": message, **more}, "request_id": request_id}


def refuse(refusal: Refusal) -> bytes:
    """Spell a refusal as Anthropic's error body. The stable code stands beside the type, as ``code``."""
    kind = error_type(refusal.http_status)
    where = {"param": refusal.param} if refusal.param else {}
    return dump(error_body(kind, told(refusal), refusal.record or None, code=refusal.code.value, **where))


def read_error(status: int, body: bytes) -> tuple[str, bytes]:
    """Return a summary without content, and the endpoint's error in Anthropic's shape.

    An endpoint's 401 and 403 are about *our* credential, so their message is not passed on.
    """
    try:
        tree = parse_answer(body)
    except MalformedAnswer:
        tree = {}
    error = tree.get("error")
    error = error if type(error) is dict else {"message": error}
    kind, message = word_of(error.get("type")), error.get("message")
    if status in (401, 403):
        message = "the endpoint refused the gateway's credential"
    elif type(message) is not str:
        message = f"the endpoint answered {status} without saying why"
    native = error_body(kind or error_type(status), message, word_of(tree.get("request_id")))
    return " ".join(filter(None, (str(status), kind))), dump(native)


def usage_of(usage: Json) -> Usage:
    """Read ``usage``. Anthropic counts cached input apart; here ``input_tokens`` includes it, as everywhere else."""
    if type(usage) is not dict:
        return Usage()
    fresh, read = count(usage.get("input_tokens")), count(usage.get("cache_read_input_tokens"))
    written = count(usage.get("cache_creation_input_tokens"))
    details = usage.get("output_tokens_details")
    return Usage(
        input_tokens=None if fresh is None else fresh + (read or 0) + (written or 0),
        output_tokens=count(usage.get("output_tokens")),
        cached_tokens=read,
        reasoning_tokens=count(details.get("thinking_tokens")) if type(details) is dict else None,
    )
