"""``magistrate evidence rotate-key``: new signing keys that the old ones vouch for."""

import sqlite3
import sys

import orjson

from magistrate.adapters.recorder.ledger import Ledger
from magistrate.adapters.recorder.wal import WalBroken
from magistrate.app.cli.located import ConfigOption, DataOption, JsonOption, configuration
from magistrate.app.recorder import recorder_settings
from magistrate.exchange.errors import ConfigurationError


def rotate_key(
    config: ConfigOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Let new signing keys follow those in force. Stop `magistrate serve` first.

    The old keys sign, as their last record, which keys follow; whoever trusts an old key can verify what the new ones sign.
    """
    settings = configuration(config, data)
    if not (settings.evidence_dir / "log.vkey").exists():
        raise ConfigurationError(
            "there is no log here whose keys could follow one another", str(settings.evidence_dir)
        )
    try:
        ledger = Ledger(recorder_settings(settings))
        try:
            keys = ledger.rotate_keys()
            size = ledger.size
        finally:
            ledger.close(clean=ledger.unsealed_bytes == 0)
    except (OSError, sqlite3.Error, WalBroken) as error:
        raise ConfigurationError(
            f"the keys could not be changed: {error}", str(settings.evidence_dir)
        ) from None
    if json:
        sys.stdout.write(orjson.dumps({"vkeys": keys.vkeys, "records": size}).decode() + "\n")
        return
    print(f"after {size} records these keys follow; who trusts the old ones can verify them:")
    print("\n".join(keys.vkeys))
    print(
        "tell your witnesses the first one (`--log`, beside the old one) before `magistrate serve` starts again"
    )
