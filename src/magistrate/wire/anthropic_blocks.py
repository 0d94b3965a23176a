"""Anthropic content blocks as tables.

Source: Anthropic's API reference and the types of its Python SDK 2.12 (stable and beta). Signatures and encrypted
content are sealed: an endpoint wants them back byte for byte, so they can be refused but not rewritten.
"""

from magistrate.exchange.content import Json, Part, PartKind, Path, Role
from magistrate.wire.shapes import (
    Visit,
    array,
    bytes_part,
    either,
    free,
    ident,
    locator,
    optional,
    record,
    scalar,
    scalars,
    sealed,
    tagged,
    text,
    unknown,
    word,
    wrong,
)

_meta = free(PartKind.METADATA, Role.METADATA)
_maybe = text(nullable=True)

CACHE = record({"type": word("ephemeral"), "ttl": word("5m", "1h")}, nullable=True)
CITATION = record({
    "type": word(
        "char_location", "page_location", "content_block_location", "web_search_result_location",
        "search_result_location",
    ),
    **dict.fromkeys(
        ("cited_text", "document_title", "title", "url", "source"), text(PartKind.CITATION, nullable=True)
    ),
    "encrypted_index": sealed,
    "file_id": ident,
    **scalars(
        "document_index", "start_char_index", "end_char_index", "start_page_number", "end_page_number",
        "start_block_index", "end_block_index", "search_result_index",
    ),
})  # fmt: skip

_KNOWN = (
    "text", "image", "document", "search_result", "thinking", "redacted_thinking", "tool_use", "server_tool_use",
    "mcp_tool_use", "tool_result", "mcp_tool_result", "web_search_tool_result", "web_fetch_tool_result",
    "code_execution_tool_result", "bash_code_execution_tool_result", "text_editor_code_execution_tool_result",
    "tool_search_tool_result", "container_upload", "compaction",
)  # fmt: skip
_TYPES = word(*_KNOWN)
_RESULT_TYPES = frozenset((
    *_KNOWN, "web_search_result", "web_fetch_result", "code_execution_result", "code_execution_output",
    "bash_code_execution_result", "bash_code_execution_output", "tool_reference", "base64",
    "encrypted_code_execution_result", "web_search_tool_result_error", "web_fetch_tool_result_error",
))  # fmt: skip
_SEALED = dict.fromkeys(("encrypted_content", "encrypted_stdout", "signature"), optional(sealed))
_CITABLE = record({"enabled": scalar}, nullable=True)


def _base64(value: Json, path: Path, role: Role, out: list[Part]) -> None:
    """A source of raw bytes, described by the media type that stands beside them."""
    if type(value.get("data")) is not str:
        raise wrong(value.get("data"), (*path, "data"), "a string")
    media = value.get("media_type")
    for key, member in value.items():
        here = (*path, key)
        if key == "data":
            out.append(bytes_part(member, here, role, media if type(media) is str else ""))
        elif key == "media_type":
            ident(member, here, role, out)
        elif key != "type":
            unknown(key, member, here, out)


def _found(value: Json, path: Path, role: Role, out: list[Part]) -> None:
    """What a server's own tool returned: text wherever it stands, except what is sealed."""
    if type(value) is dict:
        for key, member in value.items():
            here = (*path, key)
            if key == "type" and type(member) is str and member in _RESULT_TYPES:
                continue
            if key in _SEALED and type(member) is str:
                sealed(member, here, role, out)
            elif key == "source" and type(member) is dict and member.get("type") == "base64":
                _base64(member, here, role, out)
            else:
                out.append(Part(here, role, PartKind.KEY, key))
                _found(member, here, role, out)
    elif type(value) is list:
        for index, item in enumerate(value):
            _found(item, (*path, index), role, out)
    else:
        _result_leaf(value, path, role, out)


_result_leaf = free(PartKind.TOOL_RESULT)


def _block(fields: dict[str, Visit], role: Role | None = None) -> Visit:
    """A block with its type tag, its cache mark and its own fields."""
    return record({"type": _TYPES, "cache_control": CACHE, **fields}, role=role)


def _source(kind: PartKind, again: Visit) -> Visit:
    return tagged(
        "type",
        {
            "base64": _base64,
            "text": record({"type": word("text"), "media_type": ident, "data": text(kind)}),
            "content": record({"type": word("content"), "content": again}),
            "url": record({"type": word("url"), "url": locator}),
            "file": record({"type": word("file"), "file_id": ident}),
        },
        free(kind),
    )


def _calls() -> dict[str, Visit]:
    call = _block(
        {
            "id": ident,
            "name": ident,
            "input": free(PartKind.TOOL_ARGUMENTS),
            "server_name": ident,
            "toolset_name": ident,
            "caller": _meta,
        }
    )
    return dict.fromkeys(("tool_use", "server_tool_use", "mcp_tool_use"), call)


def _results(inside: Visit) -> dict[str, Visit]:
    returned = _block(
        {
            "tool_use_id": ident,
            "content": optional(inside),
            "is_error": scalar,
            "toolset_name": ident,
        },
        Role.TOOL,
    )
    found = _block({"tool_use_id": ident, "content": _found, "caller": _meta}, Role.TOOL)
    hosted = [name for name in _KNOWN if name.endswith("_tool_result") and name != "mcp_tool_result"]
    return {"tool_result": returned, "mcp_tool_result": returned, **dict.fromkeys(hosted, found)}


def _content(kind: PartKind) -> Visit:
    """Content: a string, or blocks by type; a type that no table knows is swept whole."""

    def again(value: Json, path: Path, role: Role, out: list[Part]) -> None:
        content(value, path, role, out)

    def result(value: Json, path: Path, role: Role, out: list[Part]) -> None:
        RESULT(value, path, role, out)

    source = _source(kind, again)
    cases = {
        "text": _block({"text": text(kind), "citations": array(CITATION, nullable=True)}),
        "image": _block({"source": source}),
        "document": _block({"source": source, "title": _maybe, "context": _maybe, "citations": _CITABLE}),
        "search_result": _block({"content": again, "source": text(), "title": text(), "citations": _CITABLE}),
        "thinking": _block({"thinking": text(PartKind.REASONING), "signature": sealed}),
        "redacted_thinking": _block({"data": sealed}),
        **_calls(),
        **_results(result),
        "container_upload": _block({"file_id": ident}),
        "compaction": _block({"content": _maybe, **_SEALED}),
    }
    block = tagged("type", cases, free(kind))
    content = either(string=text(kind), items=array(block))
    return content


RESULT = _content(PartKind.TOOL_RESULT)
"""Content of a tool result."""

CONTENT = _content(PartKind.TEXT)
"""Content of a message, of the system prompt, of an answer."""
