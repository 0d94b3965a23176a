"""Keys that follow keys: how somebody who trusts a log's old key comes to trust its new one, and nobody else's.

*Step*: the last record that an old key signs names the keys that follow. It is a ``key.event`` (the same log goes on
under new keys) or a ``shard.close`` (the log ends, and the shard that goes on has keys and a name of its own). The
checkpoint that ends with that record is signed by the old keys and by the new ones. *Successor*: a key reached from a
trusted one by such steps. Each step is proved from the tree, so that the statement is a record like every other.

Within a shard that goes on, a step's checkpoint is kept as ``keys/1``, ``keys/2``… and the tiles prove it. When a shard
is closed its steps are kept whole, record and proof, as ``succession/1.json`` and ``succession/1.tlog-proof``…, because
the shard itself may be moved away. An export bundle carries all of them under the same names.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from magistrate.evidence.canonical import decode
from magistrate.evidence.checkpoint import Checkpoint, parse
from magistrate.evidence.malformed import NoteError
from magistrate.evidence.merkle import leaf_hash, verify_inclusion
from magistrate.evidence.note import Verifier, open_note
from magistrate.evidence.proof import Proof, ProofError
from magistrate.evidence.proof import parse as parse_proof
from magistrate.evidence.said import facts
from magistrate.evidence.tiles import Missing, entry, prove_inclusion

Read = Callable[[str], bytes | None]
MOST_KEYS = 1000
KEY_EVENT, SHARD_CLOSE = "key.event", "shard.close"
_VKEY = re.compile(r"[^\s+]{1,255}\+[0-9a-f]{8}\+[A-Za-z0-9+/=]{1,2048}")


class Step(msgspec.Struct, frozen=True):
    """A record that names the keys which follow, and its proof in the checkpoint that ends with it."""

    raw: bytes
    proof: Proof

    @property
    def header(self) -> dict[str, Any]:
        """The record. Raises ValueError: it is none."""
        return decode(self.raw)

    @property
    def checkpoint(self) -> Checkpoint:
        """What the step's checkpoint says, whoever signed it. Raises `NoteError`."""
        return parse(open_note(self.proof.checkpoint)[0])


def step_path(number: int) -> str:
    """Return where the ``number``-th step (from 1) of a shard that goes on is kept."""
    return f"keys/{number}"


def kept_path(number: int, *, proof: bool) -> str:
    """Return where the record, or its proof, of the ``number``-th step (from 1) of closed shards is kept."""
    return f"succession/{number}.{'tlog-proof' if proof else 'json'}"


def kept_steps(read: Read) -> list[Step]:
    """Return the steps of closed shards, oldest first.

    Raises:
        NoteError: a kept proof is none.
    """
    found: list[Step] = []
    for number in range(1, MOST_KEYS + 1):
        raw, proof = read(kept_path(number, proof=False)), read(kept_path(number, proof=True))
        if raw is None or proof is None:
            return found
        try:
            found.append(Step(raw, parse_proof(proof)))
        except ProofError as error:
            raise NoteError(f"`{kept_path(number, proof=True)}`: {error}") from None
    raise NoteError(f"more than {MOST_KEYS} keys")


def own_steps(read: Read) -> list[Step]:
    """Return the steps of a shard that goes on, proved from its tiles.

    Raises:
        NoteError: what is kept is no checkpoint.
        Missing: what proves a step cannot be read.
    """
    return [_proven(read, note, place) for place, note in _own(read)]


def successors(read: Read, trusted: Verifier) -> list[Verifier]:
    """Return ``trusted`` and the keys that follow it, oldest first. Steps before it are passed over.

    Raises:
        NoteError: a step by a trusted key says something that its log does not show.
        Missing: what proves a step cannot be read.
    """
    chain = follow(trusted, kept_steps(read))
    for place, note in _own(read):
        if chain[-1].has_signed(note):
            _extend(chain, _proven(read, note, place), place)
    return chain


