"""``magistrate witness``: cosign other people's logs, so that nobody can show two histories of one."""

import sys
from pathlib import Path
from typing import Annotated

import orjson
import typer
import uvloop
from rich.console import Console

from magistrate.adapters.witness.book import read_book
from magistrate.app.cli.located import JsonOption
from magistrate.app.witness import Identity, Listening, identity, known_logs, serve_witness
from magistrate.exchange.errors import ConfigurationError


def witness(
    data: Annotated[Path, typer.Option(help="Directory of the witness: its keys and its book.")] = Path(
        "./witness"
    ),
    name: Annotated[
        str | None, typer.Option(help="Its name, a schema-less URL. Needed once, to begin a witness.")
    ] = None,
    log: Annotated[
        list[str] | None, typer.Option(help="Verifier key of a log to cosign. Repeatable.")
    ] = None,
    logs: Annotated[Path | None, typer.Option(help="A file of such keys, one a line; `#` comments.")] = None,
    listen: Annotated[str, typer.Option(help="host:port.")] = "127.0.0.1:8486",
    tls_cert: Annotated[Path | None, typer.Option(help="PEM certificate, to speak TLS itself.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM key.")] = None,
    show_key: Annotated[
        bool,
        typer.Option("--show-key", help="Print the witness's verifier keys and end; makes them if need be."),
    ] = False,
    status: Annotated[
        bool,
        typer.Option(
            "--status",
            help="Print what was cosigned last for each log and end; exit 1 if one contradicted itself.",
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Run a witness (C2SP tlog-witness): it cosigns only what continues what it saw before."""
    who = identity(data, name)
    if show_key:
        print(orjson.dumps({"name": who.name, "vkeys": who.vkeys}).decode() if json else "\n".join(who.vkeys))
        return
    if status:
        _status(data, json=json)
        return
    trusted = known_logs([*(log or []), *_listed(logs)])
    if not trusted:
        raise ConfigurationError(
            "no log to cosign; `--log VKEY` names one (a log's key lies in its `log.vkey`)"
        )
    if (tls_cert is None) != (tls_key is None):
        raise ConfigurationError("`--tls-cert` and `--tls-key` belong together")

    def ready() -> None:
        if json:
            facts = {"name": who.name, "listen": listen, "vkeys": who.vkeys, "logs": sorted(trusted)}
            sys.stdout.write(orjson.dumps(facts).decode() + "\n")
            sys.stdout.flush()
        else:
            _welcome(who, listen, sorted(trusted), tls=tls_cert is not None)

    uvloop.run(serve_witness(data, who, trusted, Listening(listen, tls_cert, tls_key), ready))


def _listed(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot be read ({error})", str(path)) from None
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _welcome(who: Identity, listen: str, logs: list[str], *, tls: bool) -> None:
    out = Console(highlight=False, soft_wrap=True)
    url = f"http{'s' if tls else ''}://{listen}"
    out.print(
        f"witness [bold]{who.name}[/bold] cosigns at [bold]{url}[/bold]: {', '.join(logs)}", markup=True
    )
    out.print("\nThe log's operator writes into magistrate.yaml:")
    out.print(f"  evidence:\n    witness:\n      - url: {url}\n        vkey: {who.vkeys[0]}", markup=False)


def _status(data: Path, *, json: bool) -> None:
    entries = read_book(data)
    if json:
        facts = [
            {
                "origin": e.origin,
                "size": e.size,
                "at_s": e.at_s,
                "conflicts": e.conflicts,
                "note": e.note.decode(),
            }
            for e in entries
        ]
        print(orjson.dumps(facts).decode())
    else:
        for e in entries:
            print(
                f"{e.origin}  {e.size} records" + (f"  {e.conflicts} CONTRADICTIONS" if e.conflicts else "")
            )
    raise typer.Exit(int(any(entry.conflicts for entry in entries)))
