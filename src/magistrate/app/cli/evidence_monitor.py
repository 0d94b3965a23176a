"""``magistrate evidence monitor``: for an auditor's cron. It needs a verifier key and a place to read from, no account."""

import sys
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from magistrate.adapters.fetch import FileObjects, HttpObjects
from magistrate.app.cli.located import JsonOption
from magistrate.app.verifying import STATUS, keep, observed, read_policy, recall, told_observation
from magistrate.evidence.monitor import Memory, Observation, look
from magistrate.evidence.note import NoteError, Verifier
from magistrate.evidence.trust import Trust
from magistrate.exchange.errors import ConfigurationError


def monitor(
    source: Annotated[str, typer.Argument(help="The published log: a directory, or an http(s) URL.")],
    memory: Annotated[Path, typer.Option(help="File of yours in which the checkpoint seen last is kept.")],
    vkey: Annotated[
        str | None, typer.Option(help="The log's verifier key. Or it stands in --policy.")
    ] = None,
    vkey_file: Annotated[Path | None, typer.Option(help="A file that holds it.")] = None,
    policy: Annotated[
        Path | None, typer.Option(help="Trust policy (C2SP tlog-policy): which witnesses must have cosigned.")
    ] = None,
    max_age: Annotated[
        float, typer.Option(min=0, help="Seconds; an older newest record is stale. 0: any age will do.")
    ] = 300.0,
    json: JsonOption = False,
) -> None:
    """Prove that a log continues what it showed before. Exit 0 it does, 1 it does not, 2 cannot tell, 3 it is stale."""
    trust = read_policy(policy) if policy else None
    log = _log_key(vkey, vkey_file, trust)
    before = recall(memory, log)
    observation = look(
        (HttpObjects(source) if "://" in source else FileObjects(Path(source))).get,
        log,
        before,
        now_us=time.time_ns() // 1000,
        max_age_us=int(max_age * 1e6),
        trust=trust,
    )
    keep(memory, observation)
    _tell(observation, before, json=json)
    raise typer.Exit(STATUS[observation.verdict])


def _log_key(vkey: str | None, vkey_file: Path | None, trust: Trust | None) -> Verifier:
    if vkey is not None and vkey_file is not None:
        raise typer.BadParameter("give --vkey or --vkey-file, not both")
    try:
        if vkey_file is not None:
            return Verifier(vkey_file.read_text(encoding="ascii").strip())
        if vkey is not None:
            return Verifier(vkey)
    except NoteError as error:
        raise typer.BadParameter(f"--vkey: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot be read ({error})", str(vkey_file)) from None
    if trust is None or not trust.logs:
        raise typer.BadParameter(
            "give --vkey, --vkey-file or a --policy with a `log` line: a key beside the log proves nothing"
        )
    return trust.logs[0]


def _tell(observation: Observation, before: Memory | None, *, json: bool) -> None:
    if json:
        sys.stdout.write(msgspec.json.encode(observed(observation, before)).decode() + "\n")
        return
    first, *others = told_observation(observation, before)
    console = Console(highlight=False)
    console.print(coloured(first))
    for line in others:
        console.print(line, markup=False)


def coloured(line: str) -> Text:
    """Return a line that begins with a verdict, the verdict in its colour."""
    verdict, _, rest = line.partition(" ")
    colour = {"valid": "bold green", "tampered": "bold red"}.get(verdict, "bold yellow")
    return Text.assemble((verdict, colour), " ", rest)
