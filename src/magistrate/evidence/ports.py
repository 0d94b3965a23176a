"""What the log asks of storage: two ports, and nothing else is shared between stores."""

from typing import Protocol


class Readable(Protocol):
    """What of a log a verifier needs: its files by path (``tile/0/000``, ``checkpoint``)."""

    def get(self, path: str) -> bytes | None:
        """Return the file, or None if there is none."""
        ...


class Objects(Readable, Protocol):
    """Immutable files by path."""

    def put(self, path: str, data: bytes) -> None:
        """Keep the file whole or not at all; MUST be durable when this returns."""
        ...


class Register(Protocol):
    """The newest signed checkpoint, in a small trusted place."""

    def read(self) -> bytes:
        """Return it; empty before the first."""
        ...

    def swap(self, old: bytes, new: bytes) -> bool:
        """Put ``new`` in place of ``old``; MUST be atomic and durable. False if ``old`` is not there any more."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...
