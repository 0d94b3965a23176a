"""OpenAI responses, streamed: items and their contents by index, between ``response.created`` and its end.

Texts come three times: in deltas, whole in a ``done`` event, and whole in the last event. Deltas are channels; the
repetitions are parts, judged as the whole texts they are.

``sequence_number``: an inserted event (`carry`) repeats the number of the event it continues, so that all later
numbers stay the endpoint's own. No client known to us counts; those that resume a stream by number ask the endpoint.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from magistrate.exchange.content import Json, Part, PartKind, Path, Role, Tree
from magistrate.exchange.errors import MalformedAnswer
from magistrate.exchange.outcome import Refusal
from magistrate.exchange.stream import Channel, Delta, StreamEvent
from magistrate.wire.growth import grow, nest
from magistrate.wire.openai_logprobs import alternatives
from magistrate.wire.openai_native import text_of, told
from magistrate.wire.openai_responses_events import (
    CONTENT_TEXTS,
    ENDS,
    EVENTS,
    GROWTHS,
    ITEM_TEXTS,
    LIFECYCLE,
    STARTS,
    Growth,
)
from magistrate.wire.openai_responses_items import drop_foreign_tokens
from magistrate.wire.openai_responses_usage import finish_of, usage_of
from magistrate.wire.shapes import METADATA, ident, wrong
from magistrate.wire.sse import SseEvent
from magistrate.wire.sse import write_event as write_sse
from magistrate.wire.strict import dump, parse
from magistrate.wire.tree import Where, replace, rewrite, sweep


class ResponseEvent(StreamEvent, frozen=True):
    """An event that remembers whose response it belongs to, so that a refusal can end that response."""

    head: Tree | None = None


_HEAD = ("id", "object", "created_at", "model")


class ResponseReader:
    """Reads one stream's events, knowing which channels are open and which have ended."""

    def __init__(self) -> None:
        self._open: dict[str | int, dict[Channel, None]] = {}
        self._ended: set[Channel] = set()
        self._told: dict[Path, str] = {}
        self._head: Tree | None = None

    def read(self, sse: SseEvent) -> StreamEvent:
        """Read one event. Raises `MalformedAnswer` or `Unreadable`."""
        tree = parse(sse.data)
        name = text_of(tree, "type")
        if sse.name and sse.name != name:
            raise MalformedAnswer("an event's name and its `type` differ")
        if name in LIFECYCLE:
            return self._lifecycle(name, tree)
        if name == "error" or tree.get("error") is not None:
            parts = sweep(tree, (), Role.ASSISTANT, PartKind.TEXT)
            return self._event(name, tree, [], parts, ended=True)
        deltas: list[Delta] = []
        parts = []
        shape = EVENTS.get(name)
        if (growth := GROWTHS.get(name)) is not None:
            _grow(growth, tree, deltas, parts)
        elif shape is None:
            _grow_unknown(name, tree, deltas, parts)
        else:
            shape.visit(tree, (), Role.ASSISTANT, parts)
            if name in STARTS:
                parts = _start(tree, deltas, parts)
        closes = self._closed(tree, shape.ends) if shape is not None and shape.ends else ()
        return self._event(name, tree, deltas, parts, closes)

    def _event(
        self,
        name: str,
        tree: Tree,
        deltas: list[Delta],
        parts: list[Part],
        closes: tuple[Channel, ...] = (),
        *,
        ended: bool = False,
    ) -> StreamEvent:
        for delta in deltas:
            if delta.channel in self._ended:
                raise MalformedAnswer("a text of the stream goes on after its end")
            self._open.setdefault(delta.channel[0], {})[delta.channel] = None
        return ResponseEvent(
            name,
            tree,
            deltas=tuple(deltas),
            parts=tuple(part for part in parts if self._is_new(part)),
            closes=closes,
            closes_all=ended,
            terminal=ended,
            error=ended,
            head=self._head,
        )

    def _lifecycle(self, name: str, tree: Tree) -> StreamEvent:
        response = tree.get("response")
        if type(response) is not dict:
            raise wrong(response, ("response",), "an object")
        parts: list[Part] = []
        EVENTS[name].visit(tree, (), METADATA, parts)
        self._head = {key: response[key] for key in _HEAD if key in response}
        last = name in ENDS
        return ResponseEvent(
            name,
            tree,
            parts=tuple(part for part in parts if self._is_new(part)),
            closes_all=last,
            terminal=last,
            error=name == "response.failed",
            model=text_of(response, "model"),
            finish=finish_of(response) if last else "",
            usage=usage_of(response) if last else None,
            head=self._head,
        )

    def _is_new(self, part: Part) -> bool:
        """Ids that every event repeats are filed when they change."""
        if len(part.path) > 1 or part.kind is not PartKind.METADATA:
            return True
        if self._told.get(part.path) == part.text:
            return False
        self._told[part.path] = part.text
        return True

    def _closed(self, tree: Tree, ends: tuple[str, ...]) -> tuple[Channel, ...]:
        """Return the open channels that end with this event."""
        channels = self._open.get(_item_of(tree), {})
        if ends == ("*",):
            closing = tuple(channels)
        else:
            places = {name: tuple(_index(tree, field) for field in INDEXES[name]) for name in ends}
            closing = tuple(
                channel
                for channel in channels
                if (place := places.get(str(channel[1]))) is not None and channel[2 : 2 + len(place)] == place
            )
        for channel in closing:
            del channels[channel]
        self._ended.update(closing)
        return closing


