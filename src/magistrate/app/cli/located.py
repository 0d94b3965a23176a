"""Which configuration and which data directory a command works on. Every command finds them the same way."""

import os
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec
import typer

from magistrate.app.config import Config, load

DEFAULT = Path("magistrate.yaml")

ConfigOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file. Default: ./magistrate.yaml if it is there."),
]
DataOption: TypeAlias = Annotated[
    Path | None, typer.Option("--data", help="Data directory, instead of the file's.")
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def chosen(path: Path | None) -> Path | None:
    """Return the configuration file to read: the given one, else the default if it exists, else none."""
    return path or (DEFAULT if DEFAULT.exists() else None)


def configuration(path: Path | None, data: Path | None, *, resolve: bool = False) -> Config:
    """Return the configuration a command works on; secrets stay unread unless ``resolve``.

    Raises:
        ConfigurationError: it cannot be read or has mistakes.
    """
    config = load(chosen(path), os.environ, resolve=resolve)
    return config if data is None else msgspec.structs.replace(config, data_dir=str(data))
