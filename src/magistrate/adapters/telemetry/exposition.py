"""Counters, gauges and histograms, and their Prometheus text form (exposition format 0.0.4).

Written here because a client library would bring process-wide registries and threads for what is two dictionaries.
Label values that clients choose are bounded: past its share of distinct values a label says ``other``.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

OTHER = "other"
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})


class Bounded:
    """Admits the first ``limit`` distinct values of a label; later ones become ``other``."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: set[str] = set()

    def __call__(self, value: str) -> str:
        if value in self._known:
            return value
        if len(self._known) >= self._limit:
            return OTHER
        self._known.add(value)
        return value


class Counter:
    """A sum that only grows, by label values."""

    def __init__(
        self, name: str, help_text: str, labels: Sequence[str] = (), most_series: int = 2_000
    ) -> None:
        self.name = name
        self._help = help_text
        self._labels = tuple(labels)
        self._most = most_series
        self._sums: dict[tuple[str, ...], float] = {} if labels else {(): 0}

    def add(self, amount: float, *values: str) -> None:
        """Add ``amount`` for ``values`` (one a label); past the series limit all values become ``other``."""
        if values not in self._sums and len(self._sums) >= self._most:
            values = (OTHER,) * len(values)
        self._sums[values] = self._sums.get(values, 0) + amount

    def lines(self) -> Iterator[str]:
        yield f"# HELP {self.name} {self._help.translate(_HELP_ESCAPES)}"
        yield f"# TYPE {self.name} counter"
        for values, total in sorted(self._sums.items()):
            yield f"{self.name}{_braces(self._labels, values)} {_number(total)}"


class Gauge:
    """A value as it stands, by label values."""

    def __init__(self, name: str, help_text: str, labels: Sequence[str] = ()) -> None:
        self.name = name
        self._help = help_text
        self._labels = tuple(labels)
        self._values: dict[tuple[str, ...], float] = {}

    def set(self, value: float, *values: str) -> None:
        """Put ``value`` for ``values`` (one a label)."""
        self._values[values] = value

    def lines(self) -> Iterator[str]:
        yield f"# HELP {self.name} {self._help.translate(_HELP_ESCAPES)}"
        yield f"# TYPE {self.name} gauge"
        for values, value in sorted(self._values.items()):
            yield f"{self.name}{_braces(self._labels, values)} {_number(value)}"


class Histogram:
    """Observations by upper bound, by label values. Kept per bucket, summed up when written."""

    def __init__(
        self,
        name: str,
        help_text: str,
        labels: Sequence[str],
        bounds: Sequence[float],
        most_series: int = 200,
    ) -> None:
        self.name = name
        self._help = help_text
        self._labels = tuple(labels)
        self._bounds = tuple(sorted(bounds))
        self._most = most_series
        self._series: dict[tuple[str, ...], tuple[list[int], list[float]]] = {}

    def observe(self, value: float, *values: str) -> None:
        """Count ``value`` in the first bucket whose bound is not below it."""
        if values not in self._series and len(self._series) >= self._most:
            values = (OTHER,) * len(values)
        counts, total = self._series.setdefault(values, ([0] * (len(self._bounds) + 1), [0.0]))
        counts[bisect_left(self._bounds, value)] += 1
        total[0] += value

    def lines(self) -> Iterator[str]:
        yield f"# HELP {self.name} {self._help.translate(_HELP_ESCAPES)}"
        yield f"# TYPE {self.name} histogram"
        names = (*self._labels, "le")
        bounds = (*map(_number, self._bounds), "+Inf")
        for values, (counts, total) in sorted(self._series.items()):
            running = 0
            for bound, count in zip(bounds, counts, strict=True):
                running += count
                yield f"{self.name}_bucket{_braces(names, (*values, bound))} {running}"
            yield f"{self.name}_sum{_braces(self._labels, values)} {_number(total[0])}"
            yield f"{self.name}_count{_braces(self._labels, values)} {running}"


def render(families: Iterable[Counter | Gauge | Histogram]) -> bytes:
    """Return the families as one exposition, ending in a newline as the format asks."""
    return ("\n".join(line for family in families for line in family.lines()) + "\n").encode()


def _braces(names: Sequence[str], values: Sequence[str]) -> str:
    if not names:
        return ""
    pairs = ",".join(
        f'{name}="{value.translate(_ESCAPES)}"' for name, value in zip(names, values, strict=True)
    )
    return f"{{{pairs}}}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
