"""From a checkpoint in one shard to one in a later shard: whether the later continues the earlier.

1 the shard seen before was closed, by a key that is trusted, with at least what was seen of it, and consistently
2 every shard from there on begins with the end of the one before it
"""

from collections.abc import Sequence
from itertools import pairwise

from magistrate.evidence.checkpoint import Checkpoint
from magistrate.evidence.merkle import verify_consistency
from magistrate.evidence.note import Verifier
from magistrate.evidence.proof import Proof
from magistrate.evidence.shards import Beginning, Closed, below, closed, kept_beginnings, shard_path
from magistrate.evidence.succession import Read, successors
from magistrate.evidence.tiles import Missing, entry, prove_consistency, prove_inclusion


def contradiction(read: Read, trusted: Verifier, before: Checkpoint, current: Checkpoint) -> str:
    """Return why ``current`` does not continue ``before``, which is of an earlier shard; empty if it does.

    Raises:
        NoteError: a step between them is false.
        Missing: what would show it cannot be read, because a shard was taken away.
    """
    chain = successors(read, trusted)
    ends = [one for one in closed(read) if _by_one_of(chain, one)]
    at = next((place for place, one in enumerate(ends) if one.checkpoint.origin == before.origin), None)
    if at is None:
        return f"`{before.origin}` was seen before, and no shard of that name was closed"
    reason = _grown(read, before, ends[at])
    if reason:
        return reason
    begun = kept_beginnings(read)
    for end, following in pairwise([*ends[at:], None]):
        shard = current if following is None else following.checkpoint
        first = _newest_beginning(read, current) if following is None else begun.get(following.number)
        reason = _begins_with(first, shard, end)
        if reason:
            return reason
    return ""


def _by_one_of(chain: Sequence[Verifier], one: Closed) -> bool:
    return any(key.name == one.checkpoint.origin and key.has_signed(one.note) for key in chain)


def _grown(read: Read, before: Checkpoint, closed_as: Closed) -> str:
    end = closed_as.checkpoint
    if before.size > end.size:
        return f"shard {closed_as.number} was closed with {end.size} records, and had {before.size}"
    if before.size == end.size:
        return "" if before.root == end.root else f"two trees of {end.size} records were signed: a split view"
    if before.size == 0:
        return ""
    try:
        proof = prove_consistency(below(read, closed_as.number), before.size, end.size)
    except Missing:
        raise Missing(
            f"`{shard_path(closed_as.number)}` is not here: how it grew since it was seen cannot be shown"
        ) from None
    if verify_consistency(before.size, before.root, end.size, end.root, proof):
        return ""
    return f"shard {closed_as.number} was closed as no continuation of the {before.size} records seen before"


def _newest_beginning(read: Read, current: Checkpoint) -> Beginning:
    path = prove_inclusion(read, 0, current.size)
    return Beginning(entry(read, 0, current.size), Proof(0, tuple(path), b""))


def _begins_with(first: Beginning | None, shard: Checkpoint, end: Closed | None) -> str:
    if first is None:
        raise Missing(f"the first record of `{shard.origin}` is not here")
    if not first.stands_in(shard):
        return f"the first record of `{shard.origin}` is not in its tree"
    try:
        opened = first.opening()
    except ValueError as error:
        return f"`{shard.origin}`: {error}"
    if end is None or opened is None or (opened.number, opened.previous) != (end.number + 1, end.checkpoint):
        return f"`{shard.origin}` does not begin with the end of the shard before it"
    return ""
