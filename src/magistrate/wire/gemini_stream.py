"""Gemini, streamed (``alt=sse``): each event is a piece of a whole answer, and nothing but the end marks the end.

So from the first finish reason on, the latest event is kept until the next comes: the one that is left at the end
of input closes all channels. A stream without any finish reason was cut.
"""

from collections.abc import Mapping, Sequence

from magistrate.exchange.content import Json, Part, PartKind, Path, Role, Tree
from magistrate.exchange.errors import MalformedAnswer, Unreadable
from magistrate.exchange.outcome import Refusal
from magistrate.exchange.stream import Channel, Delta, StreamEvent
from magistrate.wire import gemini_shapes as shapes
from magistrate.wire.gemini_logprobs import drop_foreign_tokens
from magistrate.wire.gemini_names import get, objects, spelled, text_of
from magistrate.wire.gemini_native import usage_of
from magistrate.wire.growth import grow, nest
from magistrate.wire.openai_native import told
from magistrate.wire.shapes import METADATA, Visit, word, wrong
from magistrate.wire.sse import COMMENT, SseReader
from magistrate.wire.sse import write_event as write_sse
from magistrate.wire.strict import describe, dump, parse
from magistrate.wire.tree import Where, replace, rewrite, sweep

_TOP = shapes.both(shapes.TOP_FIELDS)
_CANDIDATE = shapes.both(shapes.CANDIDATE_FIELDS)
_PART = shapes.both(shapes.PART_FIELDS)
_ROLE = word(*shapes.ROLES)
_ARRAY = "the endpoint streams a JSON array: call with `alt=sse`, which is what magistrate reads"


