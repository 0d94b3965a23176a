"""Plain requests: those that provably have nothing to do with tools.

Whether a request declares, calls or answers tools cannot be told by looking for them, because APIs gain new ways to do
it every month. So the question is asked the other way round: a request is plain if every key, at any depth, and every
type and role is one that its dialect's table knows and that only ever carries text, media or sampling settings. What
is new, unknown or refers to state kept elsewhere (a stored prompt, a conversation, cached content) is not plain.
"""

from collections.abc import Mapping

import msgspec

from magistrate.exchange.content import Exchange, Json, PartKind, Role
from magistrate.wire.gemini_names import snake


class Plain(msgspec.Struct, frozen=True):
    """The keys, and the values of ``type`` and ``role``, that a dialect's plain requests are made of."""

    keys: frozenset[str]
    words: frozenset[str] = frozenset()


def _plain(keys: str, words: str = "") -> Plain:
    return Plain(frozenset(keys.split()), frozenset(words.split()))


PLAIN: Mapping[str, Plain] = {
    "openai.chat": _plain(
        "model messages role content type text name refusal image_url url detail stop user safety_identifier"
        " prompt_cache_key stream_options include_usage include_obfuscation reasoning_effort verbosity service_tier"
        " prompt_cache_retention stream n seed store temperature top_p top_k min_p max_tokens max_completion_tokens"
        " frequency_penalty presence_penalty repetition_penalty logprobs top_logprobs response_format",
        "system developer user assistant text image_url refusal json_object",
    ),
    "openai.responses": _plain(
        "model input instructions role content type text image_url detail reasoning effort summary prompt_cache_key"
        " safety_identifier user truncation service_tier prompt_cache_retention max_output_tokens store temperature"
        " top_logprobs top_p frequency_penalty presence_penalty stream stream_options include_obfuscation verbosity format",
        "system developer user assistant message input_text output_text input_image text json_object",
    ),
    "openai.embeddings": _plain("model input encoding_format dimensions user input_type"),
    "anthropic.messages": _plain(
        "model messages role content type text system metadata user_id stop_sequences thinking budget_tokens display"
        " cache_control ttl service_tier speed max_tokens stream temperature top_k top_p source media_type data url"
        " output_config effort",
        "system user assistant text image base64 url ephemeral enabled disabled adaptive",
    ),
    "gemini": _plain(
        "model contents parts role text system_instruction safety_settings category threshold generation_config"
        " response_mime_type stop_sequences thinking_config include_thoughts thinking_budget thinking_level"
        " candidate_count max_output_tokens temperature top_p top_k seed presence_penalty frequency_penalty"
        " response_logprobs logprobs inline_data mime_type data",
        "user model system",
    ),
}
"""By dialect. A dialect that is not here has no plain requests. Gemini's keys are spelled as `snake` spells them."""

_TOOLS = frozenset(
    {
        PartKind.TOOL_ARGUMENTS,
        PartKind.TOOL_RESULT,
        PartKind.TOOL_DEFINITION,
        PartKind.KEY,
    }
)
"""Kinds of part that no plain request has. A KEY is the name of a field that the dialect's table does not know."""


def is_plain(exchange: Exchange) -> bool:
    """Return whether a request provably declares, calls and answers no tools. When in doubt it is not plain."""
    plain = PLAIN.get(exchange.dialect)
    if plain is None or exchange.tools:
        return False
    if any(part.kind in _TOOLS or part.role is Role.TOOL for part in exchange.parts):
        return False
    return _only(exchange.body, plain)


def _only(value: Json, plain: Plain) -> bool:
    """Return whether ``value`` is made of plain keys and words. Bodies are shallow: the strict parser bounds depth."""
    if type(value) is list:
        return all(_only(item, plain) for item in value if type(item) in {dict, list})
    if type(value) is not dict:
        return True
    for key, member in value.items():
        if key not in plain.keys and snake(key) not in plain.keys:
            return False
        if key in {"type", "role"} and not (type(member) is str and member in plain.words):
            return False
        if type(member) in {dict, list} and not _only(member, plain):
            return False
    return True
