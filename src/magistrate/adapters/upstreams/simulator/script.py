"""Directives: what a user message asks the simulator to do. The grammar stands in the package's docstring."""

import re

import msgspec

DEFAULT_SIZE = 16
"""Characters of text in one streamed piece."""


class Script(msgspec.Struct, frozen=True):
    """One message's directives. None and zero mean that the message did not say."""

    say: str | None = None
    then_say: str | None = None
    reason: str = ""
    refuse: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    """Tool name and its arguments, as written."""
    truncated: bool = False
    usage: tuple[int, int] | None = None
    pieces: int = 0
    size: int = DEFAULT_SIZE
    fail: int = 0
    fail_at: str = ""
    hang_s: float = 0.0
    pause_s: float = 0.0
    cut_after: int | None = None
    malformed: bool = False

    def fails_at(self, *names: str) -> bool:
        """True when a failure was ordered here."""
        return bool(self.fail) and (not self.fail_at or self.fail_at in names)


_TEXT = re.compile(r"(say|then say|reason|refuse): ?(.*)")
_CALL = re.compile(r"call tool (\S+)(?: +(.+))?")
_NUMBER = re.compile(
    r"(?P<chunks>chunks: ?(\d{1,6}))|(?P<size>chunk size: ?(\d{1,6}))|(?P<cut>cut after (\d{1,6}) chunks?)"
    r"|(?P<hang>hang: ?(\d{1,4}(?:\.\d{1,6})?))|(?P<pause>pause: ?(\d{1,4}(?:\.\d{1,6})?))"
)
_FAIL = re.compile(r"fail: ?([45]\d\d)(?: at (\S+))?")
_USAGE = re.compile(r"usage: ?(\d{1,9}) (\d{1,9})")
_MARKS = ("say:", "reason:", "refuse:", "call tool ", "chunk", "fail:", "hang:", "pause:", "malformed",
          "finish: length", "usage:", "backwards")  # fmt: skip

_NOTHING = Script()


def read_script(message: str) -> Script:
    """Return the directives in ``message``."""
    if not any(mark in message for mark in _MARKS):
        return _NOTHING
    found: dict[str, object] = {}
    lines = [line.strip() for line in message.split("\n")]
    step = -1 if "backwards" in lines else 1
    texts: dict[str, list[str]] = {}
    calls: list[tuple[str, str]] = []
    for line in lines:
        if match := _TEXT.fullmatch(line):
            texts.setdefault(match[1].replace(" ", "_"), []).append(match[2][::step])
        elif match := _CALL.fullmatch(line):
            calls.append((match[1], (match[2] or "{}"[::step])[::step]))
        elif line == "malformed":
            found["malformed"] = True
        elif line == "finish: length":
            found["truncated"] = True
        else:
            found.update(_setting(line))
    return Script(**found, calls=tuple(calls), **{k: "\n".join(v) for k, v in texts.items()})  # type: ignore[arg-type]  # because the names are this class's own


_FIELDS = {
    "chunks": ("pieces", int),
    "size": ("size", int),
    "cut": ("cut_after", int),
    "hang": ("hang_s", float),
    "pause": ("pause_s", float),
}


def _setting(line: str) -> dict[str, object]:
    if match := _NUMBER.fullmatch(line):
        name = str(match.lastgroup)
        field, number = _FIELDS[name]
        value = number(next(g for g in reversed(match.groups()) if g is not None))
        return {field: max(1, value) if field == "size" else value}
    if match := _FAIL.fullmatch(line):
        return {"fail": int(match[1]), "fail_at": match[2] or ""}
    if match := _USAGE.fullmatch(line):
        return {"usage": (int(match[1]), int(match[2]))}
    return {}
