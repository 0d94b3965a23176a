"""``magistrate evidence erase | prune | hold | rotate-root``: what changes what is kept. Each goes through the recorder."""

import sys
import time
from typing import Annotated, Any

import msgspec
import orjson
import typer
from rich.console import Console
from rich.table import Table

from magistrate.adapters.recorder.orders import (
    Answer,
    ConfirmHold,
    Erase,
    ListHolds,
    Order,
    Outcome,
    PlaceHold,
    Prune,
    ReleaseHold,
    RotateRoot,
)
from magistrate.app.cli import ANSWER_IS_NO, CANNOT_DECIDE
from magistrate.app.cli.located import ConfigOption, DataOption, JsonOption, configuration
from magistrate.app.cli.moments import moment
from magistrate.app.config import Config
from magistrate.app.custody import obeyed, person
from magistrate.evidence.hold import Person, Selector

holds = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Legal holds: placed and released by two people."
)

ByOption = Annotated[
    str,
    typer.Option(
        "--by", help="Your control-plane token, as `file:PATH` or `${NAME}`; `keys token --person` makes one."
    ),
]
ReasonOption = Annotated[str, typer.Option(help="Why. Kept encrypted, beside the record.")]
_STATUS = {Outcome.DONE: 0, Outcome.NO: ANSWER_IS_NO, Outcome.UNABLE: CANNOT_DECIDE}
_CONDITIONS = ("subject", "tenant", "app", "trace", "since", "until")


def erase(
    subject: Annotated[str, typer.Option(help="Whose content is to go: the user name of keys or sign-on.")],
    tenant: Annotated[str, typer.Option(help="Only in this tenant. Default: in all.")] = "",
    reason: ReasonOption = "",
    by: ByOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Destroy a person's keys and content; every proof still verifies. Exit 1 if there is none, or a hold forbids it."""
    settings = configuration(config, data)
    give(settings, Erase(subject, tenant, reason, _person(settings, by)), json=json)


def prune(config: ConfigOption = None, data: DataOption = None, json: JsonOption = False) -> None:
    """Delete the segments whose retention has ended, as the recorder does once a day. Exit 1 if holds keep some."""
    give(configuration(config, data), Prune(), json=json)


def rotate_root(
    by: ByOption = "", config: ConfigOption = None, data: DataOption = None, json: JsonOption = False
) -> None:
    """Lock the vault with a new root key, so that older copies of it no longer open."""
    settings = configuration(config, data)
    give(settings, RotateRoot(_person(settings, by)), json=json)


@holds.command("place")
def place(
    selector: Annotated[
        list[str],
        typer.Option(help=f"NAME=VALUE, repeatable; NAME is one of {', '.join(_CONDITIONS)}."),
    ],
    reason: ReasonOption,
    by: ByOption,
    config: ConfigOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Ask for a hold. It protects at once, and lapses after seven days unless a second person confirms it."""
    settings = configuration(config, data)
    give(settings, PlaceHold(_selector(selector), reason, person(settings, by)), json=json)


@holds.command("confirm")
def confirm(
    hold: Annotated[str, typer.Argument(help="The hold's id.")],
    by: ByOption,
    config: ConfigOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Confirm, as the second person, what was asked for: the hold, or its release."""
    settings = configuration(config, data)
    give(settings, ConfirmHold(hold, person(settings, by)), json=json)


@holds.command("release")
def release(
    hold: Annotated[str, typer.Argument(help="The hold's id.")],
    by: ByOption,
    reason: ReasonOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Ask for a hold's release; it stays in force until a second person confirms that."""
    settings = configuration(config, data)
    give(settings, ReleaseHold(hold, reason, person(settings, by)), json=json)


@holds.command("list")
def show_holds(config: ConfigOption = None, data: DataOption = None, json: JsonOption = False) -> None:
    """List holds, released ones too."""
    answer = obeyed(configuration(config, data), ListHolds())
    if json or answer.outcome is not Outcome.DONE:
        _tell(answer, json=json)
    table = Table(box=None, header_style="dim")
    for name in ("hold", "state", "since", "what", "reason"):
        table.add_column(name, overflow="fold")
    for hold in answer.facts["holds"]:
        what = " ".join(f"{name}={value}" for name, value in hold["selector"].items())
        state = hold["state"] if hold["in_force"] or hold["state"] == "released" else "lapsed"
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(hold["since_us"] / 1e6))
        table.add_row(*(_plain(text) for text in (hold["id"], state, since, what, hold["reason"])))
    Console(highlight=False).print(table if answer.facts["holds"] else "no holds")


def give(config: Config, order: Order, *, json: bool) -> None:
    _tell(obeyed(config, order), json=json)


def _tell(answer: Answer, *, json: bool) -> None:
    """Print the answer and end with its status."""
    if json:
        sys.stdout.buffer.write(orjson.dumps(msgspec.to_builtins(answer), option=orjson.OPT_INDENT_2) + b"\n")
    else:
        Console(highlight=False, stderr=answer.outcome is Outcome.UNABLE).print(
            answer.says, markup=False, soft_wrap=True
        )
    raise typer.Exit(_STATUS[answer.outcome])


def _person(config: Config, reference: str) -> Person:
    return person(config, reference) if reference else Person()


def _selector(conditions: list[str]) -> Selector:
    found: dict[str, Any] = {}
    for condition in conditions:
        name, _, value = condition.partition("=")
        if name not in _CONDITIONS or not value or name in found:
            raise typer.BadParameter(
                f"`{condition}` is no condition; write each of {', '.join(_CONDITIONS)} once, as NAME=VALUE"
            )
        found[name] = value
    for name in ("since", "until"):
        if name in found:
            found[f"{name}_us"] = moment(found.pop(name))
    return Selector(**found)


def _plain(text: str) -> str:
    return "".join(each if each.isprintable() else "�" for each in text).replace("[", r"\[")
