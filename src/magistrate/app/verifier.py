"""``magistrate-verify``: prove somebody's evidence with nothing of theirs but the evidence. No server, no network, no account.

``log`` derives a whole copy of a log again, ``bundle`` one exported call, ``monitor`` compares with what was seen before. The
same code decides as in ``magistrate evidence``; this is its smallest installation, on the standard library's argparse.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec

from magistrate.adapters.copied import LogCopy
from magistrate.adapters.fetch import FileObjects, HttpObjects
from magistrate.adapters.parallel import cores, read_copy
from magistrate.app.verifying import (
    STATUS,
    keep,
    observed,
    read_authorities,
    read_policy,
    read_sources,
    recall,
    status_of,
    told,
    told_observation,
)
from magistrate.evidence.attested import Attested
from magistrate.evidence.bundle import verify_bundle
from magistrate.evidence.chain import Copy, number_of, verify_shards
from magistrate.evidence.monitor import look
from magistrate.evidence.note import NoteError, Verifier
from magistrate.evidence.report import Report
from magistrate.evidence.trust import Trust
from magistrate.exchange.errors import ConfigurationError

ENDS = "exit status: 0 valid, 1 tampered, 2 cannot tell or bad usage, 3 stale"


def main() -> None:
    """Entry point of the ``magistrate-verify`` command."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit status."""
    try:
        given = _parser().parse_args(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    try:
        return int(given.command(given))
    except (ConfigurationError, NoteError) as error:
        sys.stderr.write(f"magistrate-verify: {error}\n")
        return 2


def _log(given: argparse.Namespace) -> int:
    trust = read_policy(given.policy) if given.policy else None
    authorities, sources = read_authorities(given.tsa_ca), read_sources(given.beacon)
    with ExitStack() as stack:
        shards = {number: stack.enter_context(closing(copy)) for number, copy in _shards(given.directory)}
        newest = max(shards)
        copies = [
            Copy(
                number,
                copy.objects,
                copy.vkey,
                Attested(
                    trust=trust,
                    authorities=authorities,
                    cosigned=copy.cosigned(),
                    tokens=copy.tokens(),
                    sources=sources,
                    now_us=time.time_ns() // 1000,
                    max_age_us=int(given.max_age * 1e6) if number == newest else 0,
                ),
                read_copy(copy.root, bodies=given.bodies, processes=given.processes or cores()),
            )
            for number, copy in shards.items()
        ]
        report = verify_shards(copies, _key(given, trust), also=given.also)
    return _tell(report, given, "log")


def _shards(directory: Path) -> list[tuple[int, LogCopy]]:
    """Return the shards that are in a copy, oldest first.

    In an evidence directory the closed ones stand below the newest; in a copy of a bucket the later ones below the first.
    """
    copy = LogCopy(directory)
    return sorted({**copy.below(), number_of(copy.objects.get): copy}.items())


def _bundle(given: argparse.Namespace) -> int:
    trust = read_policy(given.policy) if given.policy else None
    key, authorities = _key(given, trust), read_authorities(given.tsa_ca)
    try:
        with given.file.open("rb") as archive:
            report = verify_bundle(
                archive,
                key,
                trust=trust,
                authorities=authorities,
                sources=read_sources(given.beacon),
                now_us=time.time_ns() // 1000,
            )
    except OSError as error:
        raise ConfigurationError(f"cannot be read ({error.strerror})", str(given.file)) from None
    return _tell(report, given, "bundle")


def _monitor(given: argparse.Namespace) -> int:
    trust = read_policy(given.policy) if given.policy else None
    log = Verifier(_key(given, trust))
    before = recall(given.memory, log)
    source = HttpObjects(given.source) if "://" in given.source else FileObjects(Path(given.source))
    observation = look(
        source.get,
        log,
        before,
        now_us=time.time_ns() // 1000,
        max_age_us=int(given.max_age * 1e6),
        trust=trust,
    )
    keep(given.memory, observation)
    if given.json:
        _print(msgspec.json.encode(observed(observation, before)).decode())
    else:
        _print(*told_observation(observation, before))
    return STATUS[observation.verdict]


def _key(given: argparse.Namespace, trust: Trust | None) -> str:
    """Return the key that is trusted, from the command line or the policy. Raises NoteError if it is none."""
    if given.vkey and given.vkey_file:
        raise ConfigurationError("give --vkey or --vkey-file, not both")
    if given.vkey_file:
        try:
            return Verifier(given.vkey_file.read_text(encoding="ascii")).vkey
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"cannot be read ({error})", str(given.vkey_file)) from None
    if given.vkey:
        return Verifier(given.vkey).vkey
    if trust is not None and trust.logs:
        return trust.logs[0].vkey
    raise ConfigurationError(
        "give --vkey, --vkey-file or a --policy with a `log` line: a key beside the evidence proves nothing"
    )


def _tell(report: Report, given: argparse.Namespace, what: str) -> int:
    if given.json:
        _print(msgspec.json.format(msgspec.json.encode(report)).decode())
    else:
        _print(*told(report, what))
    return status_of(report, strict=given.strict)


def _print(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="magistrate-verify", description="Prove evidence.", epilog=ENDS)
    commands = parser.add_subparsers(required=True, metavar="log | bundle | monitor")
    log = commands.add_parser("log", help="derive a whole copy of a log again, offline", epilog=ENDS)
    log.add_argument("directory", type=Path, help="the evidence directory: checkpoint, tile/, body/ …")
    log.add_argument("--also", action="append", default=[], help="a further key that must have signed")
    log.add_argument("--no-bodies", dest="bodies", action="store_false", help="do not check content")
    log.add_argument(
        "--processes", type=int, default=0, help="so many read at once (default: one for each core, up to 4)"
    )
    log.set_defaults(command=_log)
    bundle = commands.add_parser("bundle", help="verify one exported call", epilog=ENDS)
    bundle.add_argument("file", type=Path)
    bundle.set_defaults(command=_bundle)
    monitor = commands.add_parser("monitor", help="is it still the log that was seen before?", epilog=ENDS)
    monitor.add_argument("source", help="the published log: a directory, or an http(s) URL")
    monitor.add_argument("--memory", type=Path, required=True, help="file of yours for what was seen last")
    monitor.set_defaults(command=_monitor)
    for one in (log, bundle, monitor):
        one.add_argument("--vkey", help="the verifier key you trust")
        one.add_argument("--vkey-file", type=Path, help="a file that holds it")
        one.add_argument("--policy", type=Path, help="logs, witnesses, quorum (C2SP tlog-policy)")
        one.add_argument("--json", action="store_true", help="print JSON")
    for one in (log, bundle):
        one.add_argument("--tsa-ca", type=Path, action="append", default=[], help="PEM of an authority")
        one.add_argument("--beacon", type=Path, action="append", default=[], help="JSON of a beacon's source")
        one.add_argument("--strict", action="store_true", help="exit 2 also for remarks")
    for one, seconds in ((log, 0.0), (monitor, 300.0)):
        one.add_argument("--max-age", type=float, default=seconds, help="seconds; older is stale. 0: any age")
    return parser


if __name__ == "__main__":
    main()
