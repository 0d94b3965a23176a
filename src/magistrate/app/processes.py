"""The processes that the supervisor starts: ``python -m magistrate.app.processes recorder|gateway|control …``."""

import argparse
import gc
import logging
import os
import sys
from pathlib import Path

import msgspec
import uvloop

from magistrate.app.config import Config, load
from magistrate.exchange.errors import MagistrateError

CYCLES_AFTER = 20_000
"""Objects more than at the last look before the collector looks for cycles among the young ones."""

BROKEN_DISK = 74
"""EX_IOERR of sysexits.h: the recorder's exit status when its disk cannot be trusted."""


def arguments(argv: list[str]) -> argparse.Namespace:
    """Return what the supervisor passed on."""
    parser = argparse.ArgumentParser(prog="magistrate.app.processes")
    parser.add_argument("process", choices=["recorder", "gateway", "control"])
    parser.add_argument("--config", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--listen")
    parser.add_argument("--control")
    parser.add_argument("--local-model", action="store_true")
    return parser.parse_args(argv)


def settled(config: Config, *, data: Path | None, listen: str | None, control: str | None) -> Config:
    """Return ``config`` with what the command line says instead of the file."""
    changes: dict[str, str] = {}
    if data is not None:
        changes["data_dir"] = str(data)
    if listen:
        changes["listen"] = listen
    if control:
        changes["control"] = control
    return msgspec.structs.replace(config, **changes) if changes else config


def main(argv: list[str]) -> int:
    """Run one process until it is told to stop; return its exit status."""
    asked = arguments(argv)
    try:
        config = load(asked.config, os.environ, resolve=asked.process == "gateway")
        config = settled(config, data=asked.data, listen=asked.listen, control=asked.control)
        return _run(asked, config)
    except MagistrateError as error:
        sys.stderr.write(f"magistrate {asked.process}: {error}\n")
        return 1


def _run(asked: argparse.Namespace, config: Config) -> int:
    # Each process loads only what it runs: the recorder needs no HTTP server and no policy engine, and is smaller for it.
    if asked.process == "recorder":
        from magistrate.adapters.recorder.wal import WalBroken  # noqa: PLC0415  because see above
        from magistrate.app.recorder import serve_recorder  # noqa: PLC0415  because see above

        try:
            serve_recorder(config, ready=announce)
        except WalBroken as error:
            logging.getLogger("magistrate.recorder").critical("stopped: %s", error)
            return BROKEN_DISK
    elif asked.process == "gateway":
        from magistrate.app.gateway import serve_gateway  # noqa: PLC0415  because see above

        uvloop.run(serve_gateway(config, with_local_model=asked.local_model, ready=announce))
    else:
        from magistrate.app.control import serve_control  # noqa: PLC0415  because see above

        uvloop.run(serve_control(config, ready=announce))
    return 0


def announce() -> None:
    """Tell the supervisor that requests are answered from now on."""
    # All that is alive by now stays alive, so the collector need not walk it again and again; and what a call leaves behind is
    # nearly all freed by counting, so looking for cycles can wait.
    gc.collect()
    gc.freeze()
    gc.set_threshold(CYCLES_AFTER, 20, 20)
    sys.stdout.write("ready\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
