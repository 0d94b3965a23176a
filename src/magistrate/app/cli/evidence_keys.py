"""``magistrate evidence rotate-key | rotate``: new signing keys that the old ones vouch for, and a new shard under them."""

import sqlite3
import sys
from typing import Annotated

import orjson
import typer

from magistrate.adapters.recorder.ledger import Ledger
from magistrate.adapters.recorder.orders import RotateShard
from magistrate.adapters.recorder.rotation import keys_to_follow
from magistrate.adapters.recorder.wal import WalBroken
from magistrate.app.cli.evidence_orders import ByOption, give
from magistrate.app.cli.located import ConfigOption, DataOption, JsonOption, configuration
from magistrate.app.custody import person
from magistrate.app.recorder import recorder_settings
from magistrate.evidence.hold import Person
from magistrate.evidence.note import Verifier
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


def rotate(
    prepare: Annotated[
        bool,
        typer.Option(
            "--prepare",
            help="Only make the next shard's keys and print the one that witnesses need. Nothing is closed.",
        ),
    ] = False,
    by: ByOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Close the shard that is written and go on in a new one, while `magistrate serve` runs or not.

    The closed shard is a whole log in `shards/N`: it may be moved to an archive, and verified there alone.
    """
    settings = configuration(config, data)
    root = settings.evidence_dir
    if not (root / "log.vkey").exists():
        raise ConfigurationError("there is no log here that could go on in another shard", str(root))
    if not prepare:
        give(settings, RotateShard(by=person(settings, by) if by else Person()), json=json)
        return
    origin = Verifier((root / "log.vkey").read_text(encoding="ascii")).name
    keys = keys_to_follow(root, settings.vault_dir, origin)
    if json:
        sys.stdout.write(orjson.dumps({"vkeys": keys.vkeys}).decode() + "\n")
    else:
        print(keys.signer.vkey)
