"""The recorder process: the only one that can write the log, and the only one that holds its keys."""

from collections.abc import Callable

from magistrate.adapters.recorder.ledger import Settings
from magistrate.adapters.recorder.process import serve
from magistrate.adapters.telemetry.logs import configure
from magistrate.app.attestation import recorder_plan
from magistrate.app.settings import Config


def serve_recorder(config: Config, ready: Callable[[], None]) -> None:
    """Record until SIGTERM or SIGINT; call ``ready`` once records are accepted.

    Raises:
        ConfigurationError: another recorder is at work on this log, or its key is not the one in the vault.
        WalBroken: the disk can no longer be trusted.
    """
    configure(config.log.level, config.log.format, "recorder")
    serve(recorder_settings(config), ready)


def recorder_settings(config: Config) -> Settings:
    """Return where everything of the recorder's stands."""
    return Settings(
        evidence=config.evidence_dir,
        vault=config.vault_dir,
        socket=config.run_dir / "recorder.sock",
        origin=config.evidence.origin,
        plan=recorder_plan(config.evidence),
    )
