"""What the first start makes: the data directory, a first key, the control plane's first token."""

import os
from dataclasses import dataclass
from pathlib import Path

from magistrate.adapters.state.keys import KeyStore, local_token
from magistrate.app.config import Config
from magistrate.exchange.errors import ConfigurationError

FIRST_USER = "first-user"


@dataclass(frozen=True, slots=True)
class Credentials:
    """``key`` is the first key, presented once and only when it was made just now."""

    key: str | None
    token_file: Path


def prepare_data(config: Config) -> None:
    """Create the data directory and what stands in it, readable by their owner only.

    Raises:
        ConfigurationError: it cannot be created or written.
    """
    try:
        for directory in (config.data, config.run_dir):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"cannot be created ({error.strerror})", str(config.data)) from None
    if not os.access(config.data, os.W_OK):
        raise ConfigurationError("cannot be written to", str(config.data))


def first_credentials(config: Config) -> Credentials:
    """Make sure that a key and a control-plane token exist; return the key if it was made just now."""
    store = KeyStore(config.state_db)
    token_file = config.data / "control.token"
    try:
        local_token(store, token_file)
        key = None if store.list() else store.create(user=FIRST_USER)[0]
    finally:
        store.close()
    return Credentials(key, token_file)
