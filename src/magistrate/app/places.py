"""Where the log is kept: what the configuration says of S3 and PostgreSQL, for the recorder and for who reads.

Their secrets are read here, when a store is opened: the gateway, which opens none, never sees them.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from magistrate.adapters.recorder.archive import Archive
from magistrate.adapters.recorder.opening import Stores
from magistrate.adapters.recorder.outage import read_store
from magistrate.adapters.recorder.shelf import Shelf
from magistrate.adapters.recorder.storage import Place, Places, PostgresPlace, S3Place
from magistrate.adapters.telemetry.exposition import Gauge, render
from magistrate.app.settings import Config, StoreSetting
from magistrate.exchange.errors import ConfigurationError

_LARGEST_SECRET = 64 << 10


def places(config: Config, environ: Mapping[str, str] | None = None) -> Places:
    """Return where both ports are, with their secrets.

    Raises:
        ConfigurationError: a secret cannot be read.
    """
    told = os.environ if environ is None else environ
    evidence = config.evidence
    return Places(_place(evidence.objects, "objects", told), _place(evidence.register, "register", told))


def open_log(config: Config) -> Archive:
    """Return a reader of all shards of the log that ``config`` speaks of.

    Raises:
        ConfigurationError: there is none, or its store cannot be opened.
        StoreUnavailable: the store does not answer.
    """
    place = _place(config.evidence.objects, "objects", os.environ)
    return Archive(config.data, config.vault_dir, config.root_key, place)


def open_shelf(config: Config) -> Shelf:
    """Return the closed shards of the log that ``config`` speaks of. Raises ConfigurationError."""
    place = _place(config.evidence.objects, "objects", os.environ)
    return Shelf(config.evidence_dir, Stores(config.evidence_dir, Places(place)))


def store_metrics(root: Path) -> bytes:
    """Return how the store of the log in ``root`` stands, for scrapers; nothing when everything is local."""
    standing = read_store(root)
    if standing is None:
        return b""
    up = Gauge("magistrate_evidence_store_up", "Whether the store of the log answered last time.")
    records = Gauge("magistrate_evidence_store_waiting_records", "Durable records that wait for the store.")
    waiting = Gauge(
        "magistrate_evidence_store_waiting_bytes", "Memory they take; beyond 512 MiB new records wait, too."
    )
    up.set(not standing.fails)
    records.set(standing.records)
    waiting.set(standing.bytes)
    return render((up, records, waiting))


def _place(store: StoreSetting, field: str, environ: Mapping[str, str]) -> Place | None:
    if store.s3 is not None:
        s3, where = store.s3, f"evidence.{field}.s3"
        return S3Place(
            bucket=s3.bucket,
            prefix=s3.prefix,
            endpoint=s3.endpoint,
            region=s3.region,
            access_key=_secret(s3.access_key, f"{where}.access_key", environ),
            secret_key=_secret(s3.secret_key, f"{where}.secret_key", environ),
            ca=s3.ca,
            lock=s3.lock == "compliance",
        )
    if store.postgres is not None:
        url = _secret(store.postgres.url, f"evidence.{field}.postgres.url", environ)
        return PostgresPlace(url, store.postgres.prefix)
    return None


def _secret(reference: str, field: str, environ: Mapping[str, str]) -> str:
    if not reference:
        return ""
    if reference.startswith("file:"):
        try:
            with Path(reference.removeprefix("file:")).open("rb") as file:
                value = file.read(_LARGEST_SECRET).decode().strip()
        except (OSError, UnicodeDecodeError):
            value = ""
    else:
        value = environ.get(reference[2:-1], "").strip()
    if not value or not value.isprintable():
        raise ConfigurationError(f"refers to `{reference}`, which cannot be read as one line of text", field)
    return value
