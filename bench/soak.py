"""Does memory stay flat? ``make soak``: 200,000 mixed calls, and what each process holds while they go by.

Whole answers, streams, refusals, errors of the endpoint, broken streams, wrong keys, unreadable bodies, large bodies, and
clients that hang up in the middle of a stream. Resident memory of every process is read after each tenth. Flat means: the
median of the last three is at most 5 % above the median of the fourth to sixth. Before that the recorder's memory of
recent traces and ids fills, which holds 65,536 of each; medians, because resident memory remembers single peaks.
"""

import argparse
import asyncio
import contextlib
import json
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import aiohttp
import uvloop

import run

FLAT = 1.05
SECRET = "dapi4e07a91bc3d852f64e07a91bc3d852f6"  # not looked for backwards, so that only the answer holds it


def ask(text: str, **more: object) -> bytes:
    return json.dumps({"model": "demo", "messages": [{"role": "user", "content": text}], **more}).encode()


WORDS = "word after word the answer grows and then there is an end " * 3
KINDS: list[tuple[int, str, bytes]] = [
    (40, "whole", ask("say: fine, thank you")),
    (5, "large", ask("say: read it all\n" + "some minutes of a meeting. " * 900)),
    (15, "stream", ask(f"say: {WORDS}", stream=True)),
    (8, "hang up", ask(f"pause: 0.002\nsay: {WORDS}", stream=True)),
    (8, "refused", ask(f"my key is {SECRET}")),
    (8, "redacted", ask("say: done\nmail ada@lovelace.org about 4111 1111 1111 1111")),
    (4, "withheld", ask(f"backwards\nsay: {SECRET[::-1]} yek eht", stream=True)),
    (4, "endpoint error", ask("fail: 500")),
    (4, "cut stream", ask(f"cut after 3 chunks\nsay: {WORDS}", stream=True)),
    (2, "unreadable", b'{"model": "demo", "model": "demo"}'),
    (2, "wrong key", ask("hello")),
]


async def soak(contestant: run.Contestant, calls: int, at_once: int, sample) -> Counter[str]:
    chance = random.Random(7)
    outcomes: Counter[str] = Counter()
    weights = [weight for weight, _, _ in KINDS]
    url = contestant.url + "/v1/chat/completions"
    left = calls
    done = 0

    async def one(session: aiohttp.ClientSession, kind: str, body: bytes) -> str:
        headers = (
            dict(contestant.headers)
            if kind != "wrong key"
            else {"authorization": "Bearer mag-aaaaaaaaaaaa-none"}
        )
        headers["content-type"] = "application/json"
        async with session.post(url, data=body, headers=headers) as answer:
            if kind == "hang up":
                await answer.content.readany()
                answer.close()
                return "left"
            await answer.read()
            return str(answer.status)

    async def worker(session: aiohttp.ClientSession) -> None:
        nonlocal left, done
        while left > 0:
            left -= 1
            _, kind, body = chance.choices(KINDS, weights)[0]
            try:
                outcomes[f"{kind}: {await one(session, kind, body)}"] += 1
            except aiohttp.ClientError as error:
                outcomes[f"{kind}: {type(error).__name__}"] += 1
            done += 1
            if done % (calls // 10) == 0:
                sample(done)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(worker(session) for _ in range(at_once)))
    return outcomes


def processes(contestant: run.Contestant) -> dict[str, int]:
    """Return name and id of each process of ours."""
    found = {}
    for pid in run.descendants(contestant.process.pid):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if b"magistrate.app.processes" in words:
            name = words[words.index(b"magistrate.app.processes") + 1].decode()
            # The recorder's child that seals has its command line, and a name of its own.
            comm = Path(f"/proc/{pid}/comm").read_text().strip()
            found[comm if comm == "sealer" else name] = pid
    return found


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def median(samples: list[dict[str, float]], name: str) -> float:
    return statistics.median(sample[name] for sample in samples)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=200_000)
    parser.add_argument("--at-once", type=int, default=24)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="magistrate-soak-"))
    up, base = run.upstream()
    contestant = run.magistrate(base, work)
    samples: list[dict[str, float]] = []
    began = time.monotonic()
    try:
        pids = processes(contestant)

        def sample(done: int) -> None:
            row = {"calls": done, "seconds": round(time.monotonic() - began)}
            row |= {name: round(resident_mb(pid), 1) for name, pid in pids.items()}
            samples.append(row)
            print("  ".join(f"{name} {value:g}" for name, value in row.items()), file=sys.stderr, flush=True)

        outcomes = uvloop.run(soak(contestant, options.calls, options.at_once, sample))
    finally:
        with contextlib.suppress(Exception):
            contestant.stop()
        up.terminate()
        shutil.rmtree(work, ignore_errors=True)
    growth = {name: round(median(samples[7:], name) / median(samples[3:6], name), 3) for name in pids}
    flat = all(ratio <= FLAT for ratio in growth.values())
    result = {
        "samples": samples,
        "late_over_early": growth,
        "flat": flat,
        "outcomes": dict(sorted(outcomes.items())),
    }
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        for name, count in result["outcomes"].items():
            print(f"  {count:8} {name}")
        print(
            f"resident memory, last three tenths over fourth to sixth: {growth}: {'flat' if flat else 'NOT FLAT'}"
        )
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
