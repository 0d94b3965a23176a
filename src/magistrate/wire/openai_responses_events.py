"""The events of a streamed response as tables: what grows, what is told whole, and what ends."""

from typing import NamedTuple

from magistrate.exchange.content import Json, Part, PartKind, Path, Role
from magistrate.wire.openai_responses_items import (
    ANNOTATION,
    ITEM,
    STATUS,
    content,
    definition,
    image,
    nothing,
    sound,
    vouched,
)
from magistrate.wire.openai_responses_shapes import RESPONSE
from magistrate.wire.shapes import (
    Visit,
    arguments,
    array,
    bytes_part,
    free,
    ident,
    record,
    scalars,
    text,
    under,
    word,
)

LONGEST_PADDING = 64
"""Characters of ``obfuscation``, which hides the length of a piece from who watches the connection."""


def _padding(value: Json, path: Path, role: Role, out: list[Part]) -> None:
    if type(value) is str and len(value) <= LONGEST_PADDING:
        out.append(bytes_part(value, path, Role.METADATA, "application/octet-stream"))
    else:
        ident(value, path, role, out)


_PLACE: dict[str, Visit] = {
    "item_id": ident,
    "obfuscation": _padding,
    **scalars(
        "sequence_number", "output_index", "content_index", "summary_index", "annotation_index", "command_index",
        "partial_image_index",
    ),
}  # fmt: skip


class Growth(NamedTuple):
    """A text that grows: its channel's name, the indexes that tell it from its sisters, and how the rest reads."""

    channel: str
    indexes: tuple[str, ...]
    kind: PartKind
    visit: Visit
    in_item: bool = True


class Told(NamedTuple):
    """An event whose texts are whole, and the channels that may end with it (``*``: all of its output item)."""

    visit: Visit
    ends: tuple[str, ...] = ()


def _growth(name: str, channel: str, kind: PartKind, *indexes: str, in_item: bool = True) -> Growth:
    rest = record({"type": word(name), **_PLACE, "delta": nothing, "logprobs": nothing})
    return Growth(channel, indexes, kind, rest, in_item)


_ACTS = PartKind.TOOL_ARGUMENTS
_DELTAS: dict[str, tuple[str, PartKind, str]] = {
    "response.output_text": ("text", PartKind.TEXT, "content_index"),
    "response.refusal": ("refusal", PartKind.REFUSAL, "content_index"),
    "response.reasoning_text": ("reasoning", PartKind.REASONING, "content_index"),
    "response.reasoning_summary_text": ("summary", PartKind.REASONING, "summary_index"),
    "response.function_call_arguments": ("arguments", _ACTS, ""),
    "response.mcp_call_arguments": ("mcp_arguments", _ACTS, ""),
    "response.custom_tool_call_input": ("input", _ACTS, ""),
    "response.code_interpreter_call_code": ("code", _ACTS, ""),
    "response.shell_call_command": ("command", _ACTS, "command_index"),
    "response.shell_call_output_content": ("shell_output", PartKind.TOOL_RESULT, "command_index"),
}
GROWTHS: dict[str, Growth] = {
    f"{name}.delta": _growth(f"{name}.delta", channel, kind, *filter(None, (index,)))
    for name, (channel, kind, index) in _DELTAS.items()
}
GROWTHS["response.audio.transcript.delta"] = _growth(
    "response.audio.transcript.delta", "transcript", PartKind.TEXT, in_item=False
)

ITEM_TEXTS = {
    "function_call": ("arguments", "arguments"),
    "mcp_call": ("arguments", "mcp_arguments"),
    "custom_tool_call": ("input", "input"),
    "code_interpreter_call": ("code", "code"),
}
"""By an item's type: its field that grows, and the channel that it grows on."""

