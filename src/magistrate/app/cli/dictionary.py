"""``magistrate dictionary``: a list of values becomes a file of keyed hashes, which is all that the product keeps."""

import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import track

from magistrate.app.cli.located import JsonOption
from magistrate.classify.dictionary import MOST_ENTRIES, make, normal, problem
from magistrate.exchange.errors import ConfigurationError

SHORTEST_KEY = 16
MOST_SHOWN = 10


def dictionary(
    values: Annotated[Path, typer.Argument(help="UTF-8, one value a line.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the hashes go.")],
    key: Annotated[
        str,
        typer.Option(
            "--key", help="The key, by reference: `file:PATH`, or `env:NAME` for an environment variable."
        ),
    ],
    json: JsonOption = False,
) -> None:
    """Hash a list of values, to be found without being kept. Exit 1 when some cannot be taken."""
    secret = _key(key)
    try:
        lines = values.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot be read as UTF-8 ({error})", str(values)) from None
    if len(lines) > MOST_ENTRIES:
        raise ConfigurationError(f"has more than {MOST_ENTRIES} lines", str(values))
    taken: set[str] = set()
    refused: list[str] = []
    errors = Console(stderr=True)
    numbered = enumerate(lines, 1)
    for number, line in track(
        numbered, "reading", len(lines), console=errors, transient=True, disable=not errors.is_terminal
    ):
        if not line.strip():
            continue
        value = normal(line)
        reason = problem(value)
        if reason:
            refused.append(f"{values}:{number}: {reason}")
        else:
            taken.add(value)
    made = make(taken, secret)
    output.write_bytes(msgspec.json.encode(made) + b"\n")
    if json:
        print(
            msgspec.json.encode({"entries": made.entries, "refused": refused, "file": str(output)}).decode()
        )
    else:
        print(f"{output}: {made.entries} values, hashed")
        for line in refused[:MOST_SHOWN]:
            typer.echo(line, err=True)
        if len(refused) > MOST_SHOWN:
            typer.echo(f"and {len(refused) - MOST_SHOWN} more that were left out", err=True)
    raise typer.Exit(int(bool(refused)))


def _key(reference: str) -> bytes:
    how, _, name = reference.partition(":")
    if how not in {"file", "env"} or not name:
        raise typer.BadParameter("must be a reference: `file:PATH` or `env:NAME`, not the key itself")
    try:
        text = (
            Path(name).expanduser().read_text("utf-8").strip()
            if how == "file"
            else os.environ.get(name, "").strip()
        )
    except (OSError, UnicodeDecodeError):
        text = ""
    if len(text) < SHORTEST_KEY:
        raise ConfigurationError(
            f"must hold a key of at least {SHORTEST_KEY} characters", f"--key {how}:{name}"
        )
    return text.encode()
