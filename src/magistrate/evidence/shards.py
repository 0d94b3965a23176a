"""Shards: a log that goes on in another one, so that years of records can be put away and verified alone.

A shard is a whole log: its own name, keys, tree, bodies and index. Its last record is a ``shard.close`` that names the
keys of the next one; its last checkpoint is signed by both. The next one's first record is a ``shard.open`` that names
this checkpoint: name, size and root. So trust goes forward by keys (see `succession`) and back by hashes: whoever holds
the newest checkpoint holds, in it, the last of every shard before.

The shard that is written stands in the log's directory, closed ones below it as ``shards/1``, ``shards/2``… What leads
from one to the next is kept beside them (``succession/``, ``shards/2.json``), so that any of them may be taken away.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from magistrate.evidence.canonical import decode
from magistrate.evidence.checkpoint import Checkpoint, parse
from magistrate.evidence.malformed import NoteError
from magistrate.evidence.merkle import leaf_hash, verify_inclusion
from magistrate.evidence.note import open_note
from magistrate.evidence.proof import Proof, ProofError
from magistrate.evidence.proof import parse as parse_proof
from magistrate.evidence.said import SHARD_OPEN, facts
from magistrate.evidence.succession import SHARD_CLOSE, Read, Step, kept_steps, named_keys
from magistrate.evidence.tiles import Missing, entry, prove_inclusion

MOST_CARRIED = 500
"""Calls in one record of an opening; there are as many ``shard.carry`` as it takes."""


class Opening(msgspec.Struct, frozen=True):
    """What a shard's first record says: which shard it is, and where the one before it ended."""

    number: int
    previous: Checkpoint | None = None


class Closed(msgspec.Struct, frozen=True):
    """A shard that is closed: its number, its last checkpoint, and the keys of the next one."""

    number: int
    checkpoint: Checkpoint
    note: bytes
    following: tuple[str, ...]


class Beginning(msgspec.Struct, frozen=True):
    """The first record of a shard, and its proof."""

    raw: bytes
    proof: Proof

    def opening(self) -> "Opening | None":
        """Return what the record says; None, if it is no ``shard.open``. Raises ValueError: it is no record."""
        header = decode(self.raw)
        return opening(str(header.get("t")), facts(header))

    def stands_in(self, tree: Checkpoint) -> bool:
        """Return whether it is proven to be the first record of ``tree``."""
        path = self.proof.path
        return self.proof.index == 0 and verify_inclusion(leaf_hash(self.raw), 0, tree.size, path, tree.root)


def beginning_path(number: int, *, proof: bool) -> str:
    """Return where the first record of closed shard ``number``, or its proof, is kept: beside it, not in it."""
    return f"{shard_path(number)}.{'tlog-proof' if proof else 'json'}"


def beginning(read: Read, note: bytes) -> Beginning:
    """Return the first record of the shard that ``note`` is a checkpoint of, proved from its tiles.

    Raises:
        NoteError: ``note`` is no checkpoint.
        Missing: what proves it cannot be read.
    """
    size = parse(open_note(note)[0]).size
    if size == 0:
        raise Missing("an empty shard has no first record")
    return Beginning(entry(read, 0, size), Proof(0, tuple(prove_inclusion(read, 0, size)), note))


def kept_beginnings(read: Read) -> dict[int, Beginning]:
    """Return the first records of closed shards, by number, oldest first; of the first one nothing is kept.

    Raises:
        NoteError: a kept proof is none.
    """
    found: dict[int, Beginning] = {}
    for one in closed(read)[1:]:
        raw = read(beginning_path(one.number, proof=False))
        proof = read(beginning_path(one.number, proof=True))
        if raw is not None and proof is not None:
            try:
                found[one.number] = Beginning(raw, parse_proof(proof))
            except ProofError as error:
                raise NoteError(f"`{beginning_path(one.number, proof=True)}`: {error}") from None
    return found


def shard_path(number: int) -> str:
    """Return where a closed shard stands, below the log's directory."""
    return f"shards/{number}"


def origin_after(origin: str, number: int) -> str:
    """Return the name of the shard that follows ``origin``, which is the ``number``-th: the first one's, and a count."""
    base = origin.removesuffix(f"/{number}") if number > 1 else origin
    return f"{base}/{number + 1}"


def below(read: Read, number: int) -> Read:
    """Return how to read the files of a closed shard."""
    return lambda path: read(f"{shard_path(number)}/{path}")


def closed(read: Read) -> list[Closed]:
    """Return the shards that are closed, oldest first, as their last records tell; they need not be here.

    Nothing is verified: see `succession.successors` for keys, and `opening` for what the next shard says.

    Raises:
        NoteError: a kept step is none.
    """
    found: list[Closed] = []
    for step in kept_steps(read):
        header = _header(step)
        if header.get("t") == SHARD_CLOSE:
            found.append(
                Closed(len(found) + 1, step.checkpoint, step.proof.checkpoint, tuple(named_keys(header)))
            )
    return found


def opening(kind: str, said: Mapping[str, Any]) -> Opening | None:
    """Return what a record of this type, if it is a ``shard.open``, says with these facts; None, if it is none.

    Raises:
        ValueError: it says it in another form.
    """
    if kind != SHARD_OPEN:
        return None
    number, previous = said.get("number", 1), said.get("previous")
    if type(number) is not int or number < 1 or (previous is None) != (number == 1):
        raise ValueError("`shard.open` names no number of a shard, or no shard before it")
    if previous is None:
        return Opening(number)
    try:
        origin, size, root = previous["origin"], previous["size"], bytes.fromhex(previous["root"])
    except (KeyError, TypeError, ValueError):
        raise ValueError("`shard.open` does not name the end of the shard before it") from None
    if type(origin) is not str or type(size) is not int or len(root) != 32:
        raise ValueError("`shard.open` does not name the end of the shard before it")
    return Opening(number, Checkpoint(origin, size, root))


def opening_facts(before: Closed, calls: Mapping[str, str]) -> list[dict[str, object]]:
    """Return what the first records of the shard after ``before`` say; ``calls`` are open: id and trace."""
    named = list(calls.items())
    parts = [dict(named[at : at + MOST_CARRIED]) for at in range(0, max(1, len(named)), MOST_CARRIED)]
    end = before.checkpoint
    previous = {"origin": end.origin, "size": end.size, "root": end.root.hex()}
    first: dict[str, object] = {"number": before.number + 1, "previous": previous, "calls": parts[0]}
    others: list[dict[str, object]] = [{"calls": part} for part in parts[1:]]
    return [first, *others]


def _header(step: Step) -> dict[str, Any]:
    try:
        return step.header
    except ValueError as error:
        raise NoteError(f"a kept step is no record: {error}") from None
