"""What processes write to stderr: JSON lines for machines, text on a terminal. Never content, never secrets."""

import logging
import re
import sys
import time
from typing import Any, TextIO

import msgspec

_SECRET = re.compile(
    r"\b(mag-(?:admin-)?[a-z2-9]{12})-[A-Za-z0-9_-]{16,}|\bsk-[A-Za-z0-9_-]{12,}|\bAIza[A-Za-z0-9_-]{20,}"
)
LONGEST_MESSAGE = 2_000
"""Characters. A log line is a sentence; longer ones are cut."""


def configure(level: str, form: str, process: str, stream: TextIO | None = None) -> None:
    """Send every logger's events of ``level`` and above to ``stream`` (stderr).

    ``form`` is ``json``, ``text`` or ``auto``: text exactly when the stream is a terminal.
    """
    target = stream or sys.stderr
    text = form == "text" or (form == "auto" and target.isatty())
    handler = logging.StreamHandler(target)
    handler.setFormatter(TextLines(process) if text else JsonLines(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


class JsonLines(logging.Formatter):
    """One JSON object a line: ts, level, process, logger, message, and an exception's place (not its values)."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        event: dict[str, Any] = {
            "ts": _instant(record.created),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "message": scrubbed(record.getMessage()),
        }
        if record.exc_info and record.exc_info[0] is not None:
            event["error"] = failure(record)
        return msgspec.json.encode(event).decode()


class TextLines(logging.Formatter):
    """The same for people."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        clock = _instant(record.created)[11:23]
        line = f"{clock} {record.levelname.lower():7} {self._process}: {scrubbed(record.getMessage())}"
        return f"{line} [{failure(record)}]" if record.exc_info and record.exc_info[0] is not None else line


def scrubbed(text: str) -> str:
    """Return ``text`` on one line, cut, with anything shaped like a key replaced by its public part."""
    flat = text.replace("\r", "\\r").replace("\n", "\\n")
    return _SECRET.sub(lambda found: f"{found[1] or 'key'}-[redacted]", flat)[:LONGEST_MESSAGE]


def failure(record: logging.LogRecord) -> str:
    """Return an exception's type and innermost place. Its text may hold content, so it stays out."""
    assert record.exc_info is not None
    kind, _, trace = record.exc_info
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}" if trace else ""
    return f"{kind.__name__ if kind else 'error'}{place}"


def _instant(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1e6):06d}Z"
