"""OpenAI responses as tables: the request, and the response that repeats most of it.

Source: OpenAI's API reference and the types of its Python SDK 3.54.
"""

from magistrate.exchange.content import PartKind, Role
from magistrate.wire.openai_responses_items import (
    ITEM,
    STATUS,
    TOOLS,
    content,
    definition,
    meta,
)
from magistrate.wire.shapes import (
    Visit,
    array,
    either,
    ident,
    mapping,
    record,
    scalar,
    scalars,
    schema,
    text,
    under,
    word,
    words,
)

_format = record(
    {
        "type": word("text", "json_object", "json_schema"),
        "name": definition,
        "description": definition,
        "schema": schema,
        "strict": scalar,
    },
    nullable=True,
)
_choice = either(
    string=word("none", "auto", "required"),
    fields=record(
        {
            "type": word("function", "custom", "mcp", "allowed_tools", "file_search", "web_search_preview"),
            "mode": word("auto", "required"),
            "name": ident,
            "server_label": ident,
            "tools": meta,
        }
    ),
    nullable=True,
)
_effort = "none minimal low medium high xhigh max"
_reasoning = record(
    words(effort=_effort, summary="auto concise detailed", generate_summary="auto concise detailed"),
    nullable=True,
)


def _settings() -> dict[str, Visit]:
    """What a request says and a response repeats."""
    variable = either(string=text(), fields=content(PartKind.TEXT))
    return {
        "model": ident,
        "instructions": under(
            Role.SYSTEM, either(string=text(), items=array(ITEM), nullable=True)
        ),
        "tools": TOOLS,
        "tool_choice": _choice,
        "text": under(
            Role.DEFINITION,
            record({"format": _format, **words(verbosity="low medium high")}, nullable=True),
        ),
        "prompt": under(
            Role.USER,
            record(
                {"id": ident, "version": ident, "variables": mapping(variable, nullable=True)}, nullable=True
            ),
        ),
        "metadata": mapping(meta, nullable=True),
        "reasoning": _reasoning,
        "conversation": either(string=ident, fields=record({"id": ident}), nullable=True),
        "previous_response_id": ident,
        "prompt_cache_key": ident,
        "safety_identifier": ident,
        "user": ident,
        **words(
            truncation="auto disabled",
            service_tier="auto default flex scale priority fast",
            prompt_cache_retention="in-memory in_memory 24h",
        ),
        **scalars(
            "background", "max_output_tokens", "max_tool_calls", "parallel_tool_calls", "store", "temperature",
            "top_logprobs", "top_p", "frequency_penalty", "presence_penalty",
        ),
    }  # fmt: skip


_included = word(
    "file_search_call.results", "web_search_call.results", "web_search_call.action.sources",
    "message.input_image.image_url", "computer_call_output.output.image_url", "code_interpreter_call.outputs",
    "reasoning.encrypted_content", "message.output_text.logprobs",
)  # fmt: skip

REQUEST = record(
    {
        **_settings(),
        "input": under(
            Role.USER, either(string=text(), items=array(ITEM), nullable=True)
        ),
        "include": array(_included, nullable=True),
        "stream": scalar,
        "stream_options": record(scalars("include_obfuscation"), nullable=True),
    },
    required=("model",),
)  # fmt: skip
_usage = record(
    {
        **scalars("input_tokens", "output_tokens", "total_tokens"),
        "input_tokens_details": record(
            scalars("cached_tokens", "cache_write_tokens", "text_tokens", "image_tokens"), nullable=True
        ),
        "output_tokens_details": record(scalars("reasoning_tokens"), nullable=True),
    },
    nullable=True,
)

RESPONSE = record(
    {
        **_settings(),
        "id": ident,
        "object": word("response"),
        "status": STATUS,
        "output": under(Role.ASSISTANT, array(ITEM, nullable=True)),
        "output_text": text(role=Role.ASSISTANT, nullable=True),
        "error": record(
            {"code": ident, "message": text(role=Role.ASSISTANT), "param": ident, "type": ident},
            nullable=True,
        ),
        "incomplete_details": record({"reason": word("max_output_tokens", "content_filter")}, nullable=True),
        "usage": _usage,
        **scalars("created_at", "completed_at"),
    }
)
"""A response, whole or inside a stream's event."""
