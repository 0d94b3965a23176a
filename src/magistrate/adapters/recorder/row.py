"""What the index knows of a record, what may be asked of it, and how ids are packed. The same for hot and cold."""

import msgspec


class Row(msgspec.Struct, frozen=True):
    """One record as the index knows it. ``subject`` is a handle; `EvidenceReader` turns it into a name."""

    index: int
    eid: str
    trace: str
    ts_us: int
    type: str
    phase: str
    subject: str
    app: str
    model: str
    endpoint: str
    verdict: str
    ending: str
    rules: tuple[str, ...]
    labels: tuple[str, ...]
    policy: str
    call: str
    """The intent's id: what clients quote. Shared by intent and outcome."""
    shard: int = 1
    """Which shard of the log it stands in; ``index`` counts within it."""


class Located(msgspec.Struct, frozen=True):
    """Where a body's frame stands."""

    part: str
    segment: str
    at: int


class SearchQuery(msgspec.Struct, frozen=True):
    """Every condition that is set must hold. ``subject`` is a handle. Times in microseconds."""

    trace: str = ""
    user: str = ""
    subject: str = ""
    app: str = ""
    model: str = ""
    endpoint: str = ""
    verdict: str = ""
    rule: str = ""
    label: str = ""
    policy: str = ""
    since_us: int | None = None
    until_us: int | None = None
    limit: int = 100
    heartbeats: bool = False
    """Whether the records that only say that the recorder lives, or that a trace is closed, are wanted too."""


class Range(msgspec.Struct, frozen=True):
    """Records that left the hot index for one file of the cold one, and between what they lie."""

    first: int
    records: int
    sha256: bytes
    """Of the two files, one after the other."""
    oldest_us: int
    newest_us: int
    lowest: bytes
    """The lowest id of a record or of a call; ids begin with their time, so few ranges can hold one."""
    highest: bytes

    @property
    def end(self) -> int:
        """The index after the last record."""
        return self.first + self.records


def packed(text: str) -> bytes | str:
    """Return 32 hex digits, hyphens aside, as 16 bytes; any other text as it is."""
    digits = text.replace("-", "")
    if len(digits) != 32:
        return text
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return text


def packed_handle(handle: str) -> bytes:
    return bytes.fromhex(handle.removeprefix("s-"))


def spelled_id(value: bytes | str) -> str:
    if isinstance(value, str):
        return value
    digits = value.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def span(prefix: str) -> tuple[bytes, bytes] | None:
    """Return the first and the last id that begin with ``prefix``; None if no id can."""
    digits = prefix.lower().replace("-", "")
    if len(digits) > 32:
        return None
    try:
        return bytes.fromhex(digits.ljust(32, "0")), bytes.fromhex(digits.ljust(32, "f"))
    except ValueError:
        return None
