"""What every command that verifies shares: whom is trusted, what is remembered, and how a verdict is told.

Of the standard library and the pure rooms only, because `magistrate-verify` is installed without the server.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from magistrate.evidence.beacon import Source, read_source
from magistrate.evidence.monitor import Memory, Observation
from magistrate.evidence.note import Verifier
from magistrate.evidence.report import Report, Verdict
from magistrate.evidence.stretches import Stretch
from magistrate.evidence.timestamp import Authority
from magistrate.evidence.trust import Trust
from magistrate.evidence.trust import parse as parse_policy
from magistrate.exchange.errors import ConfigurationError

STATUS = {Verdict.VALID: 0, Verdict.TAMPERED: 1, Verdict.UNDECIDABLE: 2, Verdict.STALE: 3}
"""Exit status by verdict, of every command that verifies."""

MOST_LINES = 50
SHOWN_STRETCHES = 3
"""So many of the first and of the last are shown."""

_NOT_OURS = "is not what this monitor keeps for this log; name another file, or remove it and begin anew"


def read_policy(path: Path) -> Trust:
    """Return the trust policy (C2SP tlog-policy) in a file.

    Raises:
        ConfigurationError: it cannot be read, or is malformed.
    """
    try:
        return parse_policy(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(str(error), str(path)) from None


def read_authorities(paths: Sequence[Path]) -> list[Authority]:
    """Return the authorities whose certificates are in files.

    Raises:
        ConfigurationError: one cannot be read, or holds no root.
    """
    found = []
    for path in paths:
        try:
            found.append(Authority(path.read_bytes()))
        except (OSError, ValueError) as error:
            raise ConfigurationError(str(error), str(path)) from None
    return found


def status_of(report: Report, *, strict: bool) -> int:
    """Return the exit status; with ``strict`` remarks leave a verdict open."""
    return 2 if strict and report.verdict is Verdict.VALID and report.remarks else STATUS[report.verdict]


def read_sources(paths: Sequence[Path]) -> list[Source]:
    """Return the beacons that files describe.

    Raises:
        ConfigurationError: one cannot be read or describes none.
    """
    found = []
    for path in paths:
        try:
            found.append(read_source(path.read_bytes()))
        except (OSError, ValueError) as error:
            raise ConfigurationError(str(error), str(path)) from None
    return found


def told(report: Report, what: str) -> list[str]:
    """Return a report as lines of text. The first begins with the verdict."""
    counted = f"{report.bodies} bodies checked, {report.open_calls} calls without an end"
    lines = [f"{report.verdict.value}  {what} of {report.size} records, {counted}"]
    if report.cosigned:
        newest = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(max(report.cosigned.values())))
        lines.append(f"  cosigned by {', '.join(report.cosigned)}, last {newest}")
    if report.erased or report.pruned:
        lines.append(
            f"  {report.erased} bodies erased by order, {report.pruned} pruned after their retention"
        )
    if report.stamps:
        lines.append(f"  {report.stamps} time-stamps verified")
    if report.beacons:
        lines.append(f"  {report.beacons} values of beacons verified")
    lines += _told_stretches(report.stretches)
    lines += [f"  {problem.place}: {problem.what}" for problem in report.findings[:MOST_LINES]]
    lines += [f"  remark, {remark.place}: {remark.what}" for remark in report.remarks[:MOST_LINES]]
    if len(report.findings) > MOST_LINES or len(report.remarks) > MOST_LINES:
        lines.append(f"  {len(report.findings)} findings, {len(report.remarks)} remarks; `--json` lists them")
    return lines


def _told_stretches(stretches: Sequence[Stretch]) -> list[str]:
    """Return when records were written, as others prove it; of many stretches the first and the last."""
    lines = []
    for one in stretches:
        bounds = [
            f"{words} {_moment(time_us)} ({by})"
            for words, time_us, by in (
                ("not before", one.not_before_us, one.begins_by),
                ("not after", one.not_after_us, one.ends_by),
            )
            if by
        ]
        place = f"{one.place}, " if one.place else ""
        which = f"records {one.first} to {one.last}" if one.last > one.first else f"record {one.first}"
        lines.append(f"  {place}{which}: {', '.join(bounds)}")
    if len(lines) > 2 * SHOWN_STRETCHES:
        left_out = len(lines) - 2 * SHOWN_STRETCHES
        lines[SHOWN_STRETCHES:-SHOWN_STRETCHES] = [f"  … {left_out} more stretches; `--json` lists them"]
    return lines


def _moment(time_us: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(time_us / 1e6))


def told_observation(observation: Observation, before: Memory | None) -> list[str]:
    """Return what a monitor saw as lines of text. The first begins with the verdict."""
    since = (
        f", {observation.size - before.size} more than last time" if before else ", seen for the first time"
    )
    if before and observation.memory and _origin(observation.memory) != _origin(before):
        since = f", in the shard `{_origin(observation.memory)}`, which continues `{_origin(before)}`"
    lines = [f"{observation.verdict.value}  log of {observation.size} records{since}"]
    lines += [f"  {problem.place}: {problem.what}" for problem in observation.findings]
    if observation.contradiction:
        lines.append(
            "  the contradicting checkpoint is kept beside the memory file: together they are the proof"
        )
    return lines


def _origin(memory: Memory) -> str:
    return memory.note.partition("\n")[0]


def observed(observation: Observation, before: Memory | None) -> dict[str, Any]:
    """Return what a monitor saw, for JSON."""
    return {
        "verdict": observation.verdict.value,
        "size": observation.size,
        "size_before": before.size if before else None,
        "newest_record_us": observation.record_us,
        "findings": observation.findings,
    }


def recall(path: Path, log: Verifier) -> Memory | None:
    """Return what a monitor kept of ``log``, or None: it never looked before.

    Raises:
        ConfigurationError: the file is something else.
    """
    if not path.exists():
        return None
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Memory)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{_NOT_OURS} ({error})", str(path)) from None
    if found.origin != log.name:
        raise ConfigurationError(f"{_NOT_OURS}: it is of `{found.origin}`", str(path))
    return found


def keep(path: Path, observation: Observation) -> None:
    """Keep what is to be remembered, whole or not at all; and what contradicts it, beside it, for ever."""
    try:
        if observation.contradiction:
            stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
            path.with_name(f"{path.name}.contradiction-{stamp}").write_bytes(observation.contradiction)
        if observation.memory is not None:
            partial = path.with_name(path.name + ".partial")
            with partial.open("wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(observation.memory)))
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
    except OSError as error:
        raise ConfigurationError(f"cannot be written ({error.strerror})", str(path)) from None
