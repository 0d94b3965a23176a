"""``magistrate doctor``."""

import http.client
import os
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from magistrate.app.cli.located import ConfigOption, DataOption, JsonOption, chosen, configuration
from magistrate.app.cli.tail import connect
from magistrate.app.config import Config, load
from magistrate.app.diagnosis import Finding, Level, World, diagnose
from magistrate.exchange.errors import ConfigurationError

_STYLES = {Level.OK: "green", Level.NOTE: "cyan", Level.WEAK: "yellow", Level.BAD: "bold red"}


def doctor(
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 also for what is merely weak.")] = False,
    config: ConfigOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Say what is configured, what is weak and what to do. Exit 1 when something is bad."""
    findings: list[Finding] = []
    try:
        load(chosen(config), os.environ)
    except ConfigurationError as error:
        findings += [
            Finding(Level.BAD, "configuration", line, "correct it in the file or the environment")
            for line in str(error).splitlines()
        ]
    else:
        where = chosen(config)
        findings.append(Finding(Level.OK, "configuration", f"`{where}`" if where else "the embedded default"))
    try:
        settings = configuration(config, data)
    except ConfigurationError:
        settings = None  # already told above
    if settings is not None:
        findings += diagnose(settings, World(running=running(settings)))
    if json:
        print(msgspec.json.encode({"findings": findings}).decode())
    else:
        _print(findings)
    failing = {Level.BAD, Level.WEAK} if strict else {Level.BAD}
    raise typer.Exit(int(any(each.level in failing for each in findings)))


def running(config: Config) -> bool:
    """Return whether a magistrate's control plane answers where ours would."""
    connection = connect(config)
    connection.timeout = 2.0
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        return answer.status == 200 and answer.read(16) == b"ok\n"
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _print(findings: list[Finding]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for each in findings:
        says = Text(each.says)
        if each.advice:
            says.append(f"\n→ {each.advice}", style="dim")
        table.add_row(Text(each.level.value, style=_STYLES[each.level]), Text(each.subject), says)
    counts = {level: sum(each.level is level for each in findings) for level in Level}
    console = Console(highlight=False)
    console.print(table)
    console.print(f"{counts[Level.BAD]} bad, {counts[Level.WEAK]} weak, {counts[Level.NOTE]} notes")
