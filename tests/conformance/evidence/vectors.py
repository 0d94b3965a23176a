"""Where the published test vectors lie, and how a test says that they are not here."""

import json
from pathlib import Path
from typing import Any

import pytest

VECTORS = Path(__file__).parents[3] / ".." / "shared" / "data" / "vectors"


def folder(name: str) -> Path:
    """Return a folder of vectors, or skip the module."""
    path = VECTORS / name
    if not path.is_dir():
        pytest.skip(
            f"the published vectors `{name}` are not on this machine (looked in {path.resolve()})",
            allow_module_level=True,
        )
    return path


def load(name: str) -> Any:
    """Return one JSON file of vectors, or skip the module."""
    return json.loads((folder(str(Path(name).parent)) / Path(name).name).read_text(encoding="utf-8"))
