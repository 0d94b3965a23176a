"""OpenAI chat completions as tables: requests, answers and chunks (and the fields of compatible servers).

Source: OpenAI's API reference and the types of its Python SDK 3.54; ``reasoning_content``, ``reasoning`` and
``reasoning_details`` are what DeepSeek, vLLM and OpenRouter add.
"""

from magistrate.exchange.content import Json, Part, PartKind, Path, Role
from magistrate.exchange.errors import Unreadable
from magistrate.wire.openai_logprobs import alternatives
from magistrate.wire.shapes import (
    Visit,
    arguments,
    array,
    bytes_part,
    either,
    free,
    ident,
    locator,
    mapping,
    record,
    scalar,
    scalars,
    schema,
    tagged,
    text,
    under,
    word,
    words,
    wrong,
)

ROLES = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "tool": Role.TOOL,
    "function": Role.TOOL,
}

_meta = free(PartKind.METADATA, Role.METADATA)
_definition = text(PartKind.TOOL_DEFINITION, nullable=True)
_reasoning = either(
    string=text(PartKind.REASONING),
    items=free(PartKind.REASONING),
    fields=free(PartKind.REASONING),
    nullable=True,
)
_role = word(*ROLES)


# --- content ----------------------------------------------------------------------------------------------------


def _sound(value: Json, path: Path, role: Role, out: list[Part]) -> None:
    if type(value) is not str:
        raise wrong(value, path, "a string")
    out.append(bytes_part(value, path, role, "audio/*"))


def _file(value: Json, path: Path, role: Role, out: list[Part]) -> None:
    if type(value) is str and value[:5].lower() != "data:":
        out.append(bytes_part(value, path, role, "application/octet-stream"))
    else:
        locator(value, path, role, out)


def _part(name: str, field: Visit, **more: Visit) -> Visit:
    always = {"type": word(name), "cache_control": _meta, "prompt_cache_breakpoint": _meta}
    return record({**always, name: field, **more}, required=(name,))


_url = either(
    string=locator,
    fields=record({"url": locator, "detail": word("auto", "low", "high", "original")}, required=("url",)),
)


def _contents(kind: PartKind) -> Visit:
    """Message content: a string, or parts by type; a type that no table knows is swept whole."""
    part = tagged(
        "type",
        {
            "text": _part("text", text(kind), annotations=_annotations),
            "refusal": _part("refusal", text(PartKind.REFUSAL)),
            "image_url": _part("image_url", _url),
            "video_url": _part("video_url", _url),
            "audio_url": _part("audio_url", _url),
            "input_audio": _part(
                "input_audio",
                record({"data": _sound, "format": word("wav", "mp3", "flac", "opus", "pcm16")}),
            ),
            "file": _part("file", record({"file_data": _file, "file_id": ident, "filename": text()})),
        },
        free(kind),
    )
    return either(string=text(kind), items=array(part), nullable=True)


_annotations = array(
    record(
        {
            "type": word("url_citation", "file_citation"),
            "url_citation": record(
                {
                    "url": text(PartKind.CITATION),
                    "title": text(PartKind.CITATION, nullable=True),
                    **scalars("start_index", "end_index"),
                }
            ),
        }
    ),
    nullable=True,
)
_function = record({"name": ident, "arguments": arguments()})
_call = record(
    {
        "id": ident,
        "type": word("function", "custom"),
        "index": scalar,
        "function": _function,
        "custom": record({"name": ident, "input": text(PartKind.TOOL_ARGUMENTS)}),
    }
)
_audio = record(
    {"id": ident, "data": _sound, "transcript": text(nullable=True), "expires_at": scalar}, nullable=True
)


def _message(kind: PartKind) -> Visit:
    return record(
        {
            "role": _role,
            "content": _contents(kind),
            "name": ident,
            "refusal": text(PartKind.REFUSAL, nullable=True),
            "reasoning_content": _reasoning,
            "reasoning": _reasoning,
            "reasoning_details": _reasoning,
            "thinking_blocks": _reasoning,
            "audio": _audio,
            "tool_calls": array(_call, nullable=True),
            "function_call": either(fields=_function, nullable=True),
            "tool_call_id": ident,
            "annotations": _annotations,
            "prefix": scalar,
        }
    )


_said = _message(PartKind.TEXT)
_returned = _message(PartKind.TOOL_RESULT)


def _turn(value: Json, path: Path, _around: Role, out: list[Part]) -> None:
    """A message; whose words it carries decides how far it is trusted, so an unknown role is refused."""
    if type(value) is not dict:
        raise wrong(value, path, "an object")
    name = value.get("role")
    role = ROLES.get(name) if type(name) is str else None
    if role is None:
        place = (*path, "role")
        raise Unreadable(f"`{'.'.join(map(str, place))}` must be one of {', '.join(ROLES)}", place)
    (_returned if role is Role.TOOL else _said)(value, path, role, out)


