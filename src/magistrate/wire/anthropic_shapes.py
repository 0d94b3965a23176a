"""Anthropic messages as tables: requests, answers, counts. Blocks stand in `anthropic_blocks`."""

from magistrate.exchange.content import Json, Part, PartKind, Path, Role
from magistrate.exchange.errors import Unreadable
from magistrate.wire.anthropic_blocks import CACHE, CONTENT
from magistrate.wire.shapes import (
    Visit,
    array,
    free,
    ident,
    locator,
    optional,
    record,
    scalar,
    scalars,
    schema,
    text,
    under,
    word,
    words,
    wrong,
)

ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}

_meta = free(PartKind.METADATA, Role.METADATA)
_definition = text(PartKind.TOOL_DEFINITION, nullable=True)
_domains = array(_definition, nullable=True)
_json_schema = record({"type": word("json_schema"), "schema": schema}, nullable=True, role=Role.DEFINITION)

# --- the request ------------------------------------------------------------------------------------------------

_said = record({"role": word(*ROLES), "content": CONTENT}, required=("content",))


def _turn(value: Json, path: Path, _around: Role, out: list[Part]) -> None:
    """A message; whose words it carries decides how far it is trusted, so an unknown role is refused."""
    if type(value) is not dict:
        raise wrong(value, path, "an object")
    name = value.get("role")
    role = ROLES.get(name) if type(name) is str else None
    if role is None:
        place = (*path, "role")
        raise Unreadable(f"`{'.'.join(map(str, place))}` must be one of {', '.join(ROLES)}", place)
    _said(value, path, role, out)


_tool = record({
    "type": word("custom"),
    "name": _definition,
    "description": _definition,
    "input_schema": schema,
    "input_examples": free(PartKind.TOOL_DEFINITION),
    "cache_control": CACHE,
    "allowed_callers": _meta,
    "allowed_domains": _domains,
    "blocked_domains": _domains,
    "user_location": _meta,
    "mcp_server_name": ident,
    **scalars(
        "strict", "defer_loading", "eager_input_streaming", "max_uses", "max_content_tokens", "display_width_px",
        "display_height_px", "display_number", "max_characters",
    ),
})  # fmt: skip

_mcp_server = record(
    {
        "type": word("url"),
        "url": locator,
        "name": ident,
        "authorization_token": ident,
        "tool_configuration": _meta,
    }
)
_thinking = record(
    {
        "type": word("enabled", "disabled", "adaptive"),
        "budget_tokens": scalar,
        "display": word("summarized", "omitted"),
    },
    nullable=True,
)
_choice = record(
    {
        "type": word("auto", "any", "tool", "none"),
        "name": ident,
        "disable_parallel_tool_use": scalar,
    },
    nullable=True,
)

REQUEST = record(
    {
        "model": ident,
        "messages": array(_turn),
        "system": under(Role.SYSTEM, optional(CONTENT)),
        "tools": under(Role.DEFINITION, array(_tool, nullable=True)),
        "metadata": record({"user_id": ident}, nullable=True),
        "stop_sequences": array(text(PartKind.METADATA), nullable=True),
        "thinking": _thinking,
        "tool_choice": _choice,
        "output_config": record(
            {"effort": word("low", "medium", "high", "xhigh", "max"), "format": _json_schema}, nullable=True
        ),
        "output_format": _json_schema,
        "mcp_servers": array(_mcp_server, nullable=True),
        "cache_control": CACHE,
        **dict.fromkeys(
            ("container", "context_management", "diagnostics", "inference_geo", "user_profile_id", "betas"),
            _meta,
        ),
        **words(service_tier="auto standard_only", speed="standard fast"),
        **scalars("max_tokens", "stream", "temperature", "top_k", "top_p"),
    },
    required=("model", "messages"),
)


# --- the answer -------------------------------------------------------------------------------------------------


def _numbers(*names: str) -> Visit:
    return record(scalars(*names), nullable=True)


USAGE = record(
    {
        **scalars(
            "input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens",
        ),
        "cache_creation": _numbers("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"),
        "output_tokens_details": _numbers("thinking_tokens"),
        "server_tool_use": _numbers("web_search_requests", "web_fetch_requests"),
        "inference_geo": ident,
        **words(service_tier="standard priority batch", speed="standard fast"),
    },
    nullable=True,
)  # fmt: skip
ENDED: dict[str, Visit] = {
    "stop_reason": word(
        "end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal",
        "model_context_window_exceeded", "compaction",
    ),
    "stop_sequence": ident,
    "stop_details": optional(free(PartKind.REFUSAL)),
    "container": _meta,
}  # fmt: skip
ANSWER_FIELDS: dict[str, Visit] = {
    "id": ident,
    "type": word("message"),
    "role": word("assistant"),
    "model": ident,
    "content": under(Role.ASSISTANT, CONTENT),
    "usage": USAGE,
    "context_management": _meta,
    "diagnostics": _meta,
    **ENDED,
}
ANSWER = record(ANSWER_FIELDS, required=("content",))
COUNT = record({"input_tokens": scalar, "context_management": _meta}, required=("input_tokens",))
