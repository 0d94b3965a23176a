"""The control process: admin API, metrics and live feed on their own port, never in the data path."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from magistrate.adapters.listeners.control import Control, Sources
from magistrate.adapters.serving import Server
from magistrate.adapters.state.keys import KeyStore, local_token
from magistrate.adapters.telemetry import feed as live
from magistrate.adapters.telemetry.logs import configure
from magistrate.adapters.telemetry.metrics import Metrics
from magistrate.adapters.telemetry.receiver import Receiver
from magistrate.app.attestation import vouching_metrics
from magistrate.app.config import Config, split_address
from magistrate.app.listening import require_free, serve_until_told
from magistrate.app.places import store_metrics
from magistrate.exchange.errors import ConfigurationError
from magistrate.pipeline.ports import Observation

TOKEN_FILE = "control.token"  # noqa: S105  because it is a file name
TELEMETRY_SOCKET = "telemetry.sock"


async def serve_control(config: Config, ready: Callable[[], None]) -> None:
    """Serve the control plane until SIGTERM or SIGINT; call ``ready`` once requests are answered.

    Raises:
        ConfigurationError: the address is taken or a path cannot be used.
        StateUnavailable: the key store cannot be used.
    """
    configure(config.log.level, config.log.format, "control")
    require_free(config.control, "control")
    store = KeyStore(config.state_db)
    local_token(store, config.data / TOKEN_FILE)
    metrics, feed = Metrics(installed_version("magistrate")), live.Feed()

    def deliver(seen: Observation) -> None:
        metrics.observe(seen)
        feed.publish(seen)

    loop = asyncio.get_running_loop()
    try:
        receiver = Receiver(config.run_dir / TELEMETRY_SOCKET, deliver, metrics.lost)
    except OSError as error:
        raise ConfigurationError(
            f"cannot be bound ({error})", str(config.run_dir / TELEMETRY_SOCKET)
        ) from None
    receiver.attach(loop)
    control = Control(sources(config, store, metrics, feed))
    try:
        await _serve(config, control, ready)
    finally:
        receiver.close(loop)
        store.close()


def sources(config: Config, store: KeyStore, metrics: Metrics, feed: live.Feed) -> Sources:
    """Return what the control plane shows of this process."""
    started = time.monotonic()

    def follow(last: int, after: int) -> AsyncIterator[bytes]:
        return live.lines(feed, last=last, after=after)

    def status() -> dict[str, Any]:
        return {
            **described(config, store),
            "uptime_s": int(time.monotonic() - started),
            "observations": feed.count,
        }

    return Sources(
        keys=store,
        metrics=lambda: (
            metrics.render() + vouching_metrics(config.evidence_dir) + store_metrics(config.evidence_dir)
        ),
        feed=follow,
        status=status,
        now_us=lambda: time.time_ns() // 1000,
        version=installed_version("magistrate"),
        hosts=(*config.control_hosts, split_address(config.control)[0]),
    )


def described(config: Config, store: KeyStore) -> dict[str, Any]:
    """Return what is configured, without secrets."""
    now = time.time_ns() // 1000
    keys = store.list()
    live_keys = [
        key for key in keys if key.revoked_us is None and (key.expires_us is None or key.expires_us > now)
    ]
    return {
        "version": installed_version("magistrate"),
        "mode": config.mode.value,
        "listen": config.listen,
        "control": config.control,
        "simulated": config.simulated,
        "providers": [
            {
                "name": provider.name,
                "api": provider.api,
                "region": provider.region,
                "certifications": provider.certifications,
                "models": [model.name for model in provider.models],
            }
            for provider in config.providers
        ],
        "policies": config.policies or "built-in",
        "evidence": {"durability": config.evidence.durability, "origin": config.evidence.origin},
        "keys": {
            "active": len(live_keys),
            "without_expiry": sum(key.expires_us is None for key in live_keys),
            "ended": len(keys) - len(live_keys),
        },
        "disk_free_bytes": shutil.disk_usage(config.data).free,
    }


async def _serve(config: Config, control: Control, ready: Callable[[], None]) -> None:
    host, port = split_address(config.control)
    server = Server(
        control,
        address=host,
        port=port,
        cert=Path(config.tls.cert) if config.tls else None,
        key=Path(config.tls.key) if config.tls else None,
    )
    await serve_until_told(server, config.control, ready, stopping=control.stop)
