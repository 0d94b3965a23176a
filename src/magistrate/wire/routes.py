"""Routes: every path of the data plane that carries a model call, and the dialect that reads it.

What is not in this table does not exist: no path is passed through. The bypass matrix is generated from it.
"""

import re
from collections.abc import Mapping
from typing import TypeAlias
from urllib.parse import quote, unquote

import msgspec

Params: TypeAlias = dict[str, str]
"""What a path names: ``model`` and ``verb`` (of which dialects take what they need)."""


class Route(msgspec.Struct, frozen=True):
    """One method and path.

    ``path`` and ``upstream`` may hold ``{model}``; ``upstream`` is relative to an endpoint's base URL, which ends
    with the API's version (``…/v1``). ``upstream`` empty: answered here. ``verb`` goes to the dialect.
    """

    method: str
    path: str
    dialect: str
    operation: str
    upstream: str
    verb: str

    def upstream_path(self, params: Mapping[str, str], upstream_model: str) -> str:
        """Return the path for an endpoint that knows the model as ``upstream_model``."""
        del params  # everything but the model is fixed by the route
        return self.upstream.replace("{model}", quote(upstream_model, safe=""))


def _gemini(operation: str, verb: str) -> Route:
    return Route(
        "POST", f"/v1beta/models/{{model}}:{verb}", "gemini", operation, f"/models/{{model}}:{verb}", verb
    )


ROUTES: tuple[Route, ...] = (
    Route("POST", "/v1/chat/completions", "openai.chat", "chat", "/chat/completions", "chat"),
    Route("POST", "/v1/responses", "openai.responses", "responses", "/responses", "responses"),
    Route("POST", "/v1/embeddings", "openai.embeddings", "embeddings", "/embeddings", "embeddings"),
    Route("GET", "/v1/models", "openai.models", "models", "", "models"),
    Route("POST", "/v1/messages", "anthropic.messages", "messages", "/messages", "messages"),
    Route(
        "POST",
        "/v1/messages/count_tokens",
        "anthropic.messages",
        "count_tokens",
        "/messages/count_tokens",
        "count_tokens",
    ),
    _gemini("generate", "generateContent"),
    _gemini("generate", "streamGenerateContent"),
    _gemini("count_tokens", "countTokens"),
)

_FIXED = {(route.method, route.path): route for route in ROUTES if "{" not in route.path}
_NAMED = {(route.method, route.verb): route for route in ROUTES if "{" in route.path}

_MODEL = re.compile(r"/v1beta/models/([A-Za-z0-9._@%-]{1,256}):([A-Za-z]+)")
"""One segment: a name with a slash must be percent-encoded, so that no two readings of a path exist."""

_NAME = re.compile(r"[\w./@: -]{1,256}")


def match(method: str, path: str) -> tuple[Route, Params] | None:
    """Return the route of a request and what its path names, or None: there is no such route.

    ``path`` is the raw path as it came, without the query. Nothing is normalised: a second slash, a dot segment or
    an encoded letter makes another path, which does not exist.
    """
    fixed = _FIXED.get((method, path))
    if fixed is not None:
        return fixed, {"verb": fixed.verb}
    named = _MODEL.fullmatch(path)
    if named is None:
        return None
    model = unquote(named[1], errors="strict") if _encoded_well(named[1]) else ""
    route = _NAMED.get((method, named[2]))
    if route is None or not _NAME.fullmatch(model) or ".." in model:
        return None
    return route, {"model": model, "verb": route.verb}


def _encoded_well(segment: str) -> bool:
    return re.fullmatch(r"(?:[^%]|%[2-7][0-9A-Fa-f])*", segment) is not None


def methods(path: str) -> frozenset[str]:
    """Return the methods a path takes; empty when there is no such path."""
    return frozenset(method for method in ("GET", "POST") if match(method, path) is not None)
