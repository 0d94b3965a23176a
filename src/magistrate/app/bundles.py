"""Policies on disk: read, loaded whole or not at all, reloaded when they change."""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from magistrate.exchange.errors import ConfigurationError
from magistrate.policy.bundle import Bundle, load

MOST_FILES = 1000
LARGEST_FILE = 1 << 20

Stamp = tuple[tuple[str, int, int], ...]
"""Name, modification time in ns and size of every policy file: what a change shows in."""


@dataclass(frozen=True, slots=True)
class PolicySource:
    """Where policies come from: a directory, or the starter bundle inside the package."""

    directory: Path | None

    def files(self) -> dict[str, bytes]:
        """Return the bundle's files by name.

        Raises:
            ConfigurationError: no directory, or too much in it.
        """
        root = self.directory or starter()
        if not root.is_dir():
            raise ConfigurationError(
                "no such directory; `magistrate init` writes one to start from", str(root)
            )
        names = sorted([*root.glob("*.cedar"), *root.glob("*.cedarschema")])
        if len(names) > MOST_FILES:
            raise ConfigurationError(f"more than {MOST_FILES} policy files", str(root))
        files: dict[str, bytes] = {}
        for path in names:
            content = path.read_bytes()
            if len(content) > LARGEST_FILE:
                raise ConfigurationError(f"larger than {LARGEST_FILE} bytes", str(path))
            files[path.name] = content
        return files

    def stamp(self) -> Stamp:
        """Return what changes when a file does."""
        root = self.directory
        if root is None:
            return ()
        paths = sorted([*root.glob("*.cedar"), *root.glob("*.cedarschema")])
        found = [(path.name, path.stat()) for path in paths]
        return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in found)

    def load(self) -> Bundle:
        """Return the bundle.

        Raises:
            ConfigurationError: it does not validate; every problem is listed with file and line.
        """
        return load(self.files())


def starter() -> Path:
    """Return where the starter policies stand inside the installed package."""
    return Path(str(resources.files("magistrate.app"))) / "starter" / "policies"
