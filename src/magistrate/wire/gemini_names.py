"""The two spellings of Gemini's field names, and reading a field by either."""

import re
from functools import lru_cache

from magistrate.exchange.content import Json, Tree

_CAPITAL = re.compile(r"[A-Z]")


@lru_cache(maxsize=512)
def snake(name: str) -> str:
    """Return the protobuf spelling of a JSON name: ``maxOutputTokens`` is ``max_output_tokens``."""
    return _CAPITAL.sub(lambda match: "_" + match[0].lower(), name)


def spelled(tree: Tree, name: str) -> str:
    """Return the spelling in which ``tree`` holds the field ``name``; ``name`` itself when it holds none."""
    other = snake(name)
    return other if other in tree and name not in tree else name


def get(tree: Json, name: str) -> Json:
    """Return the field ``name`` by either spelling, or None."""
    return tree.get(spelled(tree, name)) if type(tree) is dict else None


def text_of(tree: Json, name: str) -> str:
    """Return the field if it is a string, else nothing."""
    value = get(tree, name)
    return value if type(value) is str else ""


def objects(value: Json) -> list[Tree]:
    """Return the objects of a list, or the one object that stands in its place."""
    if type(value) is dict:
        return [value]
    return [item for item in value if type(item) is dict] if type(value) is list else []
