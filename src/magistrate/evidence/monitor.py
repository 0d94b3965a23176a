"""The auditor's monitor: whether what the log shows now continues what it showed before.

1 the checkpoint's signature   2 not smaller than the one seen last; of the same size, the same   3 a larger one: the
consistency proof, derived from the tiles; one of a later shard: see `crossing`   4 witnesses, if the policy asks for
them: cosigned, and the same tree   5 the newest record: in the tree, and not older than it may be

*Memory*: the checkpoint seen last, kept by the auditor. It moves only to what was found consistent; a checkpoint that
contradicts it is kept beside it, because the two together prove what the log's operator did.
"""

from collections.abc import Callable

import msgspec

from magistrate.evidence.canonical import decode
from magistrate.evidence.checkpoint import Checkpoint
from magistrate.evidence.checkpoint import parse as parse_checkpoint
from magistrate.evidence.crossing import contradiction
from magistrate.evidence.malformed import NoteError
from magistrate.evidence.merkle import leaf_hash, verify_consistency, verify_inclusion
from magistrate.evidence.note import Verifier
from magistrate.evidence.noted import Noted
from magistrate.evidence.record import check_shape
from magistrate.evidence.report import Problem, Verdict, worst
from magistrate.evidence.succession import signer_of
from magistrate.evidence.tiles import Missing, entry, prove_consistency, prove_inclusion, root_of
from magistrate.evidence.trust import Trust

Read = Callable[[str], bytes | None]
"""Returns a published file, or None. May raise OSError: then nothing can be said."""


class Memory(msgspec.Struct, frozen=True):
    """The newest checkpoint that was found good, as a signed note, and when (microseconds) it was seen first and last."""

    origin: str
    size: int
    note: str
    first_us: int
    seen_us: int


class Observation(msgspec.Struct, frozen=True):
    """What one look showed. ``memory`` is what to keep; ``contradiction`` a note that cannot stand beside it."""

    verdict: Verdict
    size: int
    record_us: int
    memory: Memory | None
    findings: tuple[Problem, ...] = ()
    contradiction: bytes = b""


def look(
    read: Read,
    log: Verifier,
    memory: Memory | None,
    *,
    now_us: int,
    max_age_us: int,
    trust: Trust | None = None,
) -> Observation:
    """Look at a log once."""
    return _Look(read, log, memory, now_us, max_age_us, trust).observe()


