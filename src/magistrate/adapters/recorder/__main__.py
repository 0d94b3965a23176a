"""``python -m magistrate.adapters.recorder --data DIR --socket PATH``: run a recorder."""

import argparse
import logging
import sys
from pathlib import Path

from magistrate.adapters.recorder.attesting import STAMP_EVERY_S, WITNESS_EVERY_S, Plan
from magistrate.adapters.recorder.ledger import Settings
from magistrate.adapters.recorder.process import serve
from magistrate.adapters.recorder.wal import WalBroken
from magistrate.evidence.note import Verifier
from magistrate.evidence.timestamp import Authority
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
    parser.add_argument("--witness", nargs=2, action="append", default=[], metavar=("URL", "VKEY"))
    parser.add_argument("--quorum", type=int, help="so many witnesses suffice; all of them")
    parser.add_argument("--timestamp", nargs=2, action="append", default=[], metavar=("URL", "CA"))
    parser.add_argument("--witness-every", type=float, default=WITNESS_EVERY_S, metavar="SECONDS")
    parser.add_argument("--timestamp-every", type=float, default=STAMP_EVERY_S, metavar="SECONDS")
    asked = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="recorder: %(message)s", stream=sys.stderr)
    try:
        settings = Settings(
            evidence=asked.data / "evidence",
            vault=asked.vault or asked.data / "vault",
            socket=asked.socket,
            origin=asked.origin,
            plan=plan(asked),
        )
        serve(settings, announce)
    except WalBroken as error:
        logging.getLogger("magistrate.recorder").critical("stopped: %s", error)
        return BROKEN_DISK
    except ConfigurationError as error:
        sys.stderr.write(f"recorder: {error}\n")
        return 1
    return 0


def plan(asked: argparse.Namespace) -> Plan:
    """Return who is to be asked to vouch for the log.

    Raises:
        ConfigurationError: a key or an authority's file is none.
    """
    try:
        return Plan(
            witnesses=tuple((url, Verifier(vkey)) for url, vkey in asked.witness),
            quorum=asked.quorum,
            authorities=tuple((url, Authority(Path(ca).read_bytes())) for url, ca in asked.timestamp),
            witness_every_s=asked.witness_every,
            stamp_every_s=asked.timestamp_every,
        )
    except (OSError, ValueError) as error:
        raise ConfigurationError(str(error), "evidence.witness or evidence.timestamp") from None


def announce() -> None:
    """Say on standard output that records are accepted."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
