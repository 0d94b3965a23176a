"""``magistrate init``: the starter configuration and policies, written once."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from magistrate.app.bundles import starter
from magistrate.app.cli.located import JsonOption
from magistrate.exchange.errors import ConfigurationError


def init(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to write.")] = Path(),
    json: JsonOption = False,
) -> None:
    """Write magistrate.yaml and policies with their schema and tests. Never overwrites."""
    source = starter().parent
    names = [path.relative_to(source) for path in sorted(source.rglob("*")) if _ships(path)]
    taken = [name for name in names if (directory / name).exists()]
    if taken:
        raise ConfigurationError(
            "is already there; nothing was written. Name an empty directory", str(directory / taken[0])
        )
    try:
        for name in names:
            _write(directory / name, (source / name).read_bytes())
    except OSError as error:
        raise ConfigurationError(f"cannot be written ({error.strerror})", str(error.filename)) from None
    written = [str(directory / name) for name in names]
    if json:
        print(msgspec.json.encode({"written": written}).decode())
        return
    for path in written:
        print(f"wrote {path}")
    go = "" if directory == Path() else f"cd {directory} && "
    print("\nNext:")
    print(f"  {go}magistrate check     # reads it all and runs the policies' tests")
    print(f"  {go}magistrate serve     # starts, and shows your first key once")
    print("The simulator answers until you fill in a provider in magistrate.yaml.")


def _ships(path: Path) -> bool:
    return path.suffix in {".yaml", ".cedar", ".cedarschema"}


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(content)
