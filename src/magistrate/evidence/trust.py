"""Trust policies (C2SP tlog-policy): which logs and witnesses are known, and how many witnesses make a quorum.

*Trust*: the policy as a value. *Witness*: a name used inside the policy, a key, perhaps a URL. *Group*: k of its
members. *Witnessed*: what a policy says of one checkpoint.

A key that signs under two names is one witness: keys are compared, never names.
"""

from collections.abc import Mapping, Sequence

import msgspec

from magistrate.evidence.malformed import NoteError
from magistrate.evidence.note import Verifier

NONE, QUORUM = "none", "quorum-of-witnesses"
LARGEST_POLICY = 1 << 20
AHEAD_S = 60
"""By so much a witness's clock may be ahead of the verifier's before its word is one about the future."""

MOST = 64
"""Logs, witnesses or groups. The specification asks for at least 32."""


class TrustError(ValueError):
    """The policy is malformed; the message names the line."""


class Witness(msgspec.Struct, frozen=True):
    """A witness that the policy knows."""

    name: str
    verifier: Verifier
    url: str = ""


class Group(msgspec.Struct, frozen=True):
    """Witnesses a checkpoint when at least ``threshold`` of ``members`` do."""

    threshold: int
    members: tuple[str, ...]


class Witnessed(msgspec.Struct, frozen=True):
    """Which witnesses cosigned a checkpoint and when (seconds since the epoch), and whether that is a quorum.

    ``wrong`` are lines under a witness's name that do not verify: nobody may put those there, so they are shown.
    ``untimely`` are lines that verify and count for nothing, because of their time; their witnesses are `missing` too.
    """

    quorum: bool
    cosigned: Mapping[str, int] = {}
    missing: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    untimely: tuple[str, ...] = ()


class Trust(msgspec.Struct, frozen=True):
    """A policy. ``logs`` may be empty when the log is known otherwise; ``quorum`` is a name, or ``none``."""

    logs: tuple[Verifier, ...] = ()
    witnesses: Mapping[str, Witness] = {}
    groups: Mapping[str, Group] = {}
    quorum: str = NONE

    def witnessed(self, note: bytes, *, now_s: int = 0) -> Witnessed:
        """Return what the witnesses say of a checkpoint; ``now_s`` is the verifier's clock, 0: no time is too late.

        A cosignature says that *as of its time* no larger tree had been seen. One of time 0 says so of no time, and one
        from the future of a time that is still to come, within which another tree may yet be shown: neither counts.

        Raises:
            NoteError: ``note`` is malformed.
        """
        cosigned: dict[str, int] = {}
        missing, wrong, untimely = [], [], []
        for witness in self.witnesses.values():
            try:
                found = witness.verifier.cosignature(note)
            except NoteError as error:
                wrong.append(f"{witness.name}: {error}")
                continue
            if found is None:
                missing.append(witness.name)
            elif found.time_s == 0 or (now_s and now_s + AHEAD_S < found.time_s):
                ahead = found.time_s - now_s
                why = f"is {ahead} s ahead of this clock" if found.time_s else "names no time"
                untimely.append(f"the cosignature of {witness.name} {why}: it does not count")
                missing.append(witness.name)
            else:
                cosigned[witness.name] = found.time_s
        holds = self._holds(self.quorum, cosigned)
        return Witnessed(holds, cosigned, tuple(missing), tuple(wrong), tuple(untimely))

    def _holds(self, name: str, cosigned: Mapping[str, int]) -> bool:
        if name == NONE:
            return True
        group = self.groups.get(name)
        if group is None:
            return name in cosigned
        return sum(self._holds(member, cosigned) for member in group.members) >= group.threshold

    def encode(self) -> str:
        """Return the policy's file."""
        lines = [f"log {log.vkey}" for log in self.logs]
        lines += [
            f"witness {one.name} {one.verifier.vkey} {one.url}".rstrip() for one in self.witnesses.values()
        ]
        lines += [
            f"group {name} {group.threshold} {' '.join(group.members)}" for name, group in self.groups.items()
        ]
        return "\n".join([*lines, f"quorum {self.quorum}", ""])


