"""OpenAI chat completions, streamed: chunks, then ``data: [DONE]``."""

from collections.abc import Iterable, Mapping, Sequence

from magistrate.exchange.content import Json, Part, PartKind, Path, Role, Tree
from magistrate.exchange.outcome import Refusal
from magistrate.exchange.stream import Channel, Delta, StreamEvent
from magistrate.wire import openai_native as native
from magistrate.wire.growth import grow, nest
from magistrate.wire.openai_chat_shapes import CHUNK, CHUNK_CHOICE, ROLES
from magistrate.wire.openai_logprobs import vouch
from magistrate.wire.shapes import METADATA, bytes_part, ident, wrong
from magistrate.wire.sse import SseEvent
from magistrate.wire.sse import write_event as write_sse
from magistrate.wire.strict import dump, parse
from magistrate.wire.tree import Where, replace, rewrite, sweep

DONE = b"data: [DONE]\n\n"

_TEXTS = {
    "content": ("text", PartKind.TEXT),
    "refusal": ("refusal", PartKind.REFUSAL),
    "reasoning_content": ("reasoning_content", PartKind.REASONING),
    "reasoning": ("reasoning", PartKind.REASONING),
}
_HEAD = ("id", "object", "created", "model", "system_fingerprint", "service_tier")


class ChunkReader:
    """Reads one stream's events, knowing which channels are open."""

    def __init__(self) -> None:
        self._open: dict[Json, dict[Channel, None]] = {}

    def read(self, sse: SseEvent) -> StreamEvent:
        """Read one event. Raises `MalformedAnswer` or `Unreadable`."""
        if sse.data.strip() == b"[DONE]":
            return StreamEvent("", None, raw=DONE, closes_all=True, terminal=True)
        tree = parse(sse.data)
        tree.pop("obfuscation", None)  # random padding against traffic analysis, undone by our own cutting
        if tree.get("error") is not None:
            return StreamEvent("", tree, parts=tuple(sweep(tree, kind=PartKind.TEXT)), error=True)
        parts: list[Part] = []
        CHUNK(tree, (), METADATA, parts)
        deltas: list[Delta] = []
        closes: list[Channel] = []
        settles: list[Channel] = []
        finish = ""
        for position, choice in enumerate(tree["choices"]):
            before = len(deltas)
            index = self._choice(choice, ("choices", position), deltas, parts)
            settles += self._settled(choice, index)
            if choice.get("finish_reason") is not None:
                finish = native.text_of(choice, "finish_reason")
                closes += self._open.pop(index, ())
            if choice.get("logprobs") is not None:
                tree = _checked_tokens(tree, position, deltas[before:])
        return StreamEvent(
            "",
            tree,
            deltas=tuple(deltas),
            parts=tuple(parts),
            closes=tuple(closes),
            settles=tuple(settles),
            model=native.text_of(tree, "model"),
            fingerprint=native.text_of(tree, "system_fingerprint"),
            finish=finish,
            usage=native.usage_of(tree) if type(tree.get("usage")) is dict else None,
        )

    def _choice(self, choice: Json, path: Path, deltas: list[Delta], parts: list[Part]) -> Json:
        """Read one choice into deltas and parts; return its index."""
        if type(choice) is not dict:
            raise wrong(choice, path, "an object")
        index = choice.get("index", path[-1])
        if type(index) is not int:
            raise wrong(index, (*path, "index"), "a whole number")
        before = len(deltas)
        settled = {k: v for k, v in choice.items() if k not in ("delta", "text", "logprobs")}
        CHUNK_CHOICE(settled, path, Role.ASSISTANT, parts)
        if (piece := choice.get("text")) is not None:
            _say(piece, (*path, "text"), (index, "text"), PartKind.TEXT, deltas)
        if (delta := choice.get("delta")) is not None:
            _delta(delta, (*path, "delta"), index, deltas, parts)
        open_here = self._open.setdefault(index, {})
        open_here.update(dict.fromkeys(each.channel for each in deltas[before:]))
        return index

    def _settled(self, choice: Tree, index: Json) -> Iterable[Channel]:
        """Return the choice's other tool calls when it goes on with one: SDKs take them as complete from here on."""
        delta = choice.get("delta")
        calls = delta.get("tool_calls") if type(delta) is dict else None
        going_on = {call.get("index", position) for position, call in enumerate(calls or ())}
        if not going_on:
            return ()
        return [c for c in self._open[index] if c[1] == "tool" and len(c) == 3 and c[2] not in going_on]


