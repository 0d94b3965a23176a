"""What the commands that read evidence share: the archive, opened once and closed at the end, and the records of a call."""

import re
import sys
import time
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from magistrate.adapters.recorder.archive import Archive
from magistrate.adapters.recorder.reader import Row
from magistrate.adapters.recorder.shelf import told_absent
from magistrate.app.cli import ANSWER_IS_NO
from magistrate.app.cli.located import configuration
from magistrate.app.custody import open_content, person
from magistrate.app.places import open_log

RecordId = Annotated[str, typer.Argument(help="Record id (x-magistrate-record), or its beginning.")]
SEALED_WITHIN_S = 2.0
SHORTEST_PREFIX = 8

_readers: list[Archive] = []


def open_archive(config: Path | None, data: Path | None) -> Archive:
    """Return the archive that a command works on; shards that are not here are told."""
    settings = configuration(config, data)
    _readers.append(open_log(settings))
    for line in told_absent(_readers[-1].absent):
        Console(stderr=True).print(line, markup=False, style="yellow")
    return _readers[-1]


def close_archives() -> None:
    """Close what this process has opened."""
    while _readers:
        _readers.pop().close()


def reading(
    config: Path | None, data: Path | None, rows: list[Row], *, reason: str, by: str, selector: str
) -> None:
    """Put a reading on record before anything of it is shown."""
    settings = configuration(config, data)
    reader = person(settings, by) if by else None
    open_content(settings, tuple(row.eid for row in rows), reason=reason, selector=selector, by=reader)


def rows_of(reader: Archive, record: str) -> list[Row]:
    """Return the records of one call; one made just now is waited for until its checkpoint is published."""
    if not re.fullmatch(rf"[0-9a-f-]{{{SHORTEST_PREFIX},36}}", record):
        raise typer.BadParameter(f"a record id is at least {SHORTEST_PREFIX} of its hex digits and dashes")
    deadline = time.monotonic() + SEALED_WITHIN_S
    while True:
        rows = reader.find(record)
        if rows:
            break
        if time.monotonic() >= deadline:
            Console(stderr=True).print(f"no record `{record}` in this log", markup=False)
            raise typer.Exit(ANSWER_IS_NO)
        time.sleep(0.1)
    calls = {row.call for row in rows}
    if len(calls) > 1:
        raise typer.BadParameter(f"`{record}` is the beginning of {len(calls)} records; write more of it")
    return rows


def print_json(value: object) -> None:
    """Write what ``--json`` promises: one document, and nothing else, on standard output."""
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")
