"""Hit: a match on its way to a finding, in which spelling it was found, and what becomes of hits that overlap."""

from collections.abc import Iterable, Sequence

from magistrate.classify.encodings import Decoded
from magistrate.classify.views import View


class Hit:
    """A match in a text that many parts were joined to."""

    __slots__ = ("also", "end", "extent", "label", "priority", "rule", "score", "start", "view")

    def __init__(
        self, start: int, end: int, label: str, rule: str, priority: int, score: int, view: str
    ) -> None:
        self.start = start
        self.end = end
        self.extent = end
        """How far the rule had to read; further than ``end`` where only the head of a value is marked."""
        self.label = label
        self.also: set[str] = set()
        self.rule = rule
        self.priority = priority
        self.score = score
        self.view = view


def led_back(hits: list[Hit], view: View) -> list[Hit]:
    """Return ``hits`` with their spans in the text that ``view`` was made from."""
    for hit in hits:
        hit.start, hit.end = view.span(hit.start, hit.end)
        hit.view = "normal" if hit.view == "raw" else hit.view
    return hits


def led_out(hit: Hit, layers: Sequence[Decoded]) -> bool:
    """Move ``hit`` to where the outermost of ``layers`` stands; return whether it may count.

    A value that takes more characters than a stream can hold back does not, nor one whose name is in disguise twice. Of a
    private key so much is marked as can be.
    """
    announced = 0
    for decoded in reversed(layers):
        coding = decoded.coding(hit.start)
        announced += coding.announced
        if announced > 1 or not decoded.counts(hit.start, hit.end, hit.label):
            return False
        hit.view = coding.name
        extent = decoded.reach(hit.start, hit.extent)
        hit.start, hit.end = decoded.span(hit.start, hit.end)
        hit.extent = extent
        if hit.rule == "private_key":
            hit.end = hit.extent = min(hit.end, hit.start + coding.longest)
        elif hit.extent - hit.start > coding.longest:
            return False
    return True


def merge(hits: Iterable[Hit]) -> list[Hit]:
    """Return hits that do not overlap, in order.

    Overlapping ones become one that covers them all, under the label of the highest priority, with the other labels
    beside it: dropping the lesser would leave its ends uncovered and keep its label from policy. The result depends on the hits alone, not on the order they were found in.
    """
    merged: list[Hit] = []
    for hit in sorted(hits, key=lambda h: (h.start, -h.end, -h.priority, h.rule)):
        last = merged[-1] if merged else None
        if last is None or hit.start >= last.end:
            merged.append(hit)
            continue
        last.also |= {last.label, hit.label}
        if (hit.priority, hit.end - hit.start) > (last.priority, last.end - last.start):
            last.label, last.rule, last.priority = hit.label, hit.rule, hit.priority
            last.score, last.view = hit.score, hit.view
        last.end = max(last.end, hit.end)
    return merged
