"""Keys that follow keys: how somebody who trusts a log's old key comes to trust its new one, and nobody else's.

The last record that an old key signs is a ``key.event`` that names the keys that follow. The checkpoint that ends with it
is signed by the old keys and by the new ones, and kept as ``keys/1``, ``keys/2``… *Successor*: a key reached from a
trusted one by such steps. Each step is proved from the tree, so that the statement is a record like every other.
"""

import re
from collections.abc import Callable
from typing import Any

from magistrate.evidence.canonical import decode
from magistrate.evidence.checkpoint import parse
from magistrate.evidence.malformed import NoteError
from magistrate.evidence.merkle import leaf_hash, verify_inclusion
from magistrate.evidence.note import Verifier
from magistrate.evidence.said import facts
from magistrate.evidence.tiles import Missing, entry, prove_inclusion

Read = Callable[[str], bytes | None]
MOST_KEYS = 1000
KEY_EVENT = "key.event"
_VKEY = re.compile(r"[^\s+]{1,255}\+[0-9a-f]{8}\+[A-Za-z0-9+/=]{1,2048}")


def step_path(number: int) -> str:
    """Return where the ``number``-th step (from 1) is kept."""
    return f"keys/{number}"


def successors(read: Read, trusted: Verifier) -> list[Verifier]:
    """Return ``trusted`` and the keys that follow it, oldest first. Steps before it are passed over.

    Raises:
        NoteError: a step by a trusted key says something that its log does not show.
        Missing: what proves a step cannot be read.
    """
    chain = [trusted]
    for number in range(1, MOST_KEYS + 1):
        note = read(step_path(number))
        if note is None:
            return chain
        if _has_signed(chain[-1], note):
            following = _following(read, chain[-1], note, step_path(number))
            if following.id != chain[-1].id:
                chain.append(following)
    raise NoteError(f"more than {MOST_KEYS} keys")


def signer_of(read: Read, trusted: Verifier, note: bytes) -> Verifier:
    """Return ``trusted`` if it has signed ``note``, else the one of its successors that has.

    Raises:
        NoteError: none of them has, or a step is false.
    """
    if _has_signed(trusted, note):
        return trusted
    try:
        chain = successors(read, trusted)
    except Missing as missing:
        raise NoteError(f"the step to a new key cannot be proved: {missing}") from None
    for verifier in reversed(chain):
        if _has_signed(verifier, note):
            return verifier
    trusted.verify(note)  # says why not
    raise NoteError(f"`{trusted.name}` has not signed it")


def named_keys(header: dict[str, Any]) -> list[str]:
    """Return the verifier keys that a key event names as next; nothing, if it is none."""
    following = facts(header).get("next")
    if header.get("t") != KEY_EVENT or type(following) is not list:
        return []
    return [one for one in following if type(one) is str and _VKEY.fullmatch(one)]


def _following(read: Read, old: Verifier, note: bytes, place: str) -> Verifier:
    """Return the key of the same type that the step names, after checking that it is named in the tree and signs too."""
    checkpoint = parse(old.verify(note))
    if checkpoint.origin != old.name or checkpoint.size == 0:
        raise NoteError(f"`{place}` is no step of this log")
    index = checkpoint.size - 1
    raw = entry(read, index, checkpoint.size)
    path = prove_inclusion(read, index, checkpoint.size)
    if not verify_inclusion(leaf_hash(raw), index, checkpoint.size, path, checkpoint.root):
        raise NoteError(f"`{place}` ends with another record than the log shows")
    try:
        named = [Verifier(vkey) for vkey in named_keys(decode(raw))]
    except ValueError as error:
        raise NoteError(f"`{place}`: {error}") from None
    following = next((one for one in named if one.type == old.type and one.name == old.name), None)
    if following is None:
        raise NoteError(f"`{place}` names no key that could follow")
    following.verify(note)
    return following


def _has_signed(verifier: Verifier, note: bytes) -> bool:
    try:
        verifier.verify(note)
    except NoteError:
        return False
    return True
