"""Orders to the recorder, and its answers: what only its own user may ask for.

An order travels on the recorder's socket, one message each way, on a connection that writes no records. The recorder
knows from the kernel whose process asks.
"""

import time
from enum import StrEnum
from typing import Any

import msgspec

from magistrate.adapters.recorder.frames import LARGEST_MESSAGE
from magistrate.evidence.draft import Body
from magistrate.evidence.hold import Person, Selector

ORDER, ANSWER = b"C", b"R"
LONGEST_REASON = 2000
RECORDS_IN_A_READING = 1000
"""So many are named in one record of a reading."""


class Erase(msgspec.Struct, frozen=True, tag="erase"):
    """Destroy what is kept of a person, in one tenant or in all."""

    subject: str
    tenant: str = ""
    reason: str = ""
    by: Person = Person()


class Prune(msgspec.Struct, frozen=True, tag="prune"):
    """Delete the segments whose retention has ended."""


class PlaceHold(msgspec.Struct, frozen=True, tag="hold.place"):
    selector: Selector
    reason: str
    by: Person


class ConfirmHold(msgspec.Struct, frozen=True, tag="hold.confirm"):
    """The second person's word: for the hold, or for its release, whichever was asked for."""

    hold: str
    by: Person


class ReleaseHold(msgspec.Struct, frozen=True, tag="hold.release"):
    hold: str
    reason: str
    by: Person


class ListHolds(msgspec.Struct, frozen=True, tag="hold.list"):
    """Tell all holds, released ones too."""


class ReadContent(msgspec.Struct, frozen=True, tag="read"):
    """Put on record that content is about to be read; ``selector`` says in words what was looked for.

    ``count`` is how many records are read where ``records`` names only the first of them.
    """

    records: tuple[str, ...]
    count: int = 0
    reason: str = ""
    selector: str = ""
    by: Person = Person()


class RotateRoot(msgspec.Struct, frozen=True, tag="rotate-root"):
    """Put a new root key in place, so that older copies of the vault no longer open."""

    by: Person = Person()


class SignRoot(msgspec.Struct, frozen=True, tag="sign-root"):
    """Sign the root of what is sealed for COSE receipts. It opens nothing and destroys nothing."""


class Why(StrEnum):
    """What a shard is closed for."""

    ASKED = "asked"
    RECORDS = "records"
    AGE = "age"


class RotateShard(msgspec.Struct, frozen=True, tag="rotate-shard"):
    """Close the shard that is written and begin the next one."""

    why: Why = Why.ASKED
    by: Person = Person()


Order = (
    Erase
    | Prune
    | PlaceHold
    | ConfirmHold
    | ReleaseHold
    | ListHolds
    | ReadContent
    | RotateRoot
    | RotateShard
    | SignRoot
)


class Outcome(StrEnum):
    DONE = "done"
    NO = "no"
    UNABLE = "unable"


class Answer(msgspec.Struct, frozen=True):
    """``says`` is for people; ``facts`` are for programs."""

    outcome: Outcome
    says: str
    facts: dict[str, Any] = {}


def now_us() -> int:
    """Return the time by which orders are carried out: the wall clock, in microseconds."""
    return time.time_ns() // 1000


def by_whom(person: Person, uid: int) -> dict[str, object]:
    """Return who ordered something, as its record says it: never by name."""
    return {"uid": uid, "token": person.token}


def reasoned(reason: str, by: Person) -> tuple[Body, ...]:
    """Return reason and name as an encrypted body: both may name people, and a header can never be deleted."""
    document = {"reason": reason[:LONGEST_REASON], "by": by.name}
    return (Body("reason", "application/json", msgspec.json.encode(document)),) if reason or by.name else ()


_encoder = msgspec.msgpack.Encoder()
_orders: msgspec.msgpack.Decoder[Order] = msgspec.msgpack.Decoder(Order)
_answers = msgspec.msgpack.Decoder(Answer)


def pack_order(order: Order) -> bytes:
    """Return the message. Raises ValueError: longer than a message can be."""
    data = ORDER + _encoder.encode(order)
    if len(data) > LARGEST_MESSAGE // 2:
        raise ValueError("the order is too long")
    return data


def unpack_order(message: bytes | memoryview) -> Order:
    """Return the order in a message. Raises `msgspec.DecodeError` or UnicodeDecodeError."""
    return _orders.decode(memoryview(message)[1:])


def pack_answer(answer: Answer) -> bytes:
    """Return the message; facts that would not fit are left out, and that is said."""
    data = ANSWER + _encoder.encode(answer)
    if len(data) <= LARGEST_MESSAGE // 2:
        return data
    return ANSWER + _encoder.encode(
        msgspec.structs.replace(answer, facts={"left_out": "too many to send; the log holds them"})
    )


def unpack_answer(message: bytes) -> Answer:
    """Return the answer in a message. Raises `msgspec.DecodeError` or UnicodeDecodeError."""
    return _answers.decode(memoryview(message)[1:])
