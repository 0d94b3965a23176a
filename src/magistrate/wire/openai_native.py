"""What OpenAI's APIs share: the error shape, token counts, and which fields cap the output."""

import re
from collections.abc import Iterable

from magistrate.exchange.content import Json, Tree, Usage
from magistrate.exchange.errors import MalformedAnswer, Unreadable
from magistrate.exchange.outcome import Refusal
from magistrate.wire.strict import dump, parse_answer

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}

_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""An error's type or code, if it is an identifier; anything longer could be content."""


def error_type(status: int) -> str:
    """Return OpenAI's ``type`` for a status."""
    return _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")


def refuse(refusal: Refusal) -> bytes:
    """Spell a refusal as ``{"error": {"message", "type", "param", "code"}}``."""
    return dump(
        {
            "error": {
                "message": told(refusal),
                "type": error_type(refusal.http_status),
                "param": refusal.param,
                "code": refusal.code.value,
            }
        }
    )


def told(refusal: Refusal) -> str:
    """Return the message with the record id that a user can quote."""
    return f"{refusal.message} (record {refusal.record})" if refusal.record else refusal.message


def read_error(status: int, body: bytes) -> tuple[str, bytes]:
    """Return a summary without content, and the endpoint's error in OpenAI's shape.

    An endpoint's 401 and 403 are about *our* credential and quote a piece of it, so their message is not passed on.
    """
    error = _error_of(body)
    kind, code = word_of(error.get("type")), word_of(error.get("code"))
    message = error.get("message")
    if status in (401, 403):
        message, code = "the endpoint refused the gateway's credential", "upstream_error"
    elif type(message) is not str:
        message = f"the endpoint answered {status} without saying why"
    param = error.get("param")
    native = {
        "message": message,
        "type": kind or error_type(status),
        "param": param if type(param) is str else None,
        "code": code,
    }
    return " ".join(filter(None, (str(status), kind, code))), dump({"error": native})


def word_of(value: Json) -> str | None:
    """Return ``value`` if it is an identifier, as the type or code of an error should be."""
    return value if type(value) is str and _WORD.fullmatch(value) else None


def _error_of(body: bytes) -> Tree:
    try:
        error = parse_answer(body).get("error")
    except MalformedAnswer:
        return {}
    return error if type(error) is dict else {"message": error}


def count(value: Json) -> int | None:
    """Return a token count, if that is what stands there."""
    return value if type(value) is int and value >= 0 else None


def limit_of(body: Tree, names: Iterable[str]) -> int | None:
    """Return the lowest output limit among the fields ``names``.

    Raises:
        Unreadable: a limit is not a whole number, which a lenient endpoint might read as one.
    """
    lowest: int | None = None
    for name in names:
        value = body.get(name)
        if value is None:
            continue
        if type(value) is not int or value < 0:
            raise Unreadable(f"`{name}` must be a whole number or null", (name,))
        lowest = value if lowest is None else min(lowest, value)
    return lowest


def lowered(body: Tree, names: tuple[str, ...], cap: int) -> dict[str, int]:
    """Return the limit fields to set so that no more than ``cap`` tokens are asked for."""
    present = [name for name in names if type(body.get(name)) is int]
    return {name: min(body[name], cap) for name in present} if present else {names[0]: cap}


def flag(body: Tree, name: str) -> bool:
    """Return a field that must be true, false, null or absent.

    Raises:
        Unreadable: it is anything else, which endpoints would read differently.
    """
    value = body.get(name)
    if value is not None and type(value) is not bool:
        raise Unreadable(f"`{name}` must be true or false", (name,))
    return value is True


def model_of(body: Tree) -> str:
    """Return the model asked for. Raises `Unreadable` when there is none."""
    model = body.get("model")
    if type(model) is not str or not model:
        raise Unreadable("`model` must name a model", ("model",))
    return model


def usage_of(body: Tree) -> Usage:
    """Read ``usage`` of chat completions and embeddings (``prompt_tokens`` includes cached ones)."""
    usage = body.get("usage")
    if type(usage) is not dict:
        return Usage()
    into, out = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    return Usage(
        input_tokens=count(usage.get("prompt_tokens")),
        output_tokens=count(usage.get("completion_tokens")),
        cached_tokens=count(into.get("cached_tokens")) if type(into) is dict else None,
        reasoning_tokens=count(out.get("reasoning_tokens")) if type(out) is dict else None,
    )


def text_of(body: Tree, name: str) -> str:
    """Return a field if it is a string, else nothing."""
    value = body.get(name)
    return value if type(value) is str else ""
