"""OpenAI responses: items and their contents, which requests carry as history and answers as output.

Source: OpenAI's API reference and the types of its Python SDK 3.54. An item type that no table knows is swept whole.
"""

from magistrate.exchange.content import Json, Part, PartKind, Path, Role, Tree
from magistrate.exchange.errors import Unreadable
from magistrate.wire.openai_logprobs import alternatives, vouch
from magistrate.wire.shapes import (
    METADATA,
    Visit,
    arguments,
    array,
    bytes_part,
    either,
    free,
    ident,
    locator,
    record,
    scalar,
    scalars,
    schema,
    sealed,
    tagged,
    text,
    under,
    word,
    wrong,
)

ROLES = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
}

meta = free(PartKind.METADATA, METADATA)
definition = text(PartKind.TOOL_DEFINITION, nullable=True)
_acts = free(PartKind.TOOL_ARGUMENTS, Role.ASSISTANT)
_results = free(PartKind.TOOL_RESULT, Role.TOOL)
_result = text(PartKind.TOOL_RESULT, Role.TOOL, nullable=True)
_said = text(PartKind.TOOL_ARGUMENTS, Role.ASSISTANT)
_secret = either(string=sealed, nullable=True)
_thought = text(PartKind.REASONING, Role.ASSISTANT)

STATUS = word(
    "in_progress", "completed", "incomplete", "failed", "searching", "generating", "interpreting", "calling",
    "cancelled", "queued",
)  # fmt: skip


# --- contents -------------------------------------------------------------------------------------------------


def image(value: Json, path: Path, role: Role, out: list[Part]) -> None:
    """Bytes of an image, in base64; an SVG is text."""
    if type(value) is str:
        out.append(bytes_part(value, path, role, "image/*"))
    elif value is not None:
        raise wrong(value, path, "a string")


def _file(value: Json, path: Path, role: Role, out: list[Part]) -> None:
    if type(value) is str and value[:5].lower() != "data:":
        out.append(bytes_part(value, path, role, "application/octet-stream"))
    else:
        locator(value, path, role, out)


def sound(value: Json, path: Path, role: Role, out: list[Part]) -> None:
    """Bytes of a recording, in base64."""
    if type(value) is not str:
        raise wrong(value, path, "a string")
    out.append(bytes_part(value, path, role, "audio/*"))


def vouched(inner: Visit, field: str = "text") -> Visit:
    """``inner``, for an object whose ``logprobs`` spell its ``field`` a second time.

    Token texts that say anything else are emptied in place: a detector finds nothing in a text cut into tokens.
    """

    def visit(value: Json, path: Path, role: Role, out: list[Part]) -> None:
        if type(value) is dict and value.get("logprobs"):
            drop_foreign_tokens(value, field)
            alternatives({"logprobs": value["logprobs"]}, path, role, out)
        inner(value, path, role, out)

    return visit


def drop_foreign_tokens(holder: Tree, field: str) -> None:
    """Empty ``logprobs`` in a freshly parsed object unless they say what its ``field`` says, and no more."""
    said = holder.get(field)
    if type(said) is not str or not vouch({field: holder["logprobs"]}, {field: said}):
        holder["logprobs"] = []


def nothing(_value: Json, _path: Path, _role: Role, _out: list[Part]) -> None:
    """What has been read already."""


_cited = text(PartKind.CITATION, nullable=True)
ANNOTATION = record(
    {
        "type": word("url_citation", "file_citation", "container_file_citation", "file_path"),
        "url": _cited,
        "title": _cited,
        "filename": _cited,
        "file_id": ident,
        "container_id": ident,
        **scalars("start_index", "end_index", "index"),
    }
)
_always: dict[str, Visit] = {"prompt_cache_breakpoint": meta, "cache_control": meta}


def _content(name: str, **fields: Visit) -> Visit:
    return record({"type": word(name), **fields, **_always})


def contents(kind: PartKind) -> Visit:
    """A message's content: a string, or parts by type."""
    return either(string=text(kind), items=array(content(kind)), nullable=True)


def content(kind: PartKind) -> Visit:
    """One part of a message's content, by type."""
    detail = word("auto", "low", "high", "original")
    url = either(string=locator, nullable=True)
    bytes_or_url = either(string=_file, nullable=True)
    return tagged(
        "type",
        {
            "input_text": _content("input_text", text=text(kind)),
            "output_text": vouched(
                _content(
                    "output_text",
                    text=text(kind),
                    annotations=array(ANNOTATION, nullable=True),
                    logprobs=nothing,
                )
            ),
            "text": _content("text", text=text(kind)),
            "refusal": _content("refusal", refusal=text(PartKind.REFUSAL)),
            "summary_text": _content("summary_text", text=_thought),
            "reasoning_text": _content("reasoning_text", text=_thought),
            "input_image": _content("input_image", image_url=url, file_id=ident, detail=detail),
            "computer_screenshot": _content(
                "computer_screenshot", image_url=url, file_id=ident, detail=detail
            ),
            "input_file": _content(
                "input_file",
                file_data=bytes_or_url,
                file_url=url,
                file_id=ident,
                filename=text(kind, nullable=True),
                detail=detail,
            ),
            "input_audio": _content(
                "input_audio", input_audio=record({"data": sound, "format": word("mp3", "wav")})
            ),
        },
        free(kind),
    )