def of_witnesses(
    logs: Sequence[Verifier], witnesses: Sequence[tuple[str, Verifier]], quorum: int | None
) -> Trust:
    """Return the policy "``quorum`` of these witnesses (URL, key)"; None means all of them. Each is named as its key is.

    Raises:
        TrustError: the quorum is larger than their number, or a key stands there twice.
    """
    _check_keys([verifier for _, verifier in witnesses])
    named: dict[str, Witness] = {}
    for number, (url, verifier) in enumerate(witnesses, 1):
        name = verifier.name if verifier.name not in {NONE, QUORUM, *named} else f"witness-{number}"
        named[name] = Witness(name, verifier, url)
    if not named:
        return Trust(tuple(logs))
    threshold = len(named) if quorum is None else quorum
    if not 1 <= threshold <= len(named):
        raise TrustError(f"a quorum of {threshold} cannot be reached by {len(named)} witnesses")
    return Trust(tuple(logs), named, {QUORUM: Group(threshold, tuple(named))}, QUORUM)  # fmt: skip


def parse(text: str) -> Trust:
    """Return the policy in a file.

    Raises:
        TrustError: it is malformed.
    """
    if len(text) > LARGEST_POLICY:
        raise TrustError("the policy is too large")
    reader = _Reader()
    for number, line in enumerate(text.split("\n"), 1):
        words = line.replace("\t", " ").split(" ")
        words = [word for word in words if word]
        if words and not words[0].startswith("#"):
            try:
                reader.take(words)
            except (TrustError, NoteError) as error:
                raise TrustError(f"line {number}: {error}") from None
    return reader.done()


class _Reader:
    """Reads a policy line by line; names are defined before they are used, so no group can contain itself."""

    def __init__(self) -> None:
        self._logs: list[Verifier] = []
        self._witnesses: dict[str, Witness] = {}
        self._groups: dict[str, Group] = {}
        self._members: set[str] = set()
        self._quorum: str | None = None

    def take(self, words: list[str]) -> None:
        match words:
            case ["log", vkey] | ["log", vkey, _]:
                self._logs.append(Verifier(vkey))
                _check_keys(self._logs)
            case ["witness", name, vkey, *url] if len(url) <= 1:
                self._new(name)
                verifier = Verifier(vkey)
                if not verifier.cosigns:
                    raise TrustError(f"the key of `{name}` is a log's, not a witness's")
                self._witnesses[name] = Witness(name, verifier, "".join(url))
                _check_keys([one.verifier for one in self._witnesses.values()])
            case ["group", name, threshold, *members] if members:
                self._new(name)
                for member in members:
                    self._known(member)
                    if member in self._members:
                        raise TrustError(f"`{member}` is a member twice")
                    self._members.add(member)
                self._groups[name] = Group(_threshold(threshold, len(members)), tuple(members))
            case ["quorum", name]:
                if self._quorum is not None:
                    raise TrustError("there is more than one quorum")
                if name != NONE:
                    self._known(name)
                self._quorum = name
            case _:
                raise TrustError(f"`{words[0][:40]}` begins no line that a policy has, or lacks something")
        if max(len(self._logs), len(self._witnesses), len(self._groups)) > MOST:
            raise TrustError(f"more than {MOST} of a kind")

    def done(self) -> Trust:
        if self._quorum is None:
            raise TrustError("there is no `quorum` line")
        return Trust(tuple(self._logs), self._witnesses, self._groups, self._quorum)

    def _new(self, name: str) -> None:
        if name == NONE or name in self._witnesses or name in self._groups:
            raise TrustError(f"`{name}` is taken")

    def _known(self, name: str) -> None:
        if name not in self._witnesses and name not in self._groups:
            raise TrustError(f"`{name}` is not defined above")


def _threshold(text: str, members: int) -> int:
    if text in {"any", "all"}:
        return 1 if text == "any" else members
    if not (text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= members):
        raise TrustError(f"`{text[:20]}` is no number between 1 and {members}")
    return int(text)


def _check_keys(verifiers: Sequence[Verifier]) -> None:
    if len({verifier.public for verifier in verifiers}) < len(verifiers):
        raise TrustError("a key stands there twice")