def follow(trusted: Verifier, steps: Iterable[Step]) -> list[Verifier]:
    """Return ``trusted`` and the keys that follow it by ``steps``, which come oldest first.

    Raises:
        NoteError: a step by a trusted key says something that its log does not show.
    """
    chain = [trusted]
    for step in steps:
        _extend(chain, step, "succession")
    return chain


def names(step: Step, verifier: Verifier) -> bool:
    """Return whether a step names ``verifier`` as a key that follows."""
    try:
        return verifier.vkey in named_keys(step.header)
    except ValueError:
        return False


def stands(step: Step, verifier: Verifier) -> bool:
    """Return whether ``verifier`` has signed a step's checkpoint, and its record is the last one there."""
    try:
        checkpoint = parse(verifier.verify(step.proof.checkpoint))
    except NoteError:
        return False
    return step.proof.index == checkpoint.size - 1 and verify_inclusion(
        leaf_hash(step.raw), step.proof.index, checkpoint.size, step.proof.path, checkpoint.root
    )


def signer_of(read: Read, trusted: Verifier, note: bytes) -> Verifier:
    """Return ``trusted`` if it has signed ``note``, else the one of its successors that has.

    Raises:
        NoteError: none of them has, or a step is false.
    """
    if trusted.has_signed(note):
        return trusted
    try:
        chain = successors(read, trusted)
    except Missing as missing:
        raise NoteError(f"the step to a new key cannot be proved: {missing}") from None
    for verifier in reversed(chain):
        if verifier.has_signed(note):
            return verifier
    trusted.verify(note)  # says why not
    raise NoteError(f"`{trusted.name}` has not signed it")


def named_keys(header: dict[str, Any]) -> list[str]:
    """Return the verifier keys that a record names as next; nothing, if it is no step."""
    following = facts(header).get("next")
    if header.get("t") not in {KEY_EVENT, SHARD_CLOSE} or type(following) is not list:
        return []
    return [one for one in following if type(one) is str and _VKEY.fullmatch(one)]


def _own(read: Read) -> Iterator[tuple[str, bytes]]:
    for number in range(1, MOST_KEYS + 1):
        note = read(step_path(number))
        if note is None:
            return
        yield step_path(number), note
    raise NoteError(f"more than {MOST_KEYS} keys")


def _proven(read: Read, note: bytes, place: str) -> Step:
    size = parse(open_note(note)[0]).size
    if size == 0:
        raise NoteError(f"`{place}` is no step of this log")
    path = prove_inclusion(read, size - 1, size)
    return Step(entry(read, size - 1, size), Proof(size - 1, tuple(path), note))


def _extend(chain: list[Verifier], step: Step, place: str) -> None:
    if chain[-1].has_signed(step.proof.checkpoint):
        following = _following(chain[-1], step, place)
        if following.id != chain[-1].id:
            chain.append(following)


def _following(old: Verifier, step: Step, place: str) -> Verifier:
    """Return the key of the same type that the step names, after checking that it is named in the tree and signs too."""
    checkpoint = parse(old.verify(step.proof.checkpoint))
    index = step.proof.index
    if old.name != checkpoint.origin and names(step, old):
        return old  # it signs here as the one that follows
    if checkpoint.origin != old.name or index != checkpoint.size - 1:
        raise NoteError(f"`{place}` is no step of this log")
    if not verify_inclusion(leaf_hash(step.raw), index, checkpoint.size, step.proof.path, checkpoint.root):
        raise NoteError(f"`{place}` ends with another record than the log shows")
    try:
        header = step.header
        named = [Verifier(vkey) for vkey in named_keys(header)]
    except ValueError as error:
        raise NoteError(f"`{place}`: {error}") from None
    goes_on = header.get("t") == KEY_EVENT
    following = next(
        (one for one in named if one.type == old.type and (one.name == old.name) == goes_on), None
    )
    if following is None:
        raise NoteError(f"`{place}` names no key that could follow")
    following.verify(step.proof.checkpoint)
    return following
