"""The gateway process: the line wired to the world, reloaded whole when policy or keys change."""

import asyncio
import hashlib
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import orjson

from magistrate.adapters.host import SystemClock, SystemIds, draw
from magistrate.adapters.listeners.gateway import Gateway
from magistrate.adapters.recorder.client import RecorderClient
from magistrate.adapters.recorder.outstanding import Bound
from magistrate.adapters.serving import Server
from magistrate.adapters.state.live import LiveKeys
from magistrate.adapters.telemetry.logs import configure
from magistrate.adapters.telemetry.sender import TelemetrySender
from magistrate.adapters.upstreams import local_model
from magistrate.adapters.upstreams.http import Access, HttpUpstream
from magistrate.adapters.upstreams.simulator import Simulator
from magistrate.adapters.upstreams.switch import Switch
from magistrate.app.bundles import PolicySource
from magistrate.app.catalogue import base_url, catalogue
from magistrate.app.config import Config, split_address
from magistrate.app.durability import durabilities, weaker
from magistrate.app.inspection import Inspecting, classifier_of
from magistrate.app.listening import require_free, serve_until_told
from magistrate.app.policies import store_bundle
from magistrate.app.prices import price_tables
from magistrate.classify.sinks import Sinks
from magistrate.classify.urls import HostList
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


async def serve_gateway(config: Config, *, with_local_model: bool, ready: Callable[[], None]) -> None:
    """Serve the data plane until SIGTERM or SIGINT, then drain.

    Raises:
        ConfigurationError: something in the configuration, the policies or the stores does not hold.
    """
    configure(config.log.level, config.log.format, "gateway")
    require_free(config.listen, "listen")
    source = PolicySource(config.policies_dir)
    bundle = source.load()
    # Before the keys are read, because a snapshot of them ages while a model loads.
    engine = await asyncio.to_thread(local_model.Engine.start) if with_local_model else None
    keys = LiveKeys(config.state_db)
    bounded = config.evidence.bounded
    recorder = RecorderClient(
        config.recorder_socket,
        wid=SystemIds().record(),
        bound=Bound(bounded.records, bounded.bytes, bounded.ms) if weaker(config) else None,
    )
    await recorder.connect()
    classifier = classifier_of(config)
    for route in weaker(config):
        log.warning("%s may go ahead before its record is durable (bounded-async)", route)
    line = _line(config, bundle, keys, recorder, classifier, engine)
    gateway = Gateway(line, ready=lambda: recorder.problem() or keys.problem())
    await _announce_policy(gateway, config, bundle)
    await _announce_prices(line)
    host, port = split_address(config.listen)
    server = Server(
        gateway,
        address=host,
        port=port,
        cert=Path(config.tls.cert) if config.tls else None,
        key=Path(config.tls.key) if config.tls else None,
    )
    reload = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload.set)
    try:
        await serve_until_told(
            server,
            config.listen,
            ready,
            beside=[keys.follow(), _follow_policies(gateway, config, source, reload)],
            stopping=lambda: gateway.drain(DRAIN_S),
        )
    finally:
        await line.upstream.aclose()
        await classifier.aclose()
        await recorder.close()


def _line(
    config: Config,
    bundle: Bundle,
    keys: LiveKeys,
    recorder: RecorderClient,
    classifier: Inspecting,
    engine: local_model.Engine | None,
) -> Line:
    endpoints = catalogue(config) + ((local_model.ENDPOINT,) if engine else ())
    return Line(
        clock=SystemClock(),
        ids=SystemIds(),
        draw=draw,
        keys=keys,
        dialects=DIALECTS,
        classifier=classifier,
        bundle=bundle,
        catalogue=Catalogue(endpoints),
        evidence=recorder,
        upstream=_upstream(config, engine),
        telemetry=TelemetrySender(config.run_dir / "telemetry.sock"),
        token_key=_token_key(config),
        sinks=Sinks(HostList(config.sinks.allow)),
        mode=config.mode,
        retention=config.evidence.retention.schedule(),
        durability=durabilities(config),
        limits=Limits(request_bytes=config.limits.body_bytes, answer_bytes=config.limits.answer_bytes),
    )


def _upstream(config: Config, engine: local_model.Engine | None) -> Upstream:
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
    if engine is not None:
        by_provider[local_model.PROVIDER] = local_model.LocalModel(engine)
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
    header = _changed(line, policy={"bundle": bundle.digest, "mode": line.mode.value})
    body = Body("bundle", "application/json", orjson.dumps({k: v.decode() for k, v in bundle.files.items()}))
    try:
        await line.evidence.append(Draft(header, (body,), retention=line.retention.default))
    except EvidenceUnavailable as error:
        log.error("policies did not change: the change could not be recorded (%s)", error)
        return
    gateway.line = replace(line, bundle=bundle)
    log.info("policies %s in force", bundle.digest[:16])


async def _announce_prices(line: Line) -> None:
    """Record the prices before any call is priced by them: the version in an outcome then stands for numbers on record.

    Raises:
        EvidenceUnavailable: they could not be recorded.
    """
    for prices in price_tables(line.catalogue.endpoints):
        await line.evidence.append(Draft(_changed(line, prices=prices), retention=line.retention.default))


def _changed(line: Line, **fields: object) -> dict[str, object]:
    """Return the header of a record that says what configuration is in force from now on."""
    return {
        "v": 1,
        "eid": line.ids.record(),
        "t": "config.change",
        "phase": "note",
        "ts": line.clock.now_us(),
        "clk": line.clock.standing(),
        "trace": line.ids.trace(),
        "parent": "",
        "tenant": "default",
        "app": "magistrate",
        "actor": {"kind": "gateway", "handle": ""},
        **fields,
    }