def _delta(delta: Json, path: Path, index: int, deltas: list[Delta], parts: list[Part]) -> None:
    if type(delta) is not dict:
        raise wrong(delta, path, "an object")
    for key, value in delta.items():
        here = (*path, key)
        if value is None:
            if key not in _KNOWN:
                parts.append(Part(here, METADATA, PartKind.KEY, key))
        elif key in _TEXTS:
            name, kind = _TEXTS[key]
            _say(value, here, (index, name), kind, deltas)
        elif key == "role":
            if type(value) is not str or value not in ROLES:
                parts += sweep(value, here)
        elif key == "tool_calls":
            _calls(value, here, index, deltas, parts)
        elif key == "function_call":
            _function(value, here, (index, "function"), deltas, parts)
        elif key == "audio":
            _audio(value, here, index, deltas, parts)
        else:
            parts.append(Part(here, METADATA, PartKind.KEY, key))
            kind = PartKind.REASONING if key == "reasoning_details" else PartKind.TEXT
            grow(value, here, (index, key), deltas, parts, kind)


_KNOWN = frozenset((*_TEXTS, "role", "tool_calls", "function_call", "audio"))


def _say(value: Json, path: Path, channel: Channel, kind: PartKind, deltas: list[Delta]) -> None:
    if type(value) is not str:
        raise wrong(value, path, "a string or null")
    if value:
        deltas.append(Delta(channel, path, value, kind=kind))


def _calls(value: Json, path: Path, index: int, deltas: list[Delta], parts: list[Part]) -> None:
    if type(value) is not list:
        raise wrong(value, path, "an array")
    for position, call in enumerate(value):
        here = (*path, position)
        if type(call) is not dict:
            raise wrong(call, here, "an object")
        which = call.get("index", position)
        if type(which) is not int:
            raise wrong(which, (*here, "index"), "a whole number")
        for key, member in call.items():
            if key in ("function", "custom") and member is not None:
                _function(member, (*here, key), (index, "tool", which), deltas, parts)
            elif key == "id":
                ident(member, (*here, key), METADATA, parts)
            elif key != "index" and not (key == "type" and member in ("function", "custom", None)):
                parts.append(Part((*here, key), METADATA, PartKind.KEY, key))
                grow(member, (*here, key), (index, "tool", which, key), deltas, parts)


def _function(value: Json, path: Path, channel: Channel, deltas: list[Delta], parts: list[Part]) -> None:
    if type(value) is not dict:
        raise wrong(value, path, "an object")
    for key, member in value.items():
        here = (*path, key)
        if key in ("arguments", "input") and (member is None or type(member) is str):
            _say(member or "", here, channel, PartKind.TOOL_ARGUMENTS, deltas)
        elif key == "name":
            ident(member, here, METADATA, parts)
        else:
            parts.append(Part(here, METADATA, PartKind.KEY, key))
            grow(member, here, (*channel, key), deltas, parts)


def _audio(value: Json, path: Path, index: int, deltas: list[Delta], parts: list[Part]) -> None:
    if type(value) is not dict:
        raise wrong(value, path, "an object")
    for key, member in value.items():
        here = (*path, key)
        if key == "transcript":
            _say(member or "", here, (index, "transcript"), PartKind.TEXT, deltas)
        elif key == "data" and type(member) is str:
            parts.append(bytes_part(member, here, Role.ASSISTANT, "audio/*"))
        elif key in ("id", "expires_at"):
            ident(member, here, METADATA, parts)
        else:
            parts.append(Part(here, METADATA, PartKind.KEY, key))
            grow(member, here, (index, "audio", key), deltas, parts)


