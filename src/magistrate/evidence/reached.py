"""Which checkpoints a trusted key vouches for, where keys have changed and shards have been closed.

*Forward*: a key that follows the trusted one, step by step, signs as it does (see `succession`). *Back*: a key that
follows another signs the checkpoint at which it does, and no other of the old key's; a shard's first record names the
last checkpoint of the shard before. So who holds the newest key alone reaches the end of every earlier shard, by hashes.
"""

from collections.abc import Sequence
from itertools import pairwise

from magistrate.evidence.checkpoint import Checkpoint, parse
from magistrate.evidence.malformed import NoteError
from magistrate.evidence.note import Verifier, open_note
from magistrate.evidence.shards import Beginning
from magistrate.evidence.succession import Step, follow, names, stands


class Reached:
    """What ``trusted`` vouches for, by ``steps`` (oldest first) and by the beginnings of shards (oldest first).

    Raises:
        NoteError: a step by a trusted key says something that its log does not show.
    """

    def __init__(
        self, trusted: Verifier, steps: Sequence[Step] = (), beginnings: Sequence[Beginning] = ()
    ) -> None:
        self._chain = follow(trusted, steps)
        names_in_turn = pairwise(key.name for key in self._chain)
        self._followers = {name for before, name in names_in_turn if name != before}
        self._ends = {
            step.checkpoint.text() for step in steps if names(step, trusted) and stands(step, trusted)
        }
        for beginning in reversed(beginnings):
            self._add_end_before(beginning)

    def follows(self, origin: str) -> bool:
        """Return whether the log of that name is known to be a shard that follows another one."""
        return origin in self._followers

    def key_of(self, origin: str) -> Verifier | None:
        """Return the newest key of that name which is trusted or follows, or None."""
        return next((one for one in reversed(self._chain) if one.name == origin), None)

    def checkpoint(self, note: bytes) -> Checkpoint:
        """Return what a note says.

        Raises:
            NoteError: neither the trusted key nor one that follows it has signed it, and it is no end that is reached.
        """
        checkpoint = parse(open_note(note)[0])
        if checkpoint.text() in self._ends:
            return checkpoint
        for verifier in reversed(self._chain[1:]):
            if verifier.name == checkpoint.origin and verifier.has_signed(note):
                return parse(verifier.verify(note))
        trusted = self._chain[0]
        checkpoint = parse(trusted.verify(note))
        if checkpoint.origin != trusted.name:
            raise NoteError(f"the checkpoint is of `{checkpoint.origin}`, the key of `{trusted.name}`")
        return checkpoint

    def _add_end_before(self, beginning: Beginning) -> None:
        try:
            tree = self.checkpoint(beginning.proof.checkpoint)
            opened = beginning.opening()
        except ValueError:
            return  # it may be needed by nothing; a record that needs it says so
        if beginning.stands_in(tree) and opened is not None and opened.previous is not None:
            self._ends.add(opened.previous.text())
            self._followers.add(tree.origin)
