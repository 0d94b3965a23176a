"""``python -m magistrate.adapters.recorder --data DIR --socket PATH``: run a recorder."""

import argparse
import logging
import pwd
import sys
from pathlib import Path

import msgspec

from magistrate.adapters.recorder.ledger import Settings
from magistrate.adapters.recorder.process import serve
from magistrate.adapters.recorder.wal import WalBroken
from magistrate.evidence.retention import Schedule
from magistrate.exchange.errors import ConfigurationError

BROKEN_DISK = 74
"""EX_IOERR of sysexits.h."""


def main(argv: list[str]) -> int:
    """Run until told to stop; return the exit status."""
    parser = argparse.ArgumentParser(prog="magistrate.adapters.recorder")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--vault", type=Path)
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--origin", default="", help="the log's name; the one it has, or a new random one")
    parser.add_argument("--root-key", type=Path, help="a file outside of the vault")
    parser.add_argument("--retention", type=_schedule, default=Schedule(), help="retention schedule, as JSON")
    parser.add_argument(
        "--writer", type=_user, action="append", default=[], help="a user who may hand records over"
    )
    asked = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="recorder: %(message)s", stream=sys.stderr)
    settings = Settings(
        evidence=asked.data / "evidence",
        vault=asked.vault or asked.data / "vault",
        socket=asked.socket,
        origin=asked.origin,
        root_key=asked.root_key,
        retention=asked.retention,
        writers=frozenset(asked.writer),
    )
    try:
        serve(settings, announce)
    except WalBroken as error:
        logging.getLogger("magistrate.recorder").critical("stopped: %s", error)
        return BROKEN_DISK
    except ConfigurationError as error:
        sys.stderr.write(f"recorder: {error}\n")
        return 1
    return 0


def _schedule(text: str) -> Schedule:
    try:
        return msgspec.json.decode(text, type=Schedule)
    except msgspec.DecodeError as error:
        raise argparse.ArgumentTypeError(f"no retention schedule ({error})") from None


def _user(text: str) -> int:
    try:
        return int(text) if text.isdigit() else pwd.getpwnam(text).pw_uid
    except KeyError:
        raise argparse.ArgumentTypeError(f"there is no user `{text}`") from None


def announce() -> None:
    """Say on standard output that records are accepted."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