# --- tools ----------------------------------------------------------------------------------------------------

_function = record(
    {
        "type": word("function"),
        "name": definition,
        "description": definition,
        "parameters": schema,
        "output_schema": schema,
        **scalars("strict", "defer_loading"),
    }
)
TOOLS = under(
    Role.DEFINITION,
    array(tagged("type", {"function": _function}, free(PartKind.TOOL_DEFINITION)), nullable=True),
)


# --- items ----------------------------------------------------------------------------------------------------


def _item(kind: str, **fields: Visit) -> Visit:
    return record(
        {
            "type": word(kind),
            "status": STATUS,
            "id": ident,
            "call_id": ident,
            "name": ident,
            "namespace": ident,
            "server_label": ident,
            "caller": meta,
            **fields,
        }
    )


def _items() -> Visit:
    """One item. What carries no ``type`` is a message."""
    message = _message(contents(PartKind.TEXT))
    returned = either(
        string=text(PartKind.TOOL_RESULT),
        items=array(content(PartKind.TOOL_RESULT)),
        fields=content(PartKind.TOOL_RESULT),
        nullable=True,
    )
    output: dict[str, Visit] = {"output": under(Role.TOOL, returned)}
    thoughts = under(Role.ASSISTANT, array(content(PartKind.REASONING), nullable=True))
    by_type = {
        "message": message,
        "reasoning": _item("reasoning", summary=thoughts, content=thoughts, encrypted_content=_secret),
        "compaction": _item("compaction", encrypted_content=_secret),
        "item_reference": _item("item_reference"),
        "function_call": _item("function_call", arguments=arguments(Role.ASSISTANT)),
        "custom_tool_call": _item("custom_tool_call", input=_said),
        "mcp_call": _item("mcp_call", arguments=arguments(Role.ASSISTANT), output=_result, error=_results,
                          approval_request_id=ident),
        "mcp_approval_request": _item("mcp_approval_request", arguments=arguments(Role.ASSISTANT)),
        "mcp_approval_response": _item("mcp_approval_response", approve=scalar, approval_request_id=ident,
                                       reason=text(role=Role.USER, nullable=True)),
        "mcp_list_tools": _item("mcp_list_tools", tools=TOOLS, error=_results),
        "additional_tools": _item("additional_tools", tools=TOOLS, role=word(*ROLES, "tool")),
        "tool_search_call": _item("tool_search_call", arguments=_acts, execution=word("server", "client")),
        "tool_search_output": _item("tool_search_output", tools=TOOLS, execution=word("server", "client")),
        "local_shell_call": _item("local_shell_call", action=_acts),
        "shell_call": _item("shell_call", action=_acts, environment=_acts),
        "apply_patch_call": _item("apply_patch_call", operation=_acts),
        "computer_call": _item("computer_call", action=_acts, actions=_acts, pending_safety_checks=_results),
        "computer_call_output": _item("computer_call_output", **output, acknowledged_safety_checks=_results),
        "web_search_call": _item("web_search_call", action=_acts, results=_results),
        "file_search_call": _item("file_search_call", queries=_acts, results=_results),
        "code_interpreter_call": _item("code_interpreter_call", container_id=ident, outputs=_logs,
                                       code=text(PartKind.TOOL_ARGUMENTS, Role.ASSISTANT, nullable=True)),
        "image_generation_call": _item("image_generation_call", result=image, error=_results,
                                       revised_prompt=text(role=Role.ASSISTANT, nullable=True)),
        "program": _item("program", code=_said, fingerprint=ident),
        "program_output": _item("program_output", result=_result),
    }  # fmt: skip
    by_type |= {
        kind: _item(kind, **output)
        for kind in ("function_call_output", "custom_tool_call_output", "local_shell_call_output",
                     "shell_call_output", "apply_patch_call_output")
    }  # fmt: skip
    typed = tagged("type", by_type, free(PartKind.TEXT))

    def visit(value: Json, path: Path, role: Role, out: list[Part]) -> None:
        bare = type(value) is dict and value.get("type") is None
        (message if bare else typed)(value, path, role, out)

    return visit


_logs = under(
    Role.TOOL,
    array(
        tagged(
            "type",
            {
                "logs": record({"type": word("logs"), "logs": text(PartKind.TOOL_RESULT)}),
                "image": record({"type": word("image"), "url": locator}),
            },
            free(PartKind.TOOL_RESULT),
        ),
        nullable=True,
    ),
)


def _message(inner: Visit) -> Visit:
    read = record(
        {
            "type": word("message"),
            "role": word(*ROLES),
            "content": inner,
            "status": STATUS,
            "id": ident,
            "phase": word("commentary", "final_answer"),
        },
        required=("content",),
    )

    def visit(value: Json, path: Path, _around: Role, out: list[Part]) -> None:
        """A message; whose words it carries decides how far it is trusted, so an unknown role is refused."""
        if type(value) is not dict:
            raise wrong(value, path, "an object")
        name = value.get("role")
        role = ROLES.get(name) if type(name) is str else None
        if role is None:
            place = (*path, "role")
            raise Unreadable(f"`{'.'.join(map(str, place))}` must be one of {', '.join(ROLES)}", place)
        read(value, path, role, out)

    return visit


ITEM = _items()
