"""The supervisor: starts recorder, gateway and control in that order, watches them, stops them in reverse.

A child that dies is started again, because the next start recovers and says what it recovered. One that keeps dying
is not: three deaths within thirty seconds stop everything, so that a fault is seen and not spun on.
"""

import asyncio
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from magistrate.exchange.errors import ConfigurationError

READY_WITHIN_S = 30.0
STOP_WITHIN_S = 40.0
"""Longer than the gateway's own time to drain, so that a slow drain is not cut."""

DEATHS, DEATHS_WITHIN_S = 3, 30.0

PROVIDER_SECRETS_GO_TO = "gateway"


@dataclass(slots=True)
class Child:
    """One process of ours. ``argv`` never holds a secret: process lists are public."""

    name: str
    argv: Sequence[str]
    environ: Mapping[str, str]
    process: asyncio.subprocess.Process | None = None
    deaths: deque[float] = field(default_factory=deque)


class Supervisor:
    """Runs the children until told to stop or until one keeps dying."""

    def __init__(self, children: Sequence[Child], *, say: Callable[[str], None]) -> None:
        self._children = list(children)
        self._say = say
        self._stopping = asyncio.Event()
        self._echoes: list[asyncio.Future[None]] = []

    async def run(self, on_ready: Callable[[], None]) -> int:
        """Start everything, call ``on_ready``, watch; return the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._pass_on, signal.SIGHUP)
        try:
            for child in self._children:
                await self._start(child)
            on_ready()
            watchers = [asyncio.ensure_future(self._watch(child)) for child in self._children]
            stop = asyncio.ensure_future(self._stopping.wait())
            done, _ = await asyncio.wait([*watchers, stop], return_when=asyncio.FIRST_COMPLETED)
            self._stopping.set()
            failed = stop not in done
            for task in watchers:
                task.cancel()
        except ConfigurationError as error:
            self._say(str(error))
            failed = True
        await self._stop_all()
        return 1 if failed else 0

    async def _start(self, child: Child) -> None:
        child.process = await asyncio.create_subprocess_exec(
            *child.argv, stdout=asyncio.subprocess.PIPE, env=dict(child.environ), start_new_session=True
        )
        assert child.process.stdout is not None
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                async for line in child.process.stdout:
                    text = line.decode("utf-8", "replace").rstrip()
                    if text == "ready":
                        self._echoes.append(asyncio.ensure_future(self._echo(child.process.stdout)))
                        return
                    self._say(text)
        except TimeoutError:
            raise ConfigurationError(f"{child.name} was not ready within {READY_WITHIN_S:g} s") from None
        status = await child.process.wait()
        raise ConfigurationError(
            f"{child.name} did not start (exit status {status}); the reason stands above"
        )

    async def _watch(self, child: Child) -> None:
        """Return only when ``child`` keeps dying."""
        while True:
            assert child.process is not None
            status = await child.process.wait()
            if self._stopping.is_set():
                await asyncio.Event().wait()
            now = time.monotonic()
            child.deaths.append(now)
            while child.deaths and child.deaths[0] < now - DEATHS_WITHIN_S:
                child.deaths.popleft()
            self._say(f"{child.name} died (exit status {status})")
            if len(child.deaths) >= DEATHS:
                self._say(
                    f"{child.name} died {DEATHS} times within {DEATHS_WITHIN_S:g} s: stopping everything"
                )
                return
            try:
                await self._start(child)
                self._say(f"{child.name} is running again")
            except ConfigurationError as error:
                self._say(str(error))
                return

    async def _echo(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            self._say(line.decode("utf-8", "replace").rstrip())

    async def _stop_all(self) -> None:
        # The gateway drains while the recorder still takes records; the recorder goes last.
        for child in reversed(self._children):
            process = child.process
            if process is None or process.returncode is not None:
                continue
            process.terminate()
            try:
                async with asyncio.timeout(STOP_WITHIN_S):
                    await process.wait()
            except TimeoutError:
                self._say(f"{child.name} did not stop within {STOP_WITHIN_S:g} s: killed")
                process.kill()
                await process.wait()

    def _pass_on(self, number: int) -> None:
        for child in self._children:
            if child.process is not None and child.process.returncode is None and child.name == "gateway":
                child.process.send_signal(number)


def command(module: str, *arguments: str) -> list[str]:
    """Return the argv that runs one of our modules with this interpreter."""
    return [sys.executable, "-m", module, *arguments]


def without_secrets(environ: Mapping[str, str], secrets: Sequence[str]) -> dict[str, str]:
    """Return ``environ`` without the variables that hold provider keys: only the gateway gets those."""
    return {name: value for name, value in environ.items() if name not in secrets}


def environment() -> dict[str, str]:
    return dict(os.environ)
