"""``magistrate keys``: works on the state file itself, so it needs no running control plane."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from magistrate.adapters.listeners.control_api import CreateKey, KeyList, KeyShown, KeyView, view
from magistrate.adapters.state.keys import KeyStore
from magistrate.app.cli.located import ConfigOption, DataOption, JsonOption, configuration
from magistrate.identity.admin import Right

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Create, list, rotate and revoke virtual keys."
)

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_COLOURS = {"active": "green", "expired": "yellow", "revoked": "red"}
MOST_DAYS = 3650

KeyId = Annotated[str, typer.Argument(help="The key's public id: the part between the first two dashes.")]


@contextmanager
def _store(config: Path | None, data: Path | None) -> Iterator[KeyStore]:
    store = KeyStore(configuration(config, data).state_db)
    try:
        yield store
    finally:
        store.close()


def seconds(text: str) -> int:
    """Return a duration such as ``90d``, ``12h``, ``30m`` or ``45s`` in seconds.

    Raises:
        BadParameter: it is not one, or longer than ten years.
    """
    found = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    if found is None or int(found[1]) * _UNITS[found[2]] > MOST_DAYS * 86_400:
        raise typer.BadParameter(
            f"`{text}` is not a duration like 90d, 12h, 30m or 45s of at most {MOST_DAYS} days"
        )
    return int(found[1]) * _UNITS[found[2]]


@app.command()
def create(
    user: Annotated[str, typer.Option("--user", "-u", help="Whose key it is; stands in every record.")],
    application: Annotated[
        str, typer.Option("--application", "--app", "-a", help="What it is used by.")
    ] = "",
    group: Annotated[
        list[str] | None, typer.Option("--group", "-g", help="A group policy knows; repeatable.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="A model name or pattern it may use at most; repeatable."),
    ] = None,
    tenant: Annotated[str, typer.Option(help="The organisation it belongs to.")] = "default",
    expires: Annotated[str, typer.Option(help="Life time (90d, 12h…), or `never`.")] = "90d",
    config: ConfigOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Create a key and print it: the only time that it is shown."""
    life = None if expires == "never" else seconds(expires)
    try:
        asked = msgspec.convert(
            {
                "user": user,
                "tenant": tenant,
                "groups": group or [],
                "application": application,
                "models": model or [],
                "expires_in_s": life,
            },
            CreateKey,
        )
    except msgspec.ValidationError as error:
        raise typer.BadParameter(str(error)) from None
    now = _now_us()
    with _store(config, data) as store:
        presented, record = store.create(
            user=asked.user,
            tenant=asked.tenant,
            groups=asked.groups,
            application=asked.application,
            models=asked.models,
            expires_us=None if life is None else now + life * 1_000_000,
        )
    _show(presented, view(record, now), json)


@app.command("list")
def list_keys(
    every: Annotated[bool, typer.Option("--all", help="Also expired and revoked keys.")] = False,
    config: ConfigOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """List keys; never their secrets."""
    now = _now_us()
    with _store(config, data) as store:
        shown = [view(record, now) for record in store.list()]
    shown = [each for each in shown if every or each.status == "active"]
    if json:
        print(msgspec.json.encode(KeyList(tuple(shown))).decode())
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("id", "user", "application", "groups", "models", "tenant", "expires", "status"):
        table.add_column(heading, overflow="fold")
    for each in shown:
        status = f"[{_COLOURS[each.status]}]{each.status}[/]"
        expires = each.expires or "[yellow]never[/]"
        table.add_row(
            *(_plain(text) for text in (each.id, each.user, each.application, " ".join(each.groups))),
            *(_plain(text) for text in (" ".join(each.models) or "*", each.tenant)),
            expires,
            status,
        )
    Console().print(table if shown else "no keys yet; `magistrate keys create --user NAME` makes one")


@app.command()
def rotate(
    key_id: KeyId,
    grace: Annotated[str, typer.Option(help="How long the old secret stays good (1h, 1d…).")] = "0s",
    config: ConfigOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Give a key a new secret and print it."""
    grace_us = seconds(grace) * 1_000_000
    with _store(config, data) as store:
        presented, record = store.rotate(_public(key_id), grace_us=grace_us)
    _show(presented, view(record, _now_us()), json)


@app.command()
def revoke(
    key_id: KeyId, config: ConfigOption = None, data: DataOption = None, json: JsonOption = False
) -> None:
    """End a key for good; running gateways notice within a second."""
    key_id = _public(key_id)
    with _store(config, data) as store:
        store.revoke(key_id)
    print(msgspec.json.encode({"revoked": key_id}).decode() if json else f"revoked {key_id}")


@app.command()
def token(
    metrics: Annotated[bool, typer.Option("--metrics", help="A token that opens only /metrics.")] = False,
    person: Annotated[
        str, typer.Option(help="Who will hold it; legal holds need two tokens of two people.")
    ] = "",
    config: ConfigOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Create a control-plane token and print it: the only time that it is shown."""
    right = Right.METRICS if metrics else Right.ADMIN
    with _store(config, data) as store:
        presented, made = store.create_token(right, person=person)
    print(
        msgspec.json.encode({"token": presented, "id": made.id, "right": right.value}).decode()
        if json
        else presented
    )


def _public(key_id: str) -> str:
    """Return the id in what was typed; people paste whole keys."""
    found = re.fullmatch(r"mag-([a-z2-9]{12})-.*", key_id)
    return found[1] if found else key_id


def _plain(text: str) -> str:
    return "".join(each if each.isprintable() else "�" for each in text).replace("[", r"\[")


def _show(presented: str, record: KeyView, json: bool) -> None:
    if json:
        print(msgspec.json.encode(KeyShown(presented, record)).decode())
        return
    print(presented)
    Console(stderr=True, highlight=False).print(
        f"[dim]for {_plain(record.user)}, expires {record.expires or 'never'}; shown once, keep it safe[/dim]"
    )


def _now_us() -> int:
    return time.time_ns() // 1000
