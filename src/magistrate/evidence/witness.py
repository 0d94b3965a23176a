"""The judgement of a witness (C2SP tlog-witness): whether a checkpoint may be cosigned after the last one.

1 take the request apart   2 a known log?   3 signed by its key?   4 the old size: not beyond the new one, and the one
we cosigned last   5 the same size: the same root   6 a larger one: the consistency proof

Sans-io: who keeps the state calls `judge`, makes what it accepts durable *if the state is still the one judged by*, and
only then cosigns. Both sides of the exchange are here, because the log writes what the witness reads.
"""

import base64
from collections.abc import Callable, Mapping, Sequence

import msgspec

from magistrate.evidence.checkpoint import LONGEST_SIZE, Checkpoint
from magistrate.evidence.checkpoint import parse as parse_checkpoint
from magistrate.evidence.malformed import NoteError, unbase64
from magistrate.evidence.merkle import EMPTY_ROOT, HASH_BYTES, verify_consistency
from magistrate.evidence.note import Verifier, open_note

MOST_HASHES = 63
LARGEST_REQUEST = 256 * 1024
"""Bytes: sixty-three hashes, and a note of several dozen signatures."""

SIZE_TYPE = "text/x.tlog.size"


class Seen(msgspec.Struct, frozen=True):
    """The newest checkpoint of a log that was cosigned."""

    size: int = 0
    root: bytes = EMPTY_ROOT


class Refusal(Exception):  # noqa: N818  because it is an answer, not a malfunction
    """Not cosigned. ``status`` is the HTTP status; ``latest`` the size we know, told with a 409.

    ``conflict`` says that the log signed something that cannot stand beside what it signed before.
    """

    def __init__(
        self, status: int, reason: str, *, latest: int | None = None, conflict: bool = False
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.latest = latest
        self.conflict = conflict


class Request(msgspec.Struct, frozen=True):
    """An add-checkpoint request: the size the log believes we cosigned last, a proof, a signed checkpoint."""

    old: int
    proof: tuple[bytes, ...]
    note: bytes

    def encode(self) -> bytes:
        lines = [f"old {self.old}", *(base64.b64encode(step).decode() for step in self.proof), "", ""]
        return "\n".join(lines).encode() + self.note


class Accepted(msgspec.Struct, frozen=True):
    """May be cosigned, if ``before`` is still the newest. ``text`` is what to cosign."""

    checkpoint: Checkpoint
    before: Seen
    text: str
    note: bytes


def parse(body: bytes) -> Request:
    """Return the request in ``body``.

    Raises:
        Refusal: 400, it is none.
    """
    head, blank, note = body.partition(b"\n\n")
    if len(body) > LARGEST_REQUEST or not blank:
        raise Refusal(400, "a request is an old size, a proof, an empty line and a checkpoint")
    lines = head.split(b"\n")
    number = lines[0].removeprefix(b"old ")
    if number == lines[0] or not number.isdigit() or (number != b"0" and number.startswith(b"0")):
        raise Refusal(400, "the first line is `old` and a decimal number")
    if len(number) > LONGEST_SIZE or len(lines) - 1 > MOST_HASHES:
        raise Refusal(400, f"the old size is beyond 2^63, or there are more than {MOST_HASHES} hashes")
    try:
        proof = tuple(unbase64(line) for line in lines[1:])
    except ValueError:
        raise Refusal(400, "a hash is not base64") from None
    if any(len(step) != HASH_BYTES for step in proof):
        raise Refusal(400, "a hash is not 32 bytes")
    return Request(int(number), proof, note)


def judge(request: Request, logs: Mapping[str, Sequence[Verifier]], seen: Callable[[str], Seen]) -> Accepted:
    """Return what may be cosigned. ``logs`` are the keys trusted for each origin.

    Raises:
        Refusal: with the status that the protocol asks for.
    """
    try:
        text, _ = open_note(request.note)
        checkpoint = parse_checkpoint(text)
    except NoteError as error:
        raise Refusal(400, str(error)) from None
    keys = logs.get(checkpoint.origin)
    if not keys:  # 2
        raise Refusal(404, "unknown log")
    if not any(_signed(key, request.note) for key in keys):  # 3
        raise Refusal(403, "no valid signature by a key that is known for this log")
    if request.old > checkpoint.size:  # 4
        raise Refusal(400, "the old size is beyond the new one")
    before = seen(checkpoint.origin)
    if request.old != before.size:
        raise Refusal(409, "not the size that was cosigned last", latest=before.size)
    if request.old == checkpoint.size:  # 5
        if request.proof:
            raise Refusal(422, "the same size needs no consistency proof")
        if checkpoint.root != before.root:
            raise Refusal(409, "another root of the same size", latest=before.size, conflict=True)
    elif not _consistent(request, before, checkpoint):  # 6
        raise Refusal(422, "the consistency proof does not verify")
    return Accepted(checkpoint, before, text, request.note)


def cosignatures(answer: bytes, note: bytes, verifier: Verifier) -> bytes:
    """Return the line of ``answer`` that is ``verifier``'s cosignature under ``note``. Others' lines are left out.

    Raises:
        NoteError: there is none, or it does not verify.
    """
    for line in answer.splitlines(keepends=True):
        try:
            found = verifier.cosignature(note[: note.rindex(b"\n\n") + 2] + line)
        except NoteError:
            continue
        if found is not None:
            return line
    raise NoteError(f"the answer holds no valid cosignature of `{verifier.name}`")


def _consistent(request: Request, before: Seen, checkpoint: Checkpoint) -> bool:
    if request.old == 0:
        return not request.proof
    return verify_consistency(before.size, before.root, checkpoint.size, checkpoint.root, request.proof)


def _signed(key: Verifier, note: bytes) -> bool:
    try:
        key.verify(note)
    except NoteError:
        return False
    return True