INDEXES = {growth.channel: growth.indexes for growth in GROWTHS.values()}


def _index(tree: Tree, name: str) -> int:
    index = tree.get(name)
    if type(index) is not int:
        raise wrong(index, (name,), "a whole number")
    return index


def _item_of(tree: Tree) -> int:
    """Return the output item an event belongs to; -1 for a transcript, which belongs to none."""
    return _index(tree, "output_index") if "output_index" in tree else -1


# --- what grows -------------------------------------------------------------------------------------------------


def _grow(growth: Growth, tree: Tree, deltas: list[Delta], parts: list[Part]) -> None:
    if growth.in_item:
        _index(tree, "output_index")
    channel: Channel = (_item_of(tree), growth.channel, *(_index(tree, name) for name in growth.indexes))
    growth.visit(tree, (), Role.ASSISTANT, parts)
    if tree.get("logprobs"):
        _drop_doubtful_tokens(tree)
    piece = tree.get("delta")
    if type(piece) is str:
        if piece:
            deltas.append(Delta(channel, ("delta",), piece, kind=growth.kind))
    elif growth.kind is PartKind.TOOL_RESULT and type(piece) is dict:
        grow(piece, ("delta",), channel, deltas, parts, growth.kind)
    else:
        raise wrong(piece, ("delta",), "a string")


def _drop_doubtful_tokens(tree: Tree) -> None:
    """Empty a piece's token texts unless they repeat it; alternatives could spell a text over a stream."""
    drop_foreign_tokens(tree, "delta")
    others: list[Part] = []
    alternatives({"logprobs": tree["logprobs"]}, (), Role.ASSISTANT, others)
    if others:
        tree["logprobs"] = []


_PLACE = ("type", "sequence_number", "item_id", "output_index", "content_index")


def _grow_unknown(name: str, tree: Tree, deltas: list[Delta], parts: list[Part]) -> None:
    """An event that no table knows: where it belongs is filed as it is, everything else may grow."""
    for key in _PLACE:
        if key in tree:
            ident(tree[key], (key,), METADATA, parts)
    where = [tree.get(key) for key in ("output_index", "content_index")]
    channel: Channel = ("?", name, *(index for index in where if type(index) is int))
    for key, member in tree.items():
        if key not in _PLACE:
            parts.append(Part((key,), METADATA, PartKind.KEY, key))
            grow(member, (key,), (*channel, key), deltas, parts)


def _start(tree: Tree, deltas: list[Delta], parts: list[Part]) -> list[Part]:
    """Move the first pieces of texts that stand in an ``added`` event already from ``parts`` to ``deltas``."""
    grown: set[Path] = set()
    for path, channel, kind in _beginnings(tree):
        value: Json = tree
        for step in path:
            value = value[step]
        if type(value) is str:
            grown.add(path)
            if value:
                deltas.append(Delta(channel, path, value, kind=kind))
    return [part for part in parts if part.path not in grown] if grown else parts


_Beginning: TypeAlias = tuple[Path, Channel, PartKind]


def _beginnings(tree: Tree) -> list[_Beginning]:
    """Return where an ``added`` event may hold the start of a channel."""
    index = _index(tree, "output_index")
    part, item = tree.get("part"), tree.get("item")
    if type(part) is dict:
        which = _index(tree, "summary_index" if "summary_index" in tree else "content_index")
        return _content_beginning(part, ("part",), index, which)
    if type(item) is not dict:
        return [(("command",), (index, "command", _index(tree, "command_index")), PartKind.TOOL_ARGUMENTS)]
    found: list[_Beginning] = []
    if (growing := ITEM_TEXTS.get(text_of(item, "type"))) is not None and growing[0] in item:
        found.append((("item", growing[0]), (index, growing[1]), PartKind.TOOL_ARGUMENTS))
    for field in ("content", "summary"):
        inner = item.get(field)
        for which, each in enumerate(inner if type(inner) is list else ()):
            if type(each) is dict:
                found += _content_beginning(each, ("item", field, which), index, which)
    return found


