"""The witness as a process: key files, the list of logs, the server around the listener."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from magistrate.adapters.recorder.rootkey import secret_file
from magistrate.adapters.serving import Server
from magistrate.adapters.telemetry.logs import configure
from magistrate.adapters.witness.book import Book
from magistrate.adapters.witness.listener import Witness
from magistrate.app.listening import require_free, serve_until_told
from magistrate.app.settings import split_address
from magistrate.evidence.cosignature import ED25519, ML_DSA_44, Cosigner
from magistrate.evidence.note import NoteError, Verifier
from magistrate.exchange.errors import ConfigurationError

MOST_LOGS = 10_000
NAME_FILE = "name"


class Identity(msgspec.Struct, frozen=True):
    """Who a witness is: an Ed25519 key for every client there is, an ML-DSA-44 key for the years to come."""

    name: str
    cosigners: tuple[Cosigner, ...]

    @property
    def vkeys(self) -> list[str]:
        return [cosigner.vkey for cosigner in self.cosigners]


def identity(directory: Path, name: str | None) -> Identity:
    """Return the witness whose keys lie in ``directory``, made at first use under ``name``.

    Raises:
        ConfigurationError: there is none and no name was given, or another name than the one it has.
    """
    file = directory / NAME_FILE
    known = file.read_text(encoding="utf-8").strip() if file.exists() else ""
    if not known and name is None:
        raise ConfigurationError(
            "there is no witness here yet; `--name` begins one, for example `witness.example.org/w1`",
            str(directory),
        )
    if known and name not in {None, known}:
        raise ConfigurationError(
            f"this witness is `{known}`; its name is part of its keys and cannot change", str(file)
        )
    chosen = known or str(name)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        seeds = [
            secret_file(directory / key, create=not known) for key in ("witness.key", "witness-mldsa.key")
        ]
        cosigners = tuple(
            Cosigner(chosen, seed, kind) for seed, kind in zip(seeds, (ED25519, ML_DSA_44), strict=True)
        )
        if not known:
            Book(directory, create=True).close()
            file.write_text(chosen + "\n", encoding="utf-8")  # last: what has a name is whole
    except (NoteError, OSError) as error:
        raise ConfigurationError(str(error), str(directory)) from None
    return Identity(chosen, cosigners)


def known_logs(vkeys: Sequence[str]) -> dict[str, list[Verifier]]:
    """Return the keys by origin.

    Raises:
        ConfigurationError: one is malformed, or there are too many.
    """
    logs: dict[str, list[Verifier]] = {}
    for vkey in vkeys:
        try:
            verifier = Verifier(vkey)
        except NoteError as error:
            raise ConfigurationError(f"`{vkey[:60]}` is no verifier key: {error}") from None
        logs.setdefault(verifier.name, []).append(verifier)
    if len(logs) > MOST_LOGS:
        raise ConfigurationError(f"more than {MOST_LOGS} logs")
    return logs


class Listening(msgspec.Struct, frozen=True):
    """Where a witness listens: ``host:port``, and PEM files if it speaks TLS itself."""

    address: str
    cert: Path | None = None
    key: Path | None = None


async def serve_witness(
    directory: Path,
    who: Identity,
    logs: dict[str, list[Verifier]],
    listening: Listening,
    ready: Callable[[], None],
) -> None:
    """Serve until SIGTERM or SIGINT; call ``ready`` once requests are answered.

    Raises:
        ConfigurationError: the address is taken, or the book cannot be used.
    """
    configure("info", "auto", "witness")
    require_free(listening.address, "--listen")
    book = Book(directory)
    host, port = split_address(listening.address)
    server = Server(
        Witness(book, who.cosigners, logs, lambda: int(time.time())),
        address=host,
        port=port,
        cert=listening.cert,
        key=listening.key,
    )
    try:
        await serve_until_told(server, listening.address, ready)
    finally:
        book.close()
