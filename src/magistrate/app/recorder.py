"""The recorder process: the only one that can write the log, and the only one that holds its keys."""

import pwd
from collections.abc import Callable

from magistrate.adapters.recorder.ledger import Settings
from magistrate.adapters.recorder.process import serve
from magistrate.adapters.recorder.rotation import Limits
from magistrate.adapters.telemetry.logs import configure
from magistrate.app.attestation import recorder_plan
from magistrate.app.places import places
from magistrate.app.settings import Config
from magistrate.exchange.errors import ConfigurationError


def serve_recorder(config: Config, ready: Callable[[], None]) -> None:
    """Record until SIGTERM or SIGINT; call ``ready`` once records are accepted.

    Raises:
        ConfigurationError: another recorder is at work on this log, or its key is not the one in the vault.
        WalBroken: the disk can no longer be trusted.
    """
    configure(config.log.level, config.log.format, "recorder")
    serve(recorder_settings(config), ready)


def recorder_settings(config: Config) -> Settings:
    """Return where everything of the recorder's stands, and by which schedule and for whom it records.

    Raises:
        ConfigurationError: a writer is no user of this machine, or a store's secret cannot be read.
    """
    return Settings(
        evidence=config.evidence_dir,
        vault=config.vault_dir,
        socket=config.recorder_socket,
        origin=config.evidence.origin,
        root_key=config.root_key,
        retention=config.evidence.retention.schedule(),
        trace_idle_s=config.evidence.trace_idle_s,
        keep_awake=config.evidence.keep_awake,
        writers=frozenset(map(_user, config.evidence.writers)),
        plan=recorder_plan(config.evidence),
        places=places(config),
        seal_every_s=config.evidence.seal_every_s,
        limits=Limits(config.evidence.shard.records or 0, (config.evidence.shard.days or 0) * 86_400),
    )


def _user(name: str) -> int:
    try:
        return int(name) if name.isdigit() else pwd.getpwnam(name).pw_uid
    except KeyError:
        raise ConfigurationError(f"there is no user `{name}` on this machine", "evidence.writers") from None
