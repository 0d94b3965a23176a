"""``magistrate tail``: decisions as they are made, from the control plane's feed."""

import http.client
import os
import ssl
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from magistrate.app.cli.located import ConfigOption, DataOption, JsonOption, configuration
from magistrate.app.settings import Config, split_address
from magistrate.exchange.errors import ConfigurationError, MagistrateError

TOKEN_VARIABLE = "MAGISTRATE_CONTROL_TOKEN"  # noqa: S105  because it is a variable's name
SILENT_S = 60.0
"""The feed sends a comment every 15 seconds; one that is silent for longer is dead."""

_VERDICTS = {"allow": "green", "deny": "red", "escalate": "yellow", "indeterminate": "magenta"}


class ControlUnavailable(MagistrateError):  # noqa: N818  because it names the state
    """The control plane cannot be reached, or does not let us in."""


def tail(
    last: Annotated[
        int, typer.Option("--last", "-n", min=0, max=1000, help="Past decisions to begin with.")
    ] = 10,
    config: ConfigOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Watch decisions as they are made. Shows no content: only evidence holds that."""
    settings = configuration(config, data)
    console = Console(highlight=False, soft_wrap=True)
    if not json:
        console.print(Text(heading(), style="bold"))
    try:
        for event in events(settings, token(settings), last):
            if json:
                sys.stdout.write(event + "\n")
                sys.stdout.flush()
            else:
                console.print(line(msgspec.json.decode(event)))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def token(config: Config) -> str:
    """Return the control-plane token: from the environment, else from the data directory.

    Raises:
        ConfigurationError: there is none that we can read.
    """
    if given := os.environ.get(TOKEN_VARIABLE, "").strip():
        return given
    path = config.data / "control.token"
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(
            f"cannot be read; start `magistrate serve` first, or set {TOKEN_VARIABLE}", str(path)
        ) from None


def events(config: Config, presented: str, last: int) -> Iterator[str]:
    """Yield observations as JSON lines until the feed ends.

    Raises:
        ControlUnavailable: it cannot be reached, refuses, or goes away.
    """
    connection = connect(config)
    where = f"the control plane at `{config.control}`"
    try:
        connection.request("GET", f"/api/feed?last={last}", headers={"authorization": f"Bearer {presented}"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise ControlUnavailable(f"{where} says {answer.status}: {_reason(answer.read(10_000))}")
        kind = "message"
        while raw := answer.readline(1 << 20):
            name, _, value = raw.decode("utf-8", "replace").rstrip("\r\n").partition(": ")
            if name == "event":
                kind = value
            elif name == "data" and kind == "message":
                yield value
            elif name == "data":
                sys.stderr.write(f"magistrate: {kind}: {value}\n")
            else:
                kind = "message" if not name else kind
    except OSError as error:
        raise ControlUnavailable(
            f"{where} cannot be reached ({error}); is `magistrate serve` running?"
        ) from None
    except http.client.HTTPException as error:
        raise ControlUnavailable(f"{where} broke off ({type(error).__name__})") from None
    finally:
        connection.close()
    raise ControlUnavailable(f"{where} went away")


def connect(config: Config) -> http.client.HTTPConnection:
    """Return a connection to the control plane, not yet opened; its certificate is the configured one."""
    host, port = split_address(config.control)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  because it is compared, not bound
    if config.tls is None:
        return http.client.HTTPConnection(host, port, timeout=SILENT_S)
    return http.client.HTTPSConnection(
        host, port, timeout=SILENT_S, context=ssl.create_default_context(cafile=Path(config.tls.cert))
    )


def heading() -> str:
    return f"{'time':8}  {'verdict':10} {'code':6} {'ms':>8}  {'user':16} {'model':28} {'endpoint':32} why"


def line(seen: dict[str, Any]) -> Text:
    """Return one decision as coloured columns. Names come from clients: control characters are shown, not obeyed."""
    text = Text()
    text.append(time.strftime("%H:%M:%S", time.localtime(seen["ts_us"] / 1e6)) + "  ", style="dim")
    text.append(f"{printable(seen['verdict']):10} ", style=_VERDICTS.get(seen["verdict"], "magenta"))
    text.append(f"{seen['status']:<6} ", style="" if seen["status"] < 400 else "red")
    text.append(f"{seen['total_us'] / 1000:8.1f}  ")
    text.append(f"{_cut(seen['user'], 16):16} {_cut(seen['model'], 28):28} {_cut(seen['endpoint'], 32):32} ")
    why = [seen["code"], *seen["rules"], *(f"#{label}" for label in seen["labels"])]
    if seen["would"] and seen["would"] != seen["verdict"]:
        why.append(f"would {seen['would']}")
    text.append(printable(" ".join(each for each in why if each)), style="dim")
    return text


def printable(text: str) -> str:
    return "".join(each if each.isprintable() else "�" for each in text)


def _cut(text: str, width: int) -> str:
    shown = printable(text)
    return shown if len(shown) <= width else shown[: width - 1] + "…"


def _reason(body: bytes) -> str:
    try:
        return printable(str(msgspec.json.decode(body)["error"]["message"]))
    except (msgspec.DecodeError, KeyError, TypeError):
        return "no reason given"
