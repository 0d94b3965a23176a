"""Orders about evidence, from the command line to the recorder: who gives them, and where they go."""

import os

from magistrate.adapters.recorder.ordering import ask
from magistrate.adapters.recorder.orders import RECORDS_IN_A_READING, Answer, Order, Outcome, ReadContent
from magistrate.adapters.recorder.wal import WalBroken
from magistrate.adapters.state.keys import KeyStore
from magistrate.app.config import Config
from magistrate.app.recorder import recorder_settings
from magistrate.evidence.hold import Person
from magistrate.exchange.errors import ConfigurationError, MagistrateError
from magistrate.identity.admin import Right, admit


class ContentClosed(MagistrateError):  # noqa: N818  because it says what is not shown
    """The reading could not be put on record, so there is none."""


def obeyed(config: Config, order: Order) -> Answer:
    """Return the answer of the recorder, or of its ledger opened here when none is at work.

    Raises:
        ConfigurationError: neither can be reached.
    """
    try:
        return ask(recorder_settings(config), order, os.getuid())
    except WalBroken as error:
        raise ConfigurationError(f"the log cannot be written any further: {error}") from error


def person(config: Config, reference: str) -> Person:
    """Return whom the control-plane token at ``reference`` (``file:PATH`` or ``${NAME}``) stands for.

    Raises:
        ConfigurationError: it cannot be read, or is no admin token that names a person.
    """
    presented = _presented(reference)
    store = KeyStore(config.state_db, create=False)
    try:
        token = admit(store.tokens(), presented)
    finally:
        store.close()
    if token is None or token.right is not Right.ADMIN:
        raise ConfigurationError("is no control-plane token that is admitted here", reference)
    if not token.person:
        raise ConfigurationError(
            "names no person; make each person a token of their own: magistrate keys token --person NAME",
            reference,
        )
    return Person(token.id, token.person)


def open_content(
    config: Config, records: tuple[str, ...], *, reason: str, selector: str, by: Person | None = None
) -> None:
    """Put on record that content of ``records`` is about to be read.

    Raises:
        ContentClosed: it could not be; nobody may be shown anything then.
    """
    named, count = records[:RECORDS_IN_A_READING], len(records)
    order = ReadContent(named, count, reason=reason, selector=selector, by=by or Person())
    try:
        answer = obeyed(config, order)
    except (ConfigurationError, OSError) as error:
        raise ContentClosed(
            f"content is not shown, because the reading cannot be recorded: {error}"
        ) from error
    if answer.outcome is not Outcome.DONE:
        raise ContentClosed(f"content is not shown, because the reading cannot be recorded: {answer.says}")


def _presented(reference: str) -> str:
    """Return a secret by reference; its value never stands in an argument, where process lists show it."""
    if reference.startswith("${") and reference.endswith("}"):
        return os.environ.get(reference[2:-1], "").strip()
    if not reference.startswith("file:"):
        raise ConfigurationError("write `file:PATH` or `${NAME}`: a token is no argument", "--by")
    try:
        with open(reference.removeprefix("file:"), encoding="ascii") as file:  # noqa: PTH123  because only a line is wanted
            return file.readline(1000).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot be read ({error})", reference) from None
