"""``magistrate evidence monitor``: for an auditor's cron. It needs a verifier key and a place to read from, no account."""

import os
import sys
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from magistrate.adapters.fetch import FileObjects, HttpObjects
from magistrate.app.attestation import read_policy
from magistrate.app.cli import ANSWER_IS_NO, CANNOT_DECIDE
from magistrate.app.cli.located import JsonOption
from magistrate.evidence.monitor import Memory, Observation, look
from magistrate.evidence.note import NoteError, Verifier
from magistrate.evidence.report import Verdict
from magistrate.evidence.trust import Trust
from magistrate.exchange.errors import ConfigurationError

STALE = 3
STATUS = {
    Verdict.VALID: 0,
    Verdict.TAMPERED: ANSWER_IS_NO,
    Verdict.UNDECIDABLE: CANNOT_DECIDE,
    Verdict.STALE: STALE,
}
"""Exit status by verdict, of every command that verifies."""

_NOT_OURS = "is not what this monitor keeps for this log; name another file, or remove it and begin anew"


def monitor(
    source: Annotated[str, typer.Argument(help="The published log: a directory, or an http(s) URL.")],
    memory: Annotated[Path, typer.Option(help="File of yours in which the checkpoint seen last is kept.")],
    vkey: Annotated[
        str | None, typer.Option(help="The log's verifier key. Or it stands in --policy.")
    ] = None,
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
    log = _log_key(vkey, trust)
    before = _recall(memory, log)
    observation = look(
        (HttpObjects(source) if "://" in source else FileObjects(Path(source))).get,
        log,
        before,
        now_us=time.time_ns() // 1000,
        max_age_us=int(max_age * 1e6),
        trust=trust,
    )
    _keep(memory, observation)
    _tell(observation, before, json=json)
    raise typer.Exit(STATUS[observation.verdict])


def _log_key(vkey: str | None, trust: Trust | None) -> Verifier:
    if vkey is None and (trust is None or not trust.logs):
        raise typer.BadParameter(
            "give --vkey, or a --policy with a `log` line: a key beside the log proves nothing"
        )
    try:
        return Verifier(vkey) if vkey is not None else trust.logs[0]  # type: ignore[union-attr]  # because checked above
    except NoteError as error:
        raise typer.BadParameter(f"--vkey: {error}") from None


def _recall(path: Path, log: Verifier) -> Memory | None:
    if not path.exists():
        return None
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Memory)
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigurationError(f"{_NOT_OURS} ({error})", str(path)) from None
    if found.origin != log.name:
        raise ConfigurationError(f"{_NOT_OURS}: it is of `{found.origin}`", str(path))
    return found


def _keep(path: Path, observation: Observation) -> None:
    """Keep what is to be remembered, whole or not at all; and what contradicts it, beside it, for ever."""
    try:
        if observation.contradiction:
            stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
            path.with_name(f"{path.name}.contradiction-{stamp}").write_bytes(observation.contradiction)
        if observation.memory is not None:
            partial = path.with_name(path.name + ".partial")
            with partial.open("wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(observation.memory)))
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
    except OSError as error:
        raise ConfigurationError(f"cannot be written ({error.strerror})", str(path)) from None


def _tell(observation: Observation, before: Memory | None, *, json: bool) -> None:
    if json:
        facts = {
            "verdict": observation.verdict.value,
            "size": observation.size,
            "size_before": before.size if before else None,
            "newest_record_us": observation.record_us,
            "findings": observation.findings,
        }
        sys.stdout.write(msgspec.json.encode(facts).decode() + "\n")
        return
    colour = {"valid": "green", "tampered": "red"}.get(observation.verdict.value, "yellow")
    since = (
        f", {observation.size - before.size} more than last time" if before else ", seen for the first time"
    )
    console = Console(highlight=False)
    console.print(
        f"[bold {colour}]{observation.verdict.value}[/bold {colour}]  log of {observation.size} records{since}"
    )
    for problem in observation.findings:
        console.print(f"  {problem.place}: {problem.what}", markup=False)
    if observation.contradiction:
        console.print(
            "  the contradicting checkpoint is kept beside the memory file: together they are the proof"
        )
