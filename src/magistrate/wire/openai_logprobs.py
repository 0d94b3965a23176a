"""Token texts beside an answer: kept only where they repeat it.

``logprobs`` spell the whole text a second time, token by token, where no detector could find anything. They are kept
when they say exactly what the text says, and go when the text is rewritten.
"""

from collections.abc import Mapping

from magistrate.exchange.content import Json, Part, PartKind, Path, Role

_FIELDS = {"token", "logprob", "bytes", "top_logprobs"}


def vouch(logprobs: Json, texts: Mapping[str, str]) -> bool:
    """True when ``logprobs`` (of one choice) say what ``texts`` (``content``, ``refusal``) say, and no more.

    Alternatives are let through here; `alternatives` files those that differ from the chosen token.
    """
    if type(logprobs) is not dict:
        return logprobs is None
    for name, entries in logprobs.items():
        if entries is None:
            continue
        if type(entries) is not list or name not in texts:
            return False
        spelled = [_spelled(entry) for entry in entries]
        if None in spelled or b"".join(filter(None, spelled)) != texts[name].encode():
            return False
    return True


def alternatives(logprobs: Json, path: Path, role: Role, out: list[Part]) -> None:
    """File the tokens that the model might have said instead. Only for what `vouch` let through."""
    for name, entries in (logprobs or {}).items():
        for index, entry in enumerate(entries or ()):
            for place, other in enumerate(entry.get("top_logprobs") or ()):
                if other["token"] != entry["token"]:
                    where = (*path, name, index, "top_logprobs", place, "token")
                    out.append(Part(where, role, PartKind.METADATA, other["token"]))


def _spelled(entry: Json, *, chosen: bool = True) -> bytes | None:
    """Return the bytes of a token, or None when the entry holds anything but that token and its number."""
    if type(entry) is not dict or not entry.keys() <= _FIELDS or ("top_logprobs" in entry and not chosen):
        return None
    token, listed = entry.get("token"), entry.get("bytes")
    if type(token) is not str or type(entry.get("logprob", 0)) not in (int, float, type(None)):
        return None
    raw = token.encode()
    if listed is not None and listed != list(raw):
        # Half of a character has no text; the API then spells its bytes, as in `bytes:\\xf0\\x9f`.
        if type(listed) is not list or not all(type(byte) is int and 0 <= byte < 256 for byte in listed):
            return None
        raw = bytes(listed)
        if token.removeprefix("bytes:") != "".join(f"\\x{byte:02x}" for byte in raw):
            return None
    others = entry.get("top_logprobs") or ()
    if type(others) not in (list, tuple) or any(_spelled(other, chosen=False) is None for other in others):
        return None
    return raw
