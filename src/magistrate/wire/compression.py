"""Bodies that arrive compressed: opened under the same limit as bare ones, or refused.

``Content-Encoding`` values are those of RFC 9110 section 8.4.1, plus ``zstd`` (RFC 8878).
"""

import zlib

import zstandard

from magistrate.exchange.errors import Refused, Unreadable
from magistrate.exchange.outcome import Code


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """Return the identity form of ``body``; ``limit`` is the most bytes it may become.

    Raises:
        Unreadable: not what ``encoding`` says, cut short, or an encoding we do not open.
        Refused: REQUEST_TOO_LARGE when it would become longer than ``limit``.
    """
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return body
    if name in {"gzip", "x-gzip", "deflate"}:
        return _inflate(body, limit, wbits=zlib.MAX_WBITS | 32)
    if name == "zstd":
        return _unzstd(body, limit)
    raise Unreadable(f"content-encoding `{name[:40]}` is not supported: send `identity`, `gzip` or `zstd`")


def _inflate(body: bytes, limit: int, *, wbits: int) -> bytes:
    machine = zlib.decompressobj(wbits)
    try:
        text = machine.decompress(body, limit + 1)
    except zlib.error:
        raise Unreadable("the body is not what its content-encoding says") from None
    _check_length(text, limit)
    if not machine.eof or machine.unused_data:
        raise Unreadable("the compressed body is cut short or has trailing data")
    return text


def _unzstd(body: bytes, limit: int) -> bytes:
    machine = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(
        body, read_across_frames=False
    )
    try:
        text = machine.read(limit + 1)
    except zstandard.ZstdError:
        raise Unreadable("the body is not what its content-encoding says") from None
    _check_length(text, limit)
    return text


def _check_length(text: bytes, limit: int) -> None:
    # A bomb is recognised by its first byte too many; the rest of it is never unpacked.
    if len(text) > limit:
        raise Refused(Code.REQUEST_TOO_LARGE, f"the body unpacks to more than {limit} bytes")
