"""What one event of a stream costs in processor time, inside the line and nowhere else: read, judged, written.

``python bench/relay.py`` feeds a prose answer in pieces of four characters, one event each as they come over the network, into
the relay, for each format; no socket, no log. ``--profile FORMAT`` says where the time goes.
"""

import argparse
import asyncio
import cProfile
import pstats
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.lines.world import Reply, World  # noqa: E402

from magistrate.adapters.upstreams.simulator import Simulator  # noqa: E402  because the tests' world is not installed
from magistrate.pipeline.inspecting import Relay  # noqa: E402

PROSE = "The answer grows word after word, as answers do, and nobody has anything to hide in it. " * 30
SIZE = 4
TURN = [{"role": "user", "content": f"backwards\nchunk size: {SIZE}\nsay: {PROSE[::-1]}"}]
ASKED = {
    "chat": ("/v1/chat/completions", {"model": "m", "stream": True, "messages": TURN}),
    "responses": ("/v1/responses", {"model": "m", "stream": True, "input": TURN}),
    "messages": ("/v1/messages", {"model": "m", "stream": True, "max_tokens": 9, "messages": TURN}),
    "gemini": (
        "/v1beta/models/m:streamGenerateContent",
        {"contents": [{"parts": [{"text": TURN[0]["content"]}]}]},
    ),
}


async def recorded(path: str, body: dict) -> tuple[World, list[bytes]]:
    """Return a world in which the question was asked, and the events of the answer."""
    world = World(Simulator())
    kept: list[bytes] = []
    feed = Relay.feed

    async def keeping(relay: Relay, data: bytes) -> bytes:
        kept.append(data)
        return await feed(relay, data)

    Relay.feed = keeping
    try:
        await world.ask(path, body)
    finally:
        Relay.feed = feed
    return world, [event + b"\n\n" for event in b"".join(kept).split(b"\n\n") if event]


async def fed(path: str, body: dict, events: list[bytes]) -> float:
    """Return the seconds of processor time that the relay took for all ``events``."""
    spent = 0.0
    feed = Relay.feed

    class Gone(Exception):
        """The measurement is over."""

    async def measuring(relay: Relay, _: bytes) -> bytes:
        nonlocal spent
        began = time.process_time()
        for event in events:
            await feed(relay, event)
        spent = time.process_time() - began
        raise Gone

    Relay.feed = measuring
    try:
        await World(Simulator()).ask(path, body, reply=Reply())
    except Gone:
        pass
    finally:
        Relay.feed = feed
    return spent


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--profile", choices=ASKED)
    options = parser.parse_args()
    for name in [options.profile] if options.profile else ASKED:
        path, body = ASKED[name]
        _, events = asyncio.run(recorded(path, body))
        if options.profile:
            profile = cProfile.Profile()
            profile.runcall(asyncio.run, fed(path, body, events))
            pstats.Stats(profile).sort_stats("tottime").print_stats(35)
            return
        best = min(asyncio.run(fed(path, body, events)) for _ in range(options.rounds))
        print(f"{name:10}{len(events):6} events{best / len(events) * 1e6:8.1f} µs an event")


if __name__ == "__main__":
    main()