def _content_beginning(part: Tree, path: Path, item: int, which: int) -> list[_Beginning]:
    known = CONTENT_TEXTS.get(text_of(part, "type"))
    if known is None or known[0] not in part:
        return []
    field, channel, kind = known
    return [((*path, field), (item, channel, which), kind)]


# --- writing ----------------------------------------------------------------------------------------------------


def write_event(event: StreamEvent, texts: Mapping[int, str], parts: Mapping[int, str]) -> bytes:
    """Serialise an event; a text that changes loses its token texts."""
    if event.data is None:
        return event.raw
    tree = rewrite(event.data, event.parts, parts)
    changed: dict[Where, str] = {
        (event.deltas[index].path, None): new
        for index, new in texts.items()
        if new != event.deltas[index].text
    }
    if changed:
        tree = replace(tree, changed)
    forget_tokens(tree, [path for path, _ in changed] + [event.parts[index].path for index in parts])
    return _write(tree)


def forget_tokens(tree: Tree, rewritten: Sequence[Path]) -> None:
    """Empty ``logprobs`` beside each rewritten text. ``tree`` is a copy along those paths, so it may be changed."""
    for path in rewritten:
        holder: Json = tree
        for step in path[:-1]:
            holder = holder[step]
        if type(holder) is dict and holder.get("logprobs"):
            holder["logprobs"] = []


def _write(tree: Tree) -> bytes:
    name = text_of(tree, "type")
    return write_sse(name if name.replace(".", "_").isidentifier() else "", dump(tree))


_BY_CHANNEL = {growth.channel: (name, growth) for name, growth in GROWTHS.items()}


def carry(template: StreamEvent, delta: Delta, text: str) -> bytes:
    """A delta event with nothing but ``text`` on ``delta``'s channel, whatever event the channel began in."""
    data = template.data or {}
    place: Tree = {key: data[key] for key in ("sequence_number", "item_id", "output_index") if key in data}
    item = data.get("item")
    if type(item) is dict and type(item.get("id")) is str:
        place["item_id"] = item["id"]
    if delta.channel[0] == "?":
        return _write({"type": template.name, **place, **nest(delta.path, text)})
    kind, growth = _BY_CHANNEL[str(delta.channel[1])]
    indexes = dict(zip(growth.indexes, delta.channel[2:], strict=False))
    inside = delta.path[1:] if delta.path[0] == "delta" else ()
    tree: Tree = {"type": kind, **place, **indexes, "delta": nest(inside, text)}
    if kind == "response.output_text.delta":
        tree["logprobs"] = []
    return _write(tree)


def refuse(refusal: Refusal, seen: Sequence[StreamEvent]) -> bytes:
    """End the stream with ``response.failed``, OpenAI's own end of a response that its policy stops.

    A verdict has the code ``invalid_prompt``: Codex then stops and shows the message, while it runs the turn again
    after ``response.incomplete`` and after any code that it does not know; LangChain raises on it, while it takes an
    incomplete response for a good one. A fault has ``server_error``, because there another try can help. Nothing of
    the output is repeated. When the stream had not begun for the client, it begins here, because SDKs read no event
    before ``response.created``.
    """
    head = next((e.head for e in reversed(seen) if isinstance(e, ResponseEvent) and e.head is not None), None)
    number = max((_number(event) for event in seen), default=-1) + 1
    opening = b""
    if head is None:
        head = {"id": f"resp_{refusal.record}", "object": "response", "created_at": 0, "model": ""}
        begun = {**head, **_EMPTY, "status": "in_progress", "error": None}
        opening = _write({"type": "response.created", "sequence_number": number, "response": begun})
        number += 1
    ended = {
        **head,
        **_EMPTY,
        "status": "failed",
        "error": {"code": _code(refusal.http_status), "message": told(refusal)},
        "magistrate": {
            "code": refusal.code.value,
            "message": told(refusal),
            "record": refusal.record,
        },
    }
    return opening + _write({"type": "response.failed", "sequence_number": number, "response": ended})


_EMPTY: Tree = {
    "output": [],
    "incomplete_details": None,
    "instructions": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": None,
}


def _number(event: StreamEvent) -> int:
    number = event.data.get("sequence_number") if event.data is not None else None
    return number if type(number) is int else -1


def _code(status: int) -> str:
    if status == 429:
        return "rate_limit_exceeded"
    return "server_error" if status >= 500 else "invalid_prompt"
