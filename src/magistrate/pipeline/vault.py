"""The token vault: what the tokens of named conversations stand for, between their turns.

Only for conversations whose history an endpoint keeps: who sends the history along brings the values along. It lives in
memory and nowhere else, so a restart forgets (its tokens then stay tokens) and there is nothing on a disk to steal or to
erase. Values are sealed (AES-SIV, RFC 5297) under a key that follows from the conversation's name, and the name is not
kept: only who names the conversation again, as the same principal, can have them opened.
"""

from collections import OrderedDict
from collections.abc import Mapping

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from magistrate.classify.tokens import Entry

KEPT_NS = 24 * 3600 * 1_000_000_000
"""How long after its last turn a conversation is remembered: a day."""

MOST_CONVERSATIONS = 10_000
MOST_BYTES = 64 * 1024 * 1024
"""Of sealed values in all. The conversation that was idle longest goes first."""


class Conversation(msgspec.Struct, frozen=True):
    """``key`` makes its tokens, ``seal`` closes what is kept of it under ``name``. All three are derived, none reveals another."""

    key: bytes
    seal: bytes
    name: bytes
    named: bool
    """False when every request brings the whole history: then nothing is kept."""


class _Kept:
    __slots__ = ("expires_ns", "sealed", "size")

    def __init__(self) -> None:
        self.expires_ns = 0
        self.sealed: dict[str, bytes] = {}
        self.size = 0


class TokenVault:
    """One per gateway. ``now_ns`` is the monotonic clock, so that a wall clock set back keeps nothing longer."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._size = 0

    def __bool__(self) -> bool:
        """Return whether anything is kept."""
        return bool(self._kept)

    def keep(self, conversation: Conversation, entries: Mapping[str, Entry], now_ns: int) -> None:
        """Remember what tokens of the conversation stand for, besides those that are remembered already."""
        kept = self._kept.setdefault(conversation.name, _Kept())
        kept.expires_ns = now_ns + KEPT_NS
        self._kept.move_to_end(conversation.name)
        cipher = AESSIV(conversation.seal)
        for token, entry in entries.items():
            sealed = cipher.encrypt(msgspec.msgpack.encode(entry), [token.encode()])
            grown = len(sealed) - len(kept.sealed.get(token, b""))
            kept.sealed[token] = sealed
            kept.size += grown
            self._size += grown
        self._shrink(now_ns)

    def recall(self, conversation: Conversation, now_ns: int) -> dict[str, Entry]:
        """Return the conversation's tokens; none of one that is unknown or was idle too long."""
        kept = self._kept.get(conversation.name)
        if kept is None or kept.expires_ns <= now_ns:
            return {}
        cipher = AESSIV(conversation.seal)
        return {
            token: msgspec.msgpack.decode(cipher.decrypt(sealed, [token.encode()]), type=Entry)
            for token, sealed in kept.sealed.items()
        }

    def _shrink(self, now_ns: int) -> None:
        while self._kept:
            kept = next(iter(self._kept.values()))
            over = len(self._kept) > MOST_CONVERSATIONS or self._size > MOST_BYTES
            if not over and kept.expires_ns > now_ns:
                return
            self._size -= self._kept.popitem(last=False)[1].size
