"""The other end of an order: a process of the recorder's own user asks, and waits for the answer."""

import socket
from pathlib import Path

import msgspec

from magistrate.adapters.recorder.custodian import Custodian
from magistrate.adapters.recorder.frames import LARGEST_MESSAGE
from magistrate.adapters.recorder.ledger import Ledger, Settings
from magistrate.adapters.recorder.orders import Answer, Order, Outcome, pack_order, unpack_answer
from magistrate.exchange.errors import ConfigurationError

PATIENCE_S = 600.0
"""How long an answer may take: an expired day of segments is read whole before it goes."""


def ask(settings: Settings, order: Order, uid: int) -> Answer:
    """Return the recorder's answer; with no recorder at work, open its ledger under its lock and carry the order out here.

    Raises:
        ConfigurationError: the ledger cannot be opened.
        WalBroken: the disk can no longer be trusted.
    """
    connection = _connected(settings.socket)
    if connection is not None:
        with connection:
            return _asked(connection, order)
    if not (settings.evidence / "log.vkey").exists():
        raise ConfigurationError("no evidence here yet", str(settings.evidence))
    owner = settings.evidence.stat().st_uid
    if uid != owner:
        raise ConfigurationError(
            f"belongs to user {owner}; ask as that user, or while its recorder runs", str(settings.evidence)
        )
    ledger = Ledger(settings)
    try:
        answer = Custodian(ledger).obey(order, uid)
        ledger.seal()
    finally:
        ledger.close(clean=ledger.unsealed_bytes == 0)
    return answer


def _connected(path: Path) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(PATIENCE_S)
    try:
        connection.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except OSError as error:
        connection.close()
        raise ConfigurationError(f"the recorder cannot be asked ({error.strerror})", str(path)) from None
    return connection


def _asked(connection: socket.socket, order: Order) -> Answer:
    try:
        connection.send(pack_order(order))
        message = connection.recv(LARGEST_MESSAGE)
    except ValueError as error:
        return Answer(Outcome.UNABLE, str(error))
    except OSError as error:
        return Answer(Outcome.UNABLE, f"the recorder did not answer ({error}); what it did is on record")
    if not message:
        return Answer(Outcome.UNABLE, "the recorder hung up: it is stopping, or takes no orders of this user")
    try:
        return unpack_answer(message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Answer(Outcome.UNABLE, "the recorder speaks another version's language; restart it")
