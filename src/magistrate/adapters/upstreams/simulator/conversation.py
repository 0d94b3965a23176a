"""What was asked and what will be said, before any dialect spells it."""

import hashlib
from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec
import orjson

from magistrate.adapters.upstreams.simulator.script import Script, read_script

Json: TypeAlias = Any
"""A decoded JSON value of a request. Nothing is promised about it: clients may send anything."""

CREATED_S = 1_767_225_600
"""2026-01-01T00:00:00Z, when the simulator says that everything happened: the same request, the same answer."""

LONGEST_ECHO = 4_000
"""Characters of the user's text that an answer repeats."""


class Asked(msgspec.Struct, frozen=True):
    """A request, as far as an answer depends on it.

    ``returned`` is the text of the tool results that end the conversation, None when it ends with the user's words.
    """

    model: str
    said: str
    returned: str | None
    stream: bool
    size: int
    """Bytes of the request, from which its tokens are guessed."""
    digest: str
    choices: int = 1
    tell_usage: bool = True


class Call(msgspec.Struct, frozen=True):
    """A tool call; ``arguments`` is JSON text unless the script wanted otherwise."""

    id: str
    name: str
    arguments: str

    def parsed(self) -> Json:
        """Return the arguments as an object, for dialects that have no place for text."""
        try:
            value = orjson.loads(self.arguments)
        except orjson.JSONDecodeError:
            value = self.arguments
        return value if isinstance(value, dict) else {"value": value}


class Reply(msgspec.Struct, frozen=True):
    """What will be said, in every choice alike."""

    id: str
    model: str
    text: str
    reason: str
    refusal: str
    calls: tuple[Call, ...]
    truncated: bool
    input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    choices: int
    script: Script

    def pieces(self, text: str) -> Iterator[str]:
        """Cut a text as the script wants it streamed."""
        script = self.script
        size = -(-len(text) // script.pieces) if script.pieces else script.size
        return (text[start : start + size] for start in range(0, len(text), max(size, 1)))


def digest_of(body: bytes) -> str:
    return hashlib.blake2s(body, digest_size=12).hexdigest()


def compose(asked: Asked) -> Reply:
    """Decide what to say."""
    script = read_script(asked.said)
    after = asked.returned is not None
    calls = () if after else script.calls
    text = "" if script.refuse else _text(asked, script)
    output = (
        sum(map(len, (text, script.reason, script.refuse, *(arguments for _, arguments in calls)))) // 4 + 1
    )
    counted = script.usage or (asked.size // 4 + 1, output * asked.choices)
    return Reply(
        id=asked.digest,
        model=f"{asked.model}-simulator",
        text=text,
        reason="" if after else script.reason,
        refusal=script.refuse,
        calls=tuple(
            Call(f"{asked.digest}{number}", name, arguments) for number, (name, arguments) in enumerate(calls)
        ),
        truncated=script.truncated,
        input_tokens=counted[0],
        output_tokens=counted[1],
        reasoning_tokens=min(len(script.reason) // 4, counted[1]),
        choices=asked.choices,
        script=script,
    )


def _text(asked: Asked, script: Script) -> str:
    if asked.returned is not None:
        if script.then_say is not None:
            return script.then_say
        return f"[simulator] the tool returned: {_shortened(asked.returned)}"
    if script.say is not None:
        return script.say
    return "" if script.calls else f"[simulator] you said: {_shortened(asked.said)}"


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_ECHO else text[:LONGEST_ECHO] + " …"


def text_of(content: Json) -> str:
    """Return the text of a message's content, whichever dialect's: a string, or the ``text`` of its parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))


def objects(value: Json) -> list[dict[str, Json]]:
    """Return the objects in a list, or nothing where no list stands."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def whole_number(value: Json, default: int, most: int) -> int:
    return min(max(value, 1), most) if isinstance(value, int) else default


_SSE = b"data: %b\n\n"


def event(data: Json, name: str = "") -> bytes:
    """Write a server-sent event."""
    if name:
        return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(data))
    return _SSE % orjson.dumps(data)
