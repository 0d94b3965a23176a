"""Text in a tree: sweeping out every string, and putting rewrites back by path.

`sweep` is the obvious reading, with no knowledge of any API; `shapes` adds that knowledge. What a dialect does not
know is swept, so nothing can stand in a body unseen, whatever an API adds next year.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from magistrate.exchange.content import Json, Part, PartKind, Path, Role, Tree
from magistrate.exchange.errors import Unreadable
from magistrate.wire.strict import NotJson, dump, parse_inner

LONG_NUMBER = 10**6
"""From here on a number can spell something (a phone, an account, a card), so it is filed like text. Rewriting it
puts a string in its place."""

Where: TypeAlias = tuple[Path, Path | None]
"""``path`` and ``inner`` of a part."""

# --- sweeping ---------------------------------------------------------------------------------------------------


def sweep(
    value: Json,
    path: Path = (),
    role: Role = Role.METADATA,
    kind: PartKind = PartKind.METADATA,
) -> list[Part]:
    """Return a part for every string, every key and every long number in ``value``."""
    out: list[Part] = []
    sweep_into(value, path, role, out, kind)
    return out


def sweep_into(
    value: Json, path: Path, role: Role, out: list[Part], kind: PartKind = PartKind.METADATA
) -> None:
    """`sweep`, appending to ``out``."""
    of = type(value)
    if of is str:
        out.append(Part(path, role, kind, value))
    elif of is dict:
        for key, member in value.items():
            here = (*path, key)
            out.append(Part(here, role, PartKind.KEY, key))
            if type(member) is str:
                out.append(Part(here, role, kind, member))
            else:
                sweep_into(member, here, role, out, kind)
    elif of is list:
        for index, item in enumerate(value):
            if type(item) is str:
                out.append(Part((*path, index), role, kind, item))
            else:
                sweep_into(item, (*path, index), role, out, kind)
    elif (of is int or of is float) and not -LONG_NUMBER < value < LONG_NUMBER:
        out.append(Part(path, role, kind, str(value)))


# --- JSON inside a string -----------------------------------------------------------------------------------------


def argument_parts(
    value: str, path: Path = (), role: Role = Role.ASSISTANT, kind: PartKind = PartKind.TOOL_ARGUMENTS
) -> list[Part]:
    """Return the parts of a JSON text, with ``inner`` paths; one part for the whole if it is not JSON.

    Also for a streamed channel of kind TOOL_ARGUMENTS once it is complete.

    Raises:
        Unreadable: parsers would differ about it (duplicate keys, NaN, lone surrogates).
    """
    try:
        inside = parse_inner(value, path)
    except NotJson:
        return [Part(path, role, kind, value)]
    return [Part(path, p.role, p.kind, p.text, inner=p.path) for p in sweep(inside, (), role, kind)] or [
        Part(path, role, kind, value)
    ]


def is_whole(value: str) -> bool:
    """Return whether ``value`` is a JSON object or array to its last character, so that nothing can belong behind it."""
    try:
        return isinstance(parse_inner(value, ()), dict | list)
    except (NotJson, Unreadable):
        return False


def rewrite_arguments(value: str, parts: Sequence[Part], rewrites: Mapping[int, str]) -> str:
    """Put new texts (by index into ``parts``, which `argument_parts` gave) back into a JSON text."""
    changed = rewrite({"": value}, [_under(part) for part in parts], rewrites)[""]
    assert type(changed) is str
    return changed


def _under(part: Part) -> Part:
    return Part(("",), part.role, part.kind, part.text, part.inner)


# --- putting rewrites back --------------------------------------------------------------------------------------


def rewrite(tree: Tree, parts: Sequence[Part], rewrites: Mapping[int, str]) -> Tree:
    """Return ``tree`` with new texts for the parts named by index. Copies only along their paths.

    Raises:
        ValueError: a key or opaque bytes were to be rewritten, which only refusing can answer.
    """
    if not rewrites:
        return tree
    changes: dict[Where, str] = {}
    for index, new in rewrites.items():
        part = parts[index]
        if part.kind is PartKind.KEY or part.kind is PartKind.OPAQUE:
            place = ".".join(map(str, part.path))
            raise ValueError(f"`{place}` is {part.kind.value}: it can be refused, not rewritten")
        changes[part.path, part.inner] = new
    return replace(tree, changes)


class _Turn:
    """A step of the merged paths: where to go on, inside the value and inside the JSON text it holds."""

    __slots__ = ("inner", "steps", "text")

    def __init__(self) -> None:
        self.steps: dict[str | int, _Turn] = {}
        self.inner: _Turn | None = None
        self.text: str | None = None

    def walk(self, path: Path) -> "_Turn":
        here = self
        for step in path:
            here = here.steps.setdefault(step, _Turn())
        return here


def replace(tree: Tree, changes: Mapping[Where, str]) -> Tree:
    """Return ``tree`` with the strings at (path, inner) replaced; everything beside the paths is shared."""
    if len(changes) == 1:
        ((path, inner), new), *_ = changes.items()
        if inner is None:
            # Nearly every event of a stream has one piece of one text.
            only: Tree = _put(tree, path, 0, new)
            return only
    root = _Turn()
    for (path, inner), new in changes.items():
        turn = root.walk(path)
        if inner is not None:
            turn.inner = turn.inner or _Turn()
            turn = turn.inner.walk(inner)
        turn.text = new
    changed = _apply(tree, root)
    assert type(changed) is dict
    return changed


def _put(value: Json, path: Path, at: int, new: str) -> Json:
    if at == len(path):
        return new
    copied = value.copy()
    copied[path[at]] = _put(copied[path[at]], path, at + 1, new)
    return copied


def _apply(value: Json, turn: _Turn) -> Json:
    if turn.text is not None:
        return turn.text
    if turn.inner is not None:
        return dump(_apply(parse_inner(value, ()), turn.inner)).decode()
    copied = value.copy()
    for step, onward in turn.steps.items():
        copied[step] = _apply(copied[step], onward)
    return copied
