"""``magistrate version``."""

import platform
from importlib.metadata import version as installed

import orjson

from magistrate.app.cli.located import JsonOption


def version(json: JsonOption = False) -> None:
    """Print the version of Magistrate and of what it runs on."""
    found = {
        "magistrate": installed("magistrate"),
        "python": platform.python_version(),
        "system": platform.platform(),
    }
    if json:
        print(orjson.dumps(found).decode())
    else:
        print(f"magistrate {found['magistrate']} (python {found['python']}, {found['system']})")