# --- the request ------------------------------------------------------------------------------------------------

_defined = {"name": _definition, "description": _definition, "parameters": schema, "strict": scalar}
_tool = tagged(
    "type",
    {
        "function": record({"type": word("function"), "function": record(_defined), "cache_control": _meta}),
        "custom": record(
            {
                "type": word("custom"),
                "custom": record(
                    {
                        "name": _definition,
                        "description": _definition,
                        "format": free(PartKind.TOOL_DEFINITION),
                    }
                ),
            }
        ),
    },
    free(PartKind.TOOL_DEFINITION),
)
_named = record({"name": ident})

_toggle = either(string=word("none", "auto", "required"), fields=record({
    "type": word("function", "custom", "allowed_tools"),
    "name": ident,
    "function": _named,
    "custom": _named,
    "allowed_tools": _meta,
}), nullable=True)  # fmt: skip
_format = record(
    {
        "type": word("text", "json_object", "json_schema", "grammar"),
        "json_schema": record(
            {
                "name": _definition,
                "description": _definition,
                "schema": schema,
                "strict": scalar,
            }
        ),
        "schema": schema,
        "grammar": _definition,
    },
    nullable=True,
)

REQUEST = record(
    {
        "model": ident,
        "messages": array(_turn),
        "tools": under(Role.DEFINITION, array(_tool, nullable=True)),
        "functions": under(Role.DEFINITION, array(record(_defined), nullable=True)),
        "response_format": under(Role.DEFINITION, _format),
        "prediction": under(
            Role.USER,
            record({"type": word("content"), "content": _contents(PartKind.TEXT)}, nullable=True),
        ),
        "tool_choice": _toggle,
        "function_call": _toggle,
        "stop": either(string=ident, items=array(text(PartKind.METADATA)), nullable=True),
        "metadata": mapping(_meta, nullable=True),
        "logit_bias": mapping(scalar, nullable=True),
        "user": ident,
        "safety_identifier": ident,
        "prompt_cache_key": ident,
        "modalities": array(word("text", "audio"), nullable=True),
        "audio": record({"voice": _meta, "format": word("wav", "mp3", "flac", "opus", "pcm16")}, nullable=True),
        "web_search_options": _meta,
        "stream_options": record(scalars("include_usage", "include_obfuscation"), nullable=True),
        **words(
            reasoning_effort="none minimal low medium high xhigh max",
            verbosity="low medium high",
            service_tier="auto default flex scale priority fast",
            prompt_cache_retention="in-memory in_memory 24h",
        ),
        **scalars(
            "stream", "n", "seed", "store", "temperature", "top_p", "top_k", "min_p", "max_tokens",
            "max_completion_tokens", "frequency_penalty", "presence_penalty", "repetition_penalty", "logprobs",
            "top_logprobs", "parallel_tool_calls",
        ),
    },
    required=("model", "messages"),
)  # fmt: skip


# --- the answer -------------------------------------------------------------------------------------------------

_usage = record(
    {
        **scalars("prompt_tokens", "completion_tokens", "total_tokens"),
        "prompt_tokens_details": record(
            scalars("cached_tokens", "audio_tokens", "text_tokens", "image_tokens", "cache_write_tokens"), nullable=True
        ),
        "completion_tokens_details": record(
            scalars(
                "reasoning_tokens", "audio_tokens", "text_tokens", "accepted_prediction_tokens",
                "rejected_prediction_tokens",
            ),
            nullable=True,
        ),
    },
    nullable=True,
)  # fmt: skip
FINISH = word("stop", "length", "tool_calls", "content_filter", "function_call")


_top: dict[str, Visit] = {
    "id": ident,
    "object": word("chat.completion", "chat.completion.chunk", "text_completion"),
    "model": ident,
    "system_fingerprint": ident,
    "service_tier": word("auto", "default", "flex", "scale", "priority", "fast"),
    "usage": _usage,
    "created": scalar,
}
_choice: dict[str, Visit] = {"index": scalar, "finish_reason": FINISH, "logprobs": alternatives}

ANSWER = record(
    {
        **_top,
        "choices": under(
            Role.ASSISTANT, array(record({**_choice, "message": _said, "text": text(nullable=True)}))
        ),
    },
    required=("choices",),
)

CHUNK = record({**_top, "choices": array(lambda *_: None)}, required=("choices",))
"""A chunk without its choices, whose texts grow."""

CHUNK_CHOICE = record({**_choice, "delta": lambda *_: None, "text": text(nullable=True)}, role=Role.ASSISTANT)