class ChunkReader:
    """A `StreamReader` for chunks."""

    def __init__(self) -> None:
        self._sse = SseReader()
        self._began = False
        self._finished = False
        self._ended = False
        self._kept: StreamEvent | None = None
        self._told: dict[Path, str] = {}

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Return the events completed by ``data``. Raises `MalformedAnswer`."""
        if not self._began and (start := data.lstrip()):
            self._began = True
            if start[:1] in (b"[", b","):
                raise MalformedAnswer(_ARRAY)
        return self._events(self._sse.feed(data))

    def finish(self) -> list[StreamEvent]:
        """Return the event that turns out to be the last. Raises `MalformedAnswer` for a cut stream."""
        events = self._events(self._sse.finish())
        if self._ended:
            return events
        if self._kept is None:
            raise MalformedAnswer("the stream was cut before its terminal event")
        kept, self._kept, self._ended = self._kept, None, True
        return [*events, _last(kept)]

    def _events(self, arrived: Sequence[Json]) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        for sse in arrived:
            if self._ended:
                break
            if sse.comment:
                events.append(StreamEvent("", None, raw=COMMENT))
                continue
            try:
                event = self._read(parse(sse.data))
            except Unreadable as error:
                raise MalformedAnswer(describe(error)) from error
            if self._kept is not None:
                events.append(self._kept)
                self._kept = None
            self._finished = self._finished or bool(event.finish)
            if event.error:
                self._ended = True
            elif self._finished:
                self._kept = event
                continue
            events.append(event)
        return events

    def _read(self, tree: Tree) -> StreamEvent:
        if tree.get("error") is not None:
            parts = tuple(sweep(tree, (), Role.ASSISTANT, PartKind.TEXT))
            return StreamEvent("", tree, parts=parts, closes_all=True, terminal=True, error=True)
        deltas: list[Delta] = []
        found: list[Part] = []
        finish = text_of(tree.get("promptFeedback"), "blockReason")
        for key, member in tree.items():
            if key != "candidates":
                _member(_TOP, key, member, (), ("?",), deltas, found, METADATA)
        for position, candidate in enumerate(_list(tree.get("candidates"), ("candidates",))):
            here = ("candidates", position)
            _candidate(candidate, here, deltas, found)
            finish = text_of(candidate, "finishReason") or finish
        usage = get(tree, "usageMetadata")
        return StreamEvent(
            "",
            tree,
            deltas=tuple(deltas),
            parts=tuple(part for part in found if self._is_new(part)),
            model=text_of(tree, "modelVersion"),
            finish=finish,
            usage=usage_of(usage) if usage is not None else None,
        )

    def _is_new(self, part: Part) -> bool:
        """Ids that every event repeats are filed when they change."""
        if len(part.path) > 1 or part.kind is not PartKind.METADATA:
            return True
        if self._told.get(part.path) == part.text:
            return False
        self._told[part.path] = part.text
        return True


def _last(event: StreamEvent) -> StreamEvent:
    return StreamEvent(
        event.name,
        event.data,
        deltas=event.deltas,
        parts=event.parts,
        closes_all=True,
        terminal=True,
        model=event.model,
        finish=event.finish,
        usage=event.usage,
    )


# --- reading a chunk --------------------------------------------------------------------------------------------


def _list(value: Json, path: Path) -> list[Json]:
    if value is None:
        return []
    if type(value) is not list:
        raise wrong(value, path, "an array")
    return value


def _member(
    table: Mapping[str, Visit],
    key: str,
    member: Json,
    path: Path,
    channel: Channel,
    deltas: list[Delta],
    parts: list[Part],
    role: Role,
) -> None:
    """Read a field by its table; one that no table knows may grow."""
    here = (*path, key)
    if key in table:
        if member is not None:
            table[key](member, here, role, parts)
    else:
        parts.append(Part(here, METADATA, PartKind.KEY, key))
        grow(member, here, (*channel, key), deltas, parts)


def _candidate(candidate: Json, path: Path, deltas: list[Delta], parts: list[Part]) -> None:
    if type(candidate) is not dict:
        raise wrong(candidate, path, "an object")
    index = candidate.get("index", path[-1])
    if type(index) is not int:
        raise wrong(index, (*path, "index"), "a whole number")
    drop_foreign_tokens(candidate, alternatives=False)
    for key, member in candidate.items():
        if key == "content":
            _content(member, (*path, "content"), index, deltas, parts)
        elif key != "logprobsResult":
            _member(_CANDIDATE, key, member, path, (index, "?"), deltas, parts, Role.ASSISTANT)


def _content(content: Json, path: Path, index: int, deltas: list[Delta], parts: list[Part]) -> None:
    if content is None:
        return
    if type(content) is not dict:
        raise wrong(content, path, "an object")
    for key, member in content.items():
        here = (*path, key)
        if key == "role":
            _ROLE(member, here, Role.ASSISTANT, parts)
        elif key == "parts":
            for position, part in enumerate(_list(member, here)):
                _part(part, (*here, position), index, deltas, parts)
        else:
            _member({}, key, member, path, (index, "?"), deltas, parts, Role.ASSISTANT)


def _part(part: Json, path: Path, index: int, deltas: list[Delta], parts: list[Part]) -> None:
    if type(part) is not dict:
        raise wrong(part, path, "an object")
    thought = part.get("thought") is True
    for key, member in part.items():
        here = (*path, key)
        if key == "text":
            _say(member, here, index, deltas, thought=thought)
            continue
        if key in ("functionCall", "function_call") and get(member, "partialArgs") is not None:
            raise MalformedAnswer("streamed function arguments are not supported: they are judged as a whole")
        _member(_PART, key, member, path, (index, "?"), deltas, parts, Role.ASSISTANT)


def _say(value: Json, path: Path, index: int, deltas: list[Delta], *, thought: bool) -> None:
    if value is None or value == "":
        return
    if type(value) is not str:
        raise wrong(value, path, "a string")
    channel, kind = ("thought", PartKind.REASONING) if thought else ("text", PartKind.TEXT)
    deltas.append(Delta((index, channel), path, value, kind=kind))


# --- writing ----------------------------------------------------------------------------------------------------


def write_event(event: StreamEvent, texts: Mapping[int, str], parts: Mapping[int, str]) -> bytes:
    """Serialise an event; a candidate whose text changes loses its token texts."""
    if event.data is None:
        return event.raw
    tree = rewrite(event.data, event.parts, parts)
    changed: dict[Where, str] = {
        (event.deltas[index].path, None): new
        for index, new in texts.items()
        if new != event.deltas[index].text
    }
    if changed:
        tree = without_tokens(replace(tree, changed), [path for path, _ in changed])
    return write_sse("", dump(tree))


def without_tokens(tree: Tree, rewritten: Sequence[Path]) -> Tree:
    """Return ``tree`` without ``logprobsResult`` in the candidates that hold a rewritten text."""
    touched = {path[1] for path in rewritten if len(path) > 1 and path[0] == "candidates"}
    if not touched:
        return tree
    candidates = [
        {key: member for key, member in candidate.items() if key != "logprobsResult"}
        if position in touched
        else candidate
        for position, candidate in enumerate(tree["candidates"])
    ]
    return {**tree, "candidates": candidates}


def carry(template: StreamEvent, delta: Delta, text: str) -> bytes:
    """A chunk with nothing but ``text`` on ``delta``'s channel."""
    head = _head([template])
    index = delta.channel[0]
    if index == "?":
        return write_sse("", dump({**head, **nest(delta.path, text)}))
    candidate: Tree = {"index": index, **nest(delta.path[2:], text)}
    if delta.channel[1] == "thought":
        candidate["content"]["parts"][0]["thought"] = True
    if "content" in candidate:
        candidate["content"]["role"] = "model"
    return write_sse("", dump({**head, "candidates": [candidate]}))


_HEAD = ("modelVersion", "responseId", "createTime")


def _head(seen: Sequence[StreamEvent]) -> Tree:
    """Return what every chunk of this stream repeats."""
    for event in reversed(seen):
        if event.data is not None and "error" not in event.data:
            names = [spelled(event.data, name) for name in _HEAD]
            return {name: event.data[name] for name in names if name in event.data}
    return {}


def refuse(refusal: Refusal, seen: Sequence[StreamEvent]) -> bytes:
    """End the stream as Gemini ends a filtered one: every open candidate stops, with ``SAFETY`` for a verdict.

    A fault of ours or the endpoint's stops with ``OTHER``. ``finishMessage`` and ``magistrate`` tell those who look.
    """
    reason = "SAFETY" if refusal.http_status < 500 else "OTHER"
    finished: dict[int, bool] = {}
    for event in seen:
        for position, candidate in enumerate(objects((event.data or {}).get("candidates"))):
            index = candidate.get("index", position)
            finished[index] = finished.get(index, False) or bool(text_of(candidate, "finishReason"))
    stopped = [index for index, done in sorted(finished.items()) if not done] or [0]
    tree = {
        **_head(seen),
        "candidates": [
            {
                "content": {"role": "model", "parts": []},
                "finishReason": reason,
                "finishMessage": told(refusal),
                "index": index,
            }
            for index in stopped
        ],
        "magistrate": {"code": refusal.code.value, "message": told(refusal), "record": refusal.record},
    }
    return write_sse("", dump(tree))
