"""The command line, one file per command.

*Command table*: names, modules and one-line summaries. A command's module is imported only when that command runs, so
that ``magistrate --help`` and the small commands start at once. *Exit status*: 0 good, 1 the answer is no, 2 could not
decide or bad usage.
"""

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from magistrate.exchange.errors import ConfigurationError, MagistrateError

COMMANDS: dict[str, str] = {
    "init": "Write a configuration and policies to start from.",
    "serve": "Start the gateway, the evidence recorder and the control plane.",
    "check": "Check configuration and policies; say where what is wrong.",
    "detect": "Show what detectors find in a text, or how well they do on a labelled file.",
    "dictionary": "Hash a list of values, to be found without being kept.",
    "keys": "Create, list, rotate and revoke virtual keys.",
    "policy": "Test, explain and replay policies.",
    "evidence": "Search, show, verify and export the record.",
    "witness": "Cosign logs, so that nobody can show two histories of one.",
    "tail": "Watch decisions as they are made.",
    "doctor": "Say what is configured, what is weak and what to do.",
    "schema": "Print the JSON Schema of magistrate.yaml.",
    "version": "Print the version.",
}
"""Command -> summary. The module is ``magistrate.app.cli.<command>``; it offers ``app`` (a Typer, for a command with
commands of its own) or a function of the command's name."""

ANSWER_IS_NO, CANNOT_DECIDE = 1, 2


class Commands(TyperGroup):
    """Knows all commands by name and loads one when it is called."""

    _listing = False

    def list_commands(self, _ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        if self._listing:
            return TyperCommand(cmd_name, help=COMMANDS[cmd_name])
        return load(cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write help from the table alone, without importing any command."""
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False


root = typer.Typer(
    name="magistrate",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Every call is judged; every judgement is on record.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@root.callback()
def _root() -> None:
    pass


def load(name: str) -> Any:
    """Return the command ``name``, importing its module.

    Raises:
        MagistrateError: this installation does not have it.
    """
    place = f"{__name__}.{name}"
    try:
        module = importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name != place:
            raise
        raise MagistrateError(f"`{name}` is not in this installation") from None
    several = getattr(module, "app", None)
    if several is None:
        several = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        several.command(name)(getattr(module, name))
    command = typer.main.get_command(several)
    command.name = name
    return command


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit status; our own errors become one line on stderr."""
    try:
        root(args=list(arguments), prog_name="magistrate")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except ConfigurationError as error:
        _complain(error)
        return ANSWER_IS_NO if "check" in list(arguments)[:1] else CANNOT_DECIDE
    except MagistrateError as error:
        _complain(error)
        return CANNOT_DECIDE
    return 0


def main() -> None:
    """Entry point of the ``magistrate`` command."""
    sys.exit(run(sys.argv[1:]))


def _complain(error: MagistrateError) -> None:
    sys.stderr.write("".join(f"magistrate: {line}\n" for line in str(error).splitlines()))
