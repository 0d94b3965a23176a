"""Anthropic messages, streamed: ``message_start``, blocks by index, ``message_delta``, ``message_stop``."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from magistrate.exchange.content import Json, Part, PartKind, Role, Tree, Usage
from magistrate.exchange.errors import MalformedAnswer
from magistrate.exchange.outcome import Refusal
from magistrate.exchange.stream import Channel, Delta, StreamEvent
from magistrate.wire.anthropic_blocks import CITATION, CONTENT
from magistrate.wire.anthropic_native import error_body, error_type, usage_of
from magistrate.wire.anthropic_shapes import ANSWER, ENDED, USAGE
from magistrate.wire.growth import grow, nest
from magistrate.wire.openai_native import text_of, told
from magistrate.wire.shapes import Visit, free, record, scalar, sealed, word, wrong
from magistrate.wire.sse import SseEvent
from magistrate.wire.sse import write_event as write_sse
from magistrate.wire.strict import dump, parse
from magistrate.wire.tree import Where, replace, rewrite, sweep


class _Growth(NamedTuple):
    """How a kind of delta grows: the field that holds the piece, the channel's name, what its text is."""

    field: str
    channel: str
    kind: PartKind


_GROWTHS = {
    "text_delta": _Growth("text", "text", PartKind.TEXT),
    "thinking_delta": _Growth("thinking", "thinking", PartKind.REASONING),
    "input_json_delta": _Growth("partial_json", "tool", PartKind.TOOL_ARGUMENTS),
    "compaction_delta": _Growth("content", "compaction", PartKind.REASONING),
}
_BY_CHANNEL = {growth.channel: (name, growth.field) for name, growth in _GROWTHS.items()}
_STARTS = {"text": "text", "thinking": "thinking", "compaction": "content"}
"""A block's field that may hold the first piece of its text already when the block starts."""

_meta = free(PartKind.METADATA, Role.METADATA)
_EVENTS: dict[str, Visit] = {
    "message_start": record({"type": word("message_start"), "message": ANSWER}, required=("message",)),
    "message_delta": record(
        {
            "type": word("message_delta"),
            "delta": record(ENDED),
            "usage": USAGE,
            "context_management": _meta,
        }
    ),
    "message_stop": record({"type": word("message_stop")}),
    "ping": record({"type": word("ping")}),
    "content_block_stop": record({"type": word("content_block_stop"), "index": scalar}),
}
_START = record({"type": word("content_block_start"), "index": scalar, "content_block": lambda *_: None})
_DELTA = record({"type": word("content_block_delta"), "index": scalar, "delta": lambda *_: None})
_REST: dict[str, Visit] = {
    "type": word(*_GROWTHS, "signature_delta", "citations_delta"),
    "signature": sealed,
    "encrypted_content": sealed,
    "citation": CITATION,
}


class MessageReader:
    """Reads one stream's events, knowing which channels are open."""

    def __init__(self) -> None:
        self._open: dict[int, dict[Channel, None]] = {}

    def read(self, sse: SseEvent) -> StreamEvent:
        """Read one event. Raises `MalformedAnswer` or `Unreadable`."""
        tree = parse(sse.data)
        name = text_of(tree, "type")
        if sse.name and sse.name != name:
            raise MalformedAnswer("an event's name and its `type` differ")
        if name == "error":
            return StreamEvent(name, tree, parts=tuple(sweep(tree, kind=PartKind.TEXT)), error=True)
        if name in {"content_block_start", "content_block_delta"}:
            return self._grown(name, tree)
        parts: list[Part] = []
        deltas: list[Delta] = []
        visit = _EVENTS.get(name)
        if visit is None:
            grow(tree, (), ("?", name), deltas, parts)
        else:
            visit(tree, (), Role.METADATA, parts)
        message = tree["message"] if name == "message_start" else tree
        delta = tree.get("delta")
        return StreamEvent(
            name,
            tree,
            deltas=tuple(deltas),
            parts=tuple(parts),
            closes=tuple(self._open.pop(_index(tree), ())) if name == "content_block_stop" else (),
            closes_all=name == "message_stop",
            terminal=name == "message_stop",
            model=text_of(message, "model") if name == "message_start" else "",
            finish=text_of(delta, "stop_reason") if name == "message_delta" and type(delta) is dict else "",
            usage=_usage(message.get("usage")) if name in {"message_start", "message_delta"} else None,
        )

    def _grown(self, name: str, tree: Tree) -> StreamEvent:
        """Read a block's start or delta: what grows becomes deltas, all else parts."""
        index = _index(tree)
        parts: list[Part] = []
        deltas: list[Delta] = []
        if name == "content_block_start":
            _START(tree, (), Role.METADATA, parts)
            _start(tree, index, deltas, parts)
        else:
            _DELTA(tree, (), Role.METADATA, parts)
            _piece(tree, index, deltas, parts)
        channels = self._open.setdefault(index, {})
        channels.update(dict.fromkeys(delta.channel for delta in deltas))
        return StreamEvent(name, tree, deltas=tuple(deltas), parts=tuple(parts))


