"""Coverage-guided fuzzing of every reader in `parsers.PARSERS`: ``make fuzz``; one second for each, or as many as are asked for.

libFuzzer keeps each input that reaches a branch of ours that none reached before, and goes on from there; `test_every_parser`
damages the seeds blindly. A reader fails as it does there: by raising what it does not say it raises, by taking too long, or by
taking too much memory. First a fault is planted that only somebody who sees branches finds within seconds: if it is not found, the run fails.
"""

import argparse
import contextlib
import io
import os
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import atheris

atheris.enabled_hooks.add("str")
with (
    contextlib.redirect_stderr(io.StringIO()),  # each module is named there
    atheris.instrument_imports(include=["magistrate", "yaml", "zipfile"]),
):
    from tests.properties.mutators import MUTATORS
    from tests.properties.parsers import PARSERS

Read = Callable[[bytes], object]

LONGEST_S, MOST_MB = 5, 2048
FOUND, HARNESS = 77, 99
"""How a process ends in which a reader raised, and in which something is wrong here; libFuzzer has 70 for too long and 71 for too much."""

PLANTED_WITHIN_S = 30
PLANTED = b"{\x7fM;"


class Target(NamedTuple):
    name: str
    read: Read
    refusals: tuple[type[BaseException], ...]
    seeds: tuple[bytes, ...]


class Ended(NamedTuple):
    """How one reader's run ended: libFuzzer's status, what it printed, and the directory that holds what it found."""

    target: Target
    status: int
    printed: str
    place: Path

    @property
    def last(self) -> str:
        """What was printed last, without how the fuzzing went on."""
        return "\n".join([line for line in self.printed.splitlines() if not line.startswith("#")][-40:])

    def stat(self, pattern: str) -> str:
        return (re.findall(pattern, self.printed) or ["?"])[-1]


@atheris.instrument_func
def planted(data: bytes) -> None:
    """Raise for one in four thousand million beginnings."""
    first, second, third, fourth = (data[at : at + 1] == PLANTED[at : at + 1] for at in range(4))
    if first and second and third and fourth:
        raise ArithmeticError


def fuzz(target: Target, corpus: Path, place: Path, seconds: int) -> None:
    """Fuzz in this process, which ends with it."""

    def once(data: bytes) -> None:
        try:
            target.read(data)
        except target.refusals:
            pass
        except BaseException:
            (place / "found").write_bytes(data)
            raise

    seeds = place / "seeds"
    seeds.mkdir()
    for number, seed in enumerate(target.seeds):
        (seeds / str(number)).write_bytes(seed)
    longest = max(4096, *(2 * len(seed) for seed in target.seeds))
    limits = [
        f"-max_total_time={seconds}",
        f"-timeout={LONGEST_S}",
        f"-rss_limit_mb={MOST_MB}",
        f"-max_len={longest}",
    ]
    arguments = [
        "fuzz",
        str(corpus),
        str(seeds),
        *limits,
        "-print_final_stats=1",
        f"-artifact_prefix={place}/",
    ]
    mutator = MUTATORS.get(target.name)
    atheris.Setup(arguments, once, **({"custom_mutator": mutator} if mutator else {}))
    atheris.Fuzz()


def begun(target: Target, corpora: Path, places: Path, seconds: int) -> tuple[int, Path]:
    """Begin to fuzz in a process of its own, forked so that nothing is imported and instrumented again."""
    name = re.sub(r"\W+", "-", target.name)
    place, corpus = places / name, corpora / name
    place.mkdir(parents=True)
    corpus.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        printed = os.open(place / "printed", os.O_WRONLY | os.O_CREAT, 0o600)
        for descriptor in (1, 2):
            os.dup2(printed, descriptor)
        status = HARNESS
        try:
            fuzz(target, corpus, place, seconds)
        except SystemExit as end:
            # So atheris ends, with -1 where a reader raised; libFuzzer itself ends the process.
            status = FOUND if end.code else 0
        except BaseException:  # noqa: BLE001  because whatever it is, this process must end here
            traceback.print_exc()
        finally:
            os._exit(status)
    return child, place


def run(
    targets: Sequence[Target], corpora: Path, places: Path, seconds: int, at_once: int
) -> Iterator[Ended]:
    """Fuzz each target for so many seconds, some at once; yield each when it has ended."""
    running: dict[int, tuple[Target, Path]] = {}
    waiting = list(targets)
    while waiting or running:
        while waiting and len(running) < at_once:
            target = waiting.pop(0)
            child, place = begun(target, corpora, places, seconds)
            running[child] = target, place
        child, status = os.wait()
        target, place = running.pop(child)
        printed = (place / "printed").read_text(errors="replace")
        yield Ended(target, os.waitstatus_to_exitcode(status), printed, place)


def told(ended: Ended) -> str:
    runs, covered = ended.stat(r"number_of_executed_units:\s*(\d+)"), ended.stat(r"cov: (\d+)")
    return f"{ended.target.name:32} {runs:>9} inputs {covered:>6} branches  " + (
        ""
        if ended.status == 0
        else f"FAILED, status {ended.status}\n{ended.last}\nthe input is in {ended.place}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only readers whose name holds one of these")
    parser.add_argument("--seconds", type=int, default=1, help="for each reader")
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--corpus",
        type=Path,
        help="directory in which inputs that reached something new are kept for the next run",
    )
    asked = parser.parse_args(arguments)
    targets = [
        Target(one.name, one.read, one.refusals, one.seeds)
        for one in PARSERS
        if not asked.names or any(name in one.name for name in asked.names)
    ]
    places = Path(tempfile.mkdtemp(prefix="magistrate-fuzz-"))
    corpora = asked.corpus or places / "corpora"
    began = time.monotonic()
    (check,) = run(
        [Target("a planted fault", planted, (), (b"",))], places / "planted", places, PLANTED_WITHIN_S, 1
    )
    if check.status != FOUND or "ArithmeticError" not in check.printed:
        print(
            f"the planted fault was not found: this fuzzing sees no branches, and shows nothing\n{check.last}"
        )
        return 2
    print(f"a planted fault was found after {check.stat(r'#([0-9]+)')} inputs")
    failed = []
    for ended in run(targets, corpora, places, asked.seconds, asked.at_once):
        print(told(ended), flush=True)
        if ended.status != 0:
            failed.append(ended.target.name)
    print(
        f"{len(targets) - len(failed)} readers of {len(targets)} stood {asked.seconds} s each, in {time.monotonic() - began:.0f} s"
    )
    return 1 if failed or not targets else 0


if __name__ == "__main__":
    sys.exit(main())
