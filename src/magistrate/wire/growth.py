"""Texts that grow over a stream where no table says how.

A secret split over two events passes any inspection of single events. So a string in the growing part of an event
that its dialect does not know is a channel of its own, named by its path, and inspected over the whole stream.
"""

from magistrate.exchange.content import Json, Part, PartKind, Path, Role
from magistrate.exchange.stream import Channel, Delta
from magistrate.wire.tree import LONG_NUMBER


def grow(
    value: Json, path: Path, channel: Channel, deltas: list[Delta], parts: list[Part],
    kind: PartKind = PartKind.TEXT,
) -> None:  # fmt: skip
    """File every string in ``value`` as a delta of ``channel`` plus its path, every key and long number as a part."""
    of = type(value)
    if of is str:
        if value:
            deltas.append(Delta(channel, path, value, kind=kind))
    elif of is dict:
        for key, member in value.items():
            here = (*path, key)
            parts.append(Part(here, Role.ASSISTANT, PartKind.KEY, key))
            grow(member, here, (*channel, key), deltas, parts, kind)
    elif of is list:
        for index, item in enumerate(value):
            grow(item, (*path, index), (*channel, index), deltas, parts, kind)
    elif (of is int or of is float) and not -LONG_NUMBER < value < LONG_NUMBER:
        parts.append(Part(path, Role.ASSISTANT, kind, str(value)))


def nest(path: Path, text: str) -> Json:
    """Return the smallest value in which ``text`` stands at ``path``. List positions become 0."""
    value: Json = text
    for step in reversed(path):
        value = {step: value} if isinstance(step, str) else [value]
    return value