def _index(tree: Tree) -> int:
    index = tree.get("index")
    if type(index) is not int:
        raise wrong(index, ("index",), "a whole number")
    return index


def _usage(value: Json) -> Usage | None:
    return usage_of(value) if type(value) is dict else None


def _start(tree: Tree, index: int, deltas: list[Delta], parts: list[Part]) -> None:
    block = tree.get("content_block")
    if type(block) is not dict:
        raise wrong(block, ("content_block",), "an object")
    kind = text_of(block, "type")
    field = _STARTS.get(kind)
    if field is not None and type(block.get(field)) is str:
        if block[field]:
            what = PartKind.TEXT if kind == "text" else PartKind.REASONING
            deltas.append(Delta((index, kind), ("content_block", field), block[field], kind=what))
        block = {key: value for key, value in block.items() if key != field}
    read: list[Part] = []
    CONTENT([block], (), Role.ASSISTANT, read)
    parts += [_at(part) for part in read]


def _at(part: Part) -> Part:
    """The part where it stands in the event: the block was read as the only one of a list."""
    return Part(
        ("content_block", *part.path[1:]),
        part.role,
        part.kind,
        part.text,
        media=part.media,
        digest=part.digest,
    )


def _piece(tree: Tree, index: int, deltas: list[Delta], parts: list[Part]) -> None:
    delta = tree.get("delta")
    if type(delta) is not dict:
        raise wrong(delta, ("delta",), "an object")
    growth = _GROWTHS.get(text_of(delta, "type"))
    for key, value in delta.items():
        here = ("delta", key)
        if growth is not None and key == growth.field:
            if type(value) is str:
                if value:
                    deltas.append(Delta((index, growth.channel), here, value, kind=growth.kind))
            elif value is not None:
                raise wrong(value, here, "a string")
        elif key in _REST and value is not None:
            _REST[key](value, here, Role.ASSISTANT, parts)
        elif value is not None:
            parts.append(Part(here, Role.METADATA, PartKind.KEY, key))
            grow(value, here, (index, "?", key), deltas, parts)


# --- writing ----------------------------------------------------------------------------------------------------


def write_event(event: StreamEvent, texts: Mapping[int, str], parts: Mapping[int, str]) -> bytes:
    """Serialise an event with new texts."""
    if event.data is None:
        return event.raw
    tree = rewrite(event.data, event.parts, parts)
    changed: dict[Where, str] = {
        (event.deltas[index].path, None): new
        for index, new in texts.items()
        if new != event.deltas[index].text
    }
    return _write(replace(tree, changed) if changed else tree)


def _write(tree: Tree) -> bytes:
    name = text_of(tree, "type")
    return write_sse(name if name.isidentifier() else "", dump(tree))


def carry(template: StreamEvent, delta: Delta, text: str) -> bytes:
    """A delta event with nothing but ``text`` on ``delta``'s channel."""
    index, name = delta.channel[0], delta.channel[1]
    if len(delta.channel) == 2 and name in _BY_CHANNEL and index != "?":
        kind, field = _BY_CHANNEL[str(name)]
        return _write({"type": "content_block_delta", "index": index, "delta": {"type": kind, field: text}})
    tree: Tree = nest(delta.path, text)
    if index != "?":
        tree = {"type": "content_block_delta", "index": index, **tree}
    elif "type" not in tree:
        tree = {"type": template.name, **tree}
    return _write(tree)


def refuse(refusal: Refusal, seen: Sequence[StreamEvent]) -> bytes:
    """End the stream as Anthropic ends a refused one: close the open block, ``stop_reason`` refusal, the end.

    Before any message began, the native ``error`` event says it instead.
    """
    if not any(event.name not in {"", "ping"} for event in seen):
        kind = error_type(refusal.http_status)
        return _write(error_body(kind, told(refusal), refusal.record or None, code=refusal.code.value))
    out = b"".join(
        _write({"type": "content_block_stop", "index": index}) for index in sorted(_still_open(seen))
    )
    if not any(event.name == "message_delta" for event in seen):
        out += _write(_stopped(refusal, seen))
    return out + _write({"type": "message_stop"})


def _still_open(seen: Sequence[StreamEvent]) -> set[int]:
    still: set[int] = set()
    for event in seen:
        if event.data is None:
            continue
        if event.name in {"content_block_start", "content_block_delta"}:
            still.add(event.data["index"])
        elif event.name == "content_block_stop":
            still.discard(event.data["index"])
    return still


def _stopped(refusal: Refusal, seen: Sequence[StreamEvent]) -> Tree:
    """Return the ``message_delta``. Its count overwrites earlier ones, so the last one known is repeated."""
    output = 0
    for event in seen:
        if event.usage is not None and event.usage.output_tokens is not None:
            output = event.usage.output_tokens
    return {
        "type": "message_delta",
        "delta": {
            "stop_reason": "refusal",
            "stop_sequence": None,
            "stop_details": {"type": "refusal", "category": None, "explanation": told(refusal)},
        },
        "usage": {"output_tokens": output},
        "magistrate": {"code": refusal.code.value, "message": told(refusal), "record": refusal.record},
    }
