"""Points in time as people type them."""

import re
import time
from collections.abc import Callable

import typer


def moment(text: str, now: Callable[[], float] = time.time) -> int:
    """Return a point in time in microseconds since the epoch.

    Raises:
        BadParameter: it is neither a date, a time nor a span such as ``7d``.
    """
    span = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if span:
        return int((now() - int(span[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[span[2]]) * 1e6)
    for form in ("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"):
        try:
            return int(time.mktime(time.strptime(text, form)) * 1e6)
        except ValueError:
            continue
    raise typer.BadParameter(f"`{text}` is no time; write 2026-11-24, 2026-11-24T10:00 or 30m, 12h, 7d")
