"""Exchange, part and answer: content, as a dialect read it."""

from enum import StrEnum
from typing import Any, TypeAlias

import msgspec

Json: TypeAlias = Any
"""A decoded JSON value: dict, list, str, int, float, bool or None. ``Any`` because mypy's recursive
alias makes every indexing an ``isinstance`` ladder; dialects check the types they rely on."""

Tree: TypeAlias = dict[str, Json]
"""A decoded JSON object. Treated as immutable: rewrites copy along their path."""

Path: TypeAlias = tuple[str | int, ...]
"""Where a value stands in a tree: object keys and array indexes from the root."""


class Role(StrEnum):
    """Whose words a part carries; decides which rules read it and how much it is trusted."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"
    DEFINITION = "definition"
    """Tool definitions, schemas: instructions written by a developer, read by the model."""
    METADATA = "metadata"
    """Everything else that travels: identifiers, unknown fields."""


class PartKind(StrEnum):
    TEXT = "text"
    REASONING = "reasoning"
    REFUSAL = "refusal"
    TOOL_ARGUMENTS = "tool_arguments"
    TOOL_RESULT = "tool_result"
    TOOL_DEFINITION = "tool_definition"
    CITATION = "citation"
    KEY = "key"
    """The name of a field, where names are free. Can be refused; cannot be rewritten."""
    OPAQUE = "opaque"
    """Bytes that no detector reads (image, audio, file): described by media type and digest."""
    METADATA = "metadata"


class Part(msgspec.Struct, frozen=True, gc=False):
    """One place where text stands.

    ``path`` leads to a string in the body. When that string itself holds JSON (tool arguments on the
    OpenAI wire), ``inner`` leads on inside the decoded value and ``text`` is the inner string;
    otherwise ``inner`` is None. For ``OPAQUE`` parts ``text`` is empty, ``media`` is the media
    type and ``digest`` the SHA-256 (hex) of what stands there.
    """

    path: Path
    role: Role
    kind: PartKind
    text: str
    inner: Path | None = None
    media: str = ""
    digest: str = ""


class ExchangeKind(StrEnum):
    MODEL_CALL = "model_call"
    TOOL_CALL = "tool_call"
    AGENT_MESSAGE = "agent_message"


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens as the endpoint counted them. None where it did not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class Exchange(msgspec.Struct, frozen=True):
    """A request, read: what is asked, in every place where text can stand.

    ``operation`` is the dialect's verb (``chat``, ``responses``, ``messages``, ``count_tokens``,
    ``embeddings``, ``generate``, ``models``); ``model`` is the name the client used.
    INVARIANT: every string in ``body`` is reached by exactly one part, or is one of the dialect's own
    vocabulary words (a role, a type tag) whose value was checked against a closed list.
    """

    kind: ExchangeKind
    dialect: str
    operation: str
    model: str
    stream: bool
    parts: tuple[Part, ...]
    body: Tree
    tools: tuple[str, ...] = ()
    max_output_tokens: int | None = None


class Answer(msgspec.Struct, frozen=True):
    """A whole (not streamed) response, read. The same invariant as for `Exchange` holds."""

    parts: tuple[Part, ...]
    body: Tree
    model: str = ""
    """The exact version the endpoint says it used, for example ``gpt-5-mini-2026-08-07``."""
    fingerprint: str = ""
    finish: str = ""
    usage: Usage = Usage()