CONTENT_TEXTS = {
    "output_text": ("text", "text", PartKind.TEXT),
    "refusal": ("refusal", "refusal", PartKind.REFUSAL),
    "reasoning_text": ("text", "reasoning", PartKind.REASONING),
    "summary_text": ("text", "summary", PartKind.REASONING),
}
"""By a content's type: its field that grows, the channel that it grows on, and what its text is."""

LIFECYCLE = frozenset(
    f"response.{state}" for state in ("created", "queued", "in_progress", "completed", "incomplete", "failed")
)
ENDS = frozenset(("response.completed", "response.incomplete", "response.failed"))
STARTS = frozenset(
    (
        "response.output_item.added",
        "response.content_part.added",
        "response.reasoning_summary_part.added",
        "response.shell_call_command.added",
    )
)


def _told(name: str, /, *ends: str, **fields: Visit) -> dict[str, Told]:
    return {name: Told(record({"type": word(name), **_PLACE, **fields}), ends)}


def _whole(name: str, ends: str, /, **fields: Visit) -> dict[str, Told]:
    """The ``done`` event of a growing text, under the role that its text has."""
    told = _told(f"{name}.done", ends, logprobs=nothing, **fields)[f"{name}.done"]
    return {f"{name}.done": Told(vouched(told.visit), told.ends)}


_item = under(Role.ASSISTANT, ITEM)
_part = under(Role.ASSISTANT, content(PartKind.TEXT))
_thought = text(PartKind.REASONING)
_output = under(Role.TOOL, array(free(PartKind.TOOL_RESULT)))

EVENTS: dict[str, Told] = {
    **_told("response.output_item.added", item=_item),
    **_told("response.output_item.done", "*", item=_item),
    **_told("response.content_part.added", part=_part),
    **_told("response.content_part.done", "text", "refusal", "reasoning", part=_part),
    **_told("response.reasoning_summary_part.added", part=_part),
    **_told("response.reasoning_summary_part.done", "summary", part=_part, status=STATUS),
    **_told("response.output_text.annotation.added", annotation=ANNOTATION),
    **_whole("response.output_text", "text", text=text()),
    **_whole("response.refusal", "refusal", refusal=text(PartKind.REFUSAL)),
    **_whole("response.reasoning_text", "reasoning", text=_thought),
    **_whole("response.reasoning_summary_text", "summary", text=_thought),
    **_whole("response.function_call_arguments", "arguments", arguments=arguments(), name=definition),
    **_whole("response.mcp_call_arguments", "mcp_arguments", arguments=arguments()),
    **_whole("response.custom_tool_call_input", "input", input=text(_ACTS)),
    **_whole("response.code_interpreter_call_code", "code", code=text(_ACTS)),
    **_told("response.shell_call_command.added", command=text(_ACTS)),
    **_whole("response.shell_call_command", "command", command=text(_ACTS)),
    **_whole("response.shell_call_output_content", "shell_output", output=_output),
    **_told("response.audio.delta", delta=sound),
    **_told("response.audio.done"),
    **_told("response.audio.transcript.done", "transcript", transcript=text(nullable=True)),
    **_told(
        "response.image_generation_call.partial_image",
        partial_image_b64=image,
        background=word("transparent", "opaque", "auto"),
        output_format=word("png", "webp", "jpeg", "gif", "svg"),
        quality=word("low", "medium", "high", "xhigh", "max", "auto"),
        size=ident,
    ),
}
for _name, _states in {
    "code_interpreter_call": ("in_progress", "interpreting", "completed"),
    "file_search_call": ("in_progress", "searching", "completed"),
    "image_generation_call": ("in_progress", "generating", "completed"),
    "web_search_call": ("in_progress", "searching", "completed"),
    "mcp_call": ("in_progress", "completed", "failed"),
    "mcp_list_tools": ("in_progress", "completed", "failed"),
    "compaction": ("compacting",),
}.items():
    for _state in _states:
        EVENTS |= _told(f"response.{_name}.{_state}")
for _name in LIFECYCLE:
    EVENTS |= _told(_name, response=RESPONSE)