class _Look:
    """One look under way."""

    def __init__(
        self,
        read: Read,
        log: Verifier,
        memory: Memory | None,
        now_us: int,
        max_age_us: int,
        trust: Trust | None,
    ) -> None:
        self._read, self._log, self._memory = read, log, memory
        self._now_us, self._max_age_us, self._trust = now_us, max_age_us, trust
        self._noted = Noted()
        self._contradiction = b""
        self._size = 0
        self._record_us = 0

    def observe(self) -> Observation:
        note = b""
        try:
            note = self._read("checkpoint") or b""
            current = self._current(note)
            if current is not None and self._continues(current, note):
                self._newest_record(current)
                self._witnesses(current)
        except OSError as error:
            self._noted.undecidable("log", f"cannot be read: {error}")
        except Missing as missing:
            self._noted.undecidable("log", str(missing))
        verdict = worst(self._noted.problems)
        good = verdict in {Verdict.VALID, Verdict.STALE}
        memory = self._remember(note) if good else self._memory
        return Observation(
            verdict, self._size, self._record_us, memory, tuple(self._noted.problems), self._contradiction
        )

    def _current(self, note: bytes) -> Checkpoint | None:  # 1
        if not note:
            self._noted.undecidable("checkpoint", "there is no checkpoint")
            return None
        try:
            signer = signer_of(self._read, self._log, note)
            current = parse_checkpoint(signer.verify(note))
        except NoteError as error:
            self._noted.tampered("checkpoint", str(error))
            return None
        if current.origin != signer.name:
            self._noted.tampered("checkpoint", f"it is of `{current.origin}`, the key is of `{signer.name}`")
            return None
        self._size = current.size
        return current

    def _continues(self, current: Checkpoint, note: bytes) -> bool:
        if self._memory is None:
            if root_of(self._read, current.size) == current.root:
                return True
            self._noted.tampered("tiles", "do not lead to the signed root")
            return False
        try:
            before = parse_checkpoint(self._verify(self._memory.note.encode()))
        except NoteError as error:
            self._noted.undecidable("memory", f"is of no checkpoint by a key that is trusted: {error}")
            return False
        if current.origin != before.origin:
            return self._crosses(before, current, note)
        if current.size < before.size:  # 2
            self._contradict(note, f"the log was rolled back from {before.size} to {current.size} records")
        elif current.size == before.size:
            if current.root == before.root:
                return True
            self._contradict(note, f"two trees of {before.size} records were signed: a split view")
        else:  # 3
            proof = prove_consistency(self._read, before.size, current.size) if before.size else []
            if before.size == 0 or verify_consistency(
                before.size, before.root, current.size, current.root, proof
            ):
                return True
            if root_of(self._read, current.size) == current.root:
                self._contradict(
                    note, f"the {current.size} records are no continuation of the {before.size} seen before"
                )
            else:
                self._noted.tampered("tiles", "do not lead to the signed root")
        return False

    def _crosses(self, before: Checkpoint, current: Checkpoint, note: bytes) -> bool:
        """Return whether the log went on in a shard that continues what was seen."""
        try:
            reason = contradiction(self._read, self._log, before, current)
        except NoteError as error:
            reason = str(error)
        if reason:
            self._contradict(note, reason)
        elif root_of(self._read, current.size) != current.root:
            self._noted.tampered("tiles", "do not lead to the signed root")
        else:
            return True
        return False

    def _verify(self, note: bytes) -> str:
        """Return what a note says, if the trusted key or one that follows it has signed it."""
        return signer_of(self._read, self._log, note).verify(note)

    def _contradict(self, note: bytes, what: str) -> None:
        self._noted.tampered("checkpoint", what)
        self._contradiction = note

    def _witnesses(self, current: Checkpoint) -> None:  # 4
        if self._trust is None or not self._trust.witnesses:
            return
        note = self._read("cosig/latest") or b""
        if not note:
            self._noted.undecidable("witnesses", "the log publishes no cosigned checkpoint")
            return
        try:
            cosigned = parse_checkpoint(self._verify(note))
            seen = self._trust.witnessed(note, now_s=self._now_us // 1_000_000)
        except NoteError as error:
            self._noted.tampered("cosigned checkpoint", str(error))
            return
        for line in seen.wrong:
            self._noted.tampered("cosigned checkpoint", line)
        small, large = sorted((cosigned, current), key=lambda one: one.size)
        if cosigned.size > current.size:
            # Published between our two reads, or signed for the witnesses only: the tiles tell.
            self._noted.undecidable("cosigned checkpoint", "is newer than the log's own; look again")
        elif small.size and not verify_consistency(
            small.size,
            small.root,
            large.size,
            large.root,
            prove_consistency(self._read, small.size, large.size),
        ):
            self._contradict(
                note, f"witnesses cosigned another tree of {cosigned.size} records: a split view"
            )
        if not seen.quorum:
            missing = ", ".join(seen.missing) or "nobody"
            why = "".join(f"; {line}" for line in seen.untimely)
            self._noted.undecidable(
                "witnesses", f"no quorum: {len(seen.cosigned)} cosigned, {missing} did not{why}"
            )
        elif seen.cosigned:
            self._age(max(seen.cosigned.values()) * 1_000_000, "the newest cosignature")

    def _newest_record(self, current: Checkpoint) -> None:  # 5
        if current.size == 0:
            return
        index = current.size - 1
        raw = entry(self._read, index, current.size)
        path = prove_inclusion(self._read, index, current.size)
        if not verify_inclusion(leaf_hash(raw), index, current.size, path, current.root):
            self._noted.tampered(f"record {index}", "is not in the signed tree")
            return
        try:
            header = decode(raw)
            check_shape(header)
        except ValueError as error:
            self._noted.tampered(f"record {index}", f"is not a record: {error}")
            return
        self._record_us = header["ts"]
        self._age(self._record_us, "the newest record")

    def _age(self, moment_us: int, what: str) -> None:
        age = self._now_us - moment_us
        if self._max_age_us and age > self._max_age_us:
            self._noted.stale(
                "log", f"{what} is {age / 1e6:.0f} s old; at most {self._max_age_us / 1e6:g} s are expected"
            )

    def _remember(self, note: bytes) -> Memory:
        first = self._memory.first_us if self._memory else self._now_us
        return Memory(self._log.name, self._size, note.decode(), first, self._now_us)
