"""The gateway process: the line wired to the world, reloaded whole when policy or keys change."""

import asyncio
import hashlib
import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import orjson
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from magistrate.adapters.host import SystemClock, SystemIds, draw
from magistrate.adapters.listeners.gateway import Gateway
from magistrate.adapters.recorder.client import RecorderClient
from magistrate.adapters.state.live import LiveKeys
from magistrate.adapters.telemetry.sender import TelemetrySender
from magistrate.adapters.upstreams.http import Access, HttpUpstream
from magistrate.adapters.upstreams.simulator import Simulator
from magistrate.adapters.upstreams.switch import Switch
from magistrate.app.bundles import PolicySource
from magistrate.app.catalogue import base_url, catalogue
from magistrate.app.config import Config, split_address
from magistrate.app.inspection import classifier
from magistrate.app.policies import store_bundle
from magistrate.evidence.draft import Body, Draft
from magistrate.exchange.errors import ConfigurationError, EvidenceUnavailable
from magistrate.pipeline.line import Limits, Line
from magistrate.pipeline.ports import Upstream
from magistrate.policy.bundle import Bundle
from magistrate.route.catalogue import Catalogue
from magistrate.wire.dialects import DIALECTS

DRAIN_S = 30.0
POLICIES_EVERY_S = 1.0

log = logging.getLogger("magistrate.gateway")


async def serve_gateway(config: Config, *, local_model: bool, ready: Callable[[], None]) -> None:
    """Serve the data plane until SIGTERM or SIGINT, then drain.

    Raises:
        ConfigurationError: something in the configuration, the policies or the stores does not hold.
    """
    if config.evidence.durability != "before-effect":
        raise ConfigurationError(
            "`bounded-async` is not supported yet; write `before-effect`", "evidence.durability"
        )
    source = PolicySource(config.policies_dir)
    bundle = source.load()
    keys = LiveKeys(config.state_db)
    recorder = RecorderClient(config.run_dir / "recorder.sock", wid=SystemIds().record())
    await recorder.connect()
    line = _line(config, bundle, keys, recorder, local_model=local_model)
    gateway = Gateway(line, ready=recorder.problem)
    await _announce_policy(gateway, config, bundle)
    host, port = split_address(config.listen)
    server = Server(
        gateway,
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        backlog=1024,
        log_enabled=False,
        ssl_cert=Path(config.tls.cert) if config.tls else None,
        ssl_key=Path(config.tls.key) if config.tls else None,
    )
    stop = asyncio.Event()
    reload = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload.set)
    tasks = [
        asyncio.ensure_future(server.serve()),
        asyncio.ensure_future(keys.follow()),
        asyncio.ensure_future(_follow_policies(gateway, config, source, reload)),
    ]
    await _listening(host, port)
    ready()
    await stop.wait()
    await gateway.drain(DRAIN_S)
    server.stop()  # type: ignore[no-untyped-call]  # because granian leaves it unannotated
    for task in tasks[1:]:
        task.cancel()
    await asyncio.wait(tasks, timeout=5)
    await recorder.close()


def _line(
    config: Config, bundle: Bundle, keys: LiveKeys, recorder: RecorderClient, *, local_model: bool
) -> Line:
    endpoints = catalogue(config)
    return Line(
        clock=SystemClock(),
        ids=SystemIds(),
        draw=draw,
        keys=keys,
        dialects=DIALECTS,
        classifier=classifier(config.inspection),
        bundle=bundle,
        catalogue=Catalogue(endpoints),
        evidence=recorder,
        upstream=_upstream(config, local_model=local_model),
        telemetry=TelemetrySender(config.run_dir / "telemetry.sock"),
        token_key=_token_key(config),
        mode=config.mode,
        limits=Limits(request_bytes=config.limits.body_bytes, answer_bytes=config.limits.answer_bytes),
    )


def _upstream(config: Config, *, local_model: bool) -> Upstream:
    http = HttpUpstream(
        {
            provider.name: Access(
                base_url(provider),
                provider.api,
                provider.api_key.reveal() if provider.api_key else None,
                connect_s=provider.connect_timeout_s,
                idle_s=provider.timeout_s,
            )
            for provider in config.providers
            if provider.api != "simulator"
        }
    )
    by_provider: dict[str, Upstream] = {
        provider.name: Simulator() if provider.api == "simulator" else http for provider in config.providers
    }
    if local_model:
        from magistrate.adapters.upstreams.local_model import LocalModel  # noqa: PLC0415  because the extra is optional

        by_provider["local"] = LocalModel()
    return Switch(by_provider)


def _token_key(config: Config) -> bytes:
    """Return the secret under which `tokenise` works, made once and kept beside the other keys of the gateway."""
    path = config.data / "token.key"
    if not path.exists():
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(32))
    return hashlib.sha256(path.read_bytes()).digest()


async def _follow_policies(
    gateway: Gateway, config: Config, source: PolicySource, reload: asyncio.Event
) -> None:
    """Put a new bundle in force when its files changed and it validates; else keep the good one and say why."""
    seen = source.stamp()
    while True:
        try:
            async with asyncio.timeout(POLICIES_EVERY_S):
                await reload.wait()
        except TimeoutError:
            pass
        stamp = source.stamp()
        if stamp == seen and not reload.is_set():
            continue
        reload.clear()
        seen = stamp
        try:
            bundle = await asyncio.get_running_loop().run_in_executor(None, source.load)
        except ConfigurationError as error:
            log.error(
                "policies did not change: the new ones are not valid, the old ones stay in force\n%s", error
            )
            continue
        if bundle.digest != gateway.line.bundle.digest:
            await _announce_policy(gateway, config, bundle)


async def _announce_policy(gateway: Gateway, config: Config, bundle: Bundle) -> None:
    """Record a bundle, then put it in force: no decision is ever made by policies that are not on record."""
    store_bundle(config.data, bundle)
    line = gateway.line
    header: dict[str, object] = {
        "v": 1,
        "eid": line.ids.record(),
        "t": "config.change",
        "phase": "note",
        "ts": line.clock.now_us(),
        "clk": {"src": "system"},
        "trace": line.ids.trace(),
        "parent": "",
        "tenant": "default",
        "app": "magistrate",
        "actor": {"kind": "gateway", "handle": ""},
        "policy": {"bundle": bundle.digest, "mode": line.mode.value},
    }
    body = Body("bundle", "application/json", orjson.dumps({k: v.decode() for k, v in bundle.files.items()}))
    try:
        await line.evidence.append(Draft(header, (body,)))
    except EvidenceUnavailable as error:
        log.error("policies did not change: the change could not be recorded (%s)", error)
        return
    gateway.line = replace(line, bundle=bundle)
    log.info("policies %s in force", bundle.digest[:16])


async def _listening(host: str, port: int) -> None:
    """Return once the listener accepts connections.

    Raises:
        ConfigurationError: it does not within five seconds.
    """
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            _, writer = await asyncio.open_connection(host if host != "0.0.0.0" else "127.0.0.1", port)  # noqa: S104  because it is compared, not bound
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
    raise ConfigurationError(f"cannot listen on `{host}:{port}`: is the port taken?", "listen")