def _checked_tokens(tree: Tree, position: int, deltas: Iterable[Delta]) -> Tree:
    """Drop a choice's token texts unless they repeat this chunk's own text and nothing else."""
    texts = {str(delta.path[-1]): delta.text for delta in deltas if len(delta.path) == 4}
    logprobs = tree["choices"][position]["logprobs"]
    if type(logprobs) is dict and not _has_alternatives(logprobs):
        spelled = {name: texts.get(name, "") for name in ("content", "refusal")}
        if vouch(logprobs, spelled):
            return tree
    return _without_tokens(tree, {position})


def _has_alternatives(logprobs: Tree) -> bool:
    """True when other tokens than the chosen ones stand in a chunk: over a stream they could spell a text."""
    entries = [entry for listed in logprobs.values() if type(listed) is list for entry in listed]
    return any(
        type(other) is not dict or other.get("token") != entry.get("token")
        for entry in entries
        if type(entry) is dict and type(entry.get("top_logprobs")) is list
        for other in entry["top_logprobs"]
    )


def _without_tokens(tree: Tree, positions: set[Json]) -> Tree:
    if not any("logprobs" in choice for choice in tree["choices"]):
        return tree
    choices = [
        {**choice, "logprobs": None} if position in positions and "logprobs" in choice else choice
        for position, choice in enumerate(tree["choices"])
    ]
    return {**tree, "choices": choices}


# --- writing ----------------------------------------------------------------------------------------------------


def write_event(event: StreamEvent, texts: Mapping[int, str], parts: Mapping[int, str]) -> bytes:
    """Serialise an event; a choice whose text changes loses its token texts."""
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
        tree = _without_tokens(tree, {path[1] for path, _ in changed if path[0] == "choices"})
    return write_sse("", dump(tree))


def carry(template: StreamEvent, delta: Delta, text: str) -> bytes:
    """A chunk like ``template`` with nothing but ``text`` on ``delta``'s channel."""
    choice: Tree = {
        "index": delta.channel[0],
        "delta": {},
        **nest(delta.path[2:], text),
        "finish_reason": None,
    }
    calls = choice["delta"].get("tool_calls")
    if calls:
        calls[0]["index"] = delta.channel[2]
    return write_sse("", dump({**_head([template]), "choices": [choice]}))


def refuse(refusal: Refusal, seen: Sequence[StreamEvent]) -> bytes:
    """End the stream as OpenAI ends a filtered one: every open choice stops with ``content_filter``, then the end.

    An error event would make SDKs throw away what was rightly said; ``magistrate`` tells those who look.
    """
    finished: dict[int, bool] = {}
    for event in seen:
        for choice in (event.data or {}).get("choices") or ():
            index = choice.get("index", 0)
            finished[index] = finished.get(index, False) or choice.get("finish_reason") is not None
    stopped = [index for index, done in finished.items() if not done] or [0]
    tree = {
        **_head(seen),
        "choices": [{"index": index, "delta": {}, "finish_reason": "content_filter"} for index in stopped],
        "magistrate": {
            "code": refusal.code.value,
            "message": native.told(refusal),
            "record": refusal.record,
        },
    }
    return write_sse("", dump(tree)) + DONE


def _head(seen: Sequence[StreamEvent]) -> Tree:
    """Return what every chunk of this stream repeats."""
    for event in reversed(seen):
        if event.data is not None and "choices" in event.data:
            return {key: event.data[key] for key in _HEAD if key in event.data}
    return {"id": "", "object": "chat.completion.chunk", "created": 0, "model": ""}
