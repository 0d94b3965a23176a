"""Beacons: signed values that nobody knew before their time, written into the log, so that what follows them is not older.

A time-stamp bounds the time of the records before it from above; a beacon bounds that of the records behind it from below.
Two kinds of source:

*drand* (https://drand.love): a network that publishes a round every few seconds, signed by a threshold of its members
(BLS12-381). The public key, the first round's time and the period are its ``/info``, which is also what a verifier trusts;
a round's number is its time. *signed*: a source of one's own, whose Ed25519 key signs a time and a value.

BLS needs pyblst (the extra ``drand``). Without it nothing about a round is believed, and that is said.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

BEACON = "beacon"
"""The type of the record that holds a value."""

LARGEST_ANSWER = 16 * 1024
LARGEST_SOURCE = 64 * 1024
NEEDS = "needs pyblst, to verify BLS signatures: install the extra `drand`"
_G1 = bytes.fromhex(
    "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb"
)
_G2 = bytes.fromhex(
    "93e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e"
    "024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8"
)
_IN_G1 = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"
_IN_G2 = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_NUL_"
_P1_BYTES, _P2_BYTES = 48, 96
_INFINITE = 0x40
"""In the first byte of a compressed point: it is the one at infinity, which is nobody's key."""

_SIGNED = b"magistrate beacon v1\n"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VALUE = re.compile(r"[\x21-\x7e]{16,1024}")
_HEX = re.compile(r"(?:[0-9a-f]{2}){1,128}")
LATEST_S = 1 << 40
"""No time of a beacon is later: 36,000 years."""


class BeaconError(ValueError):
    """A source, an answer or a record is none, or its signature does not hold."""


class Unverifiable(Exception):  # noqa: N818  because it names a state of this installation
    """What would verify it is not installed."""


class Scheme(msgspec.Struct, frozen=True):
    """How a drand network signs: on which curve signatures are, with which domain, and whether rounds name the one before."""

    on_g1: bool
    domain: bytes
    chained: bool = False


SCHEMES: Mapping[str, Scheme] = {
    "pedersen-bls-chained": Scheme(on_g1=False, domain=_IN_G2, chained=True),
    "pedersen-bls-unchained": Scheme(on_g1=False, domain=_IN_G2),
    # Of the first networks with short signatures: they hash to G1 under the name of G2, and keep doing so.
    "bls-unchained-on-g1": Scheme(on_g1=True, domain=_IN_G2),
    "bls-unchained-g1-rfc9380": Scheme(on_g1=True, domain=_IN_G1),
}


class Drand(msgspec.Struct, frozen=True):
    """A drand network. Its first round is published at ``genesis_s``, and one more each ``period_s``."""

    name: str
    key: bytes
    genesis_s: int
    period_s: int
    scheme: str


class Signed(msgspec.Struct, frozen=True):
    """A source with an Ed25519 key. That nobody knows its values before their time is its owner's promise."""

    name: str
    key: bytes


Source = Drand | Signed


class Drawn(msgspec.Struct, frozen=True):
    """A value that was verified: when it was published, and what the log says of it."""

    time_us: int
    facts: dict[str, object]


class _Info(msgspec.Struct, frozen=True):
    """A source as a file spells it: drand's ``/info``, or ``kind: signed``."""

    public_key: str
    kind: str = "drand"
    name: str = ""
    genesis_time: int = 0
    period: int = 0
    scheme: str = msgspec.field(default="pedersen-bls-chained", name="schemeID")
    metadata: dict[str, Any] = {}


class _Round(msgspec.Struct, frozen=True):
    round: int
    signature: str
    randomness: str = ""
    previous_signature: str = ""


class _Pulse(msgspec.Struct, frozen=True):
    time: int
    value: str
    signature: str


def installed() -> bool:
    """Return whether BLS signatures can be verified here."""
    return find_spec("pyblst") is not None


def read_source(data: bytes) -> Source:
    """Return the source that a file describes.

    Raises:
        BeaconError: it describes none.
    """
    if len(data) > LARGEST_SOURCE:
        raise BeaconError("is too long for a beacon's description")
    try:
        info = msgspec.json.decode(data, type=_Info)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BeaconError(f"is no description of a beacon: {error}") from None
    name = info.name or str(info.metadata.get("beaconID", "")) or "default"
    if not _NAME.fullmatch(name):
        raise BeaconError("has a name that is none: letters, digits, `.`, `_` and `-`")
    if info.kind == "signed":
        return Signed(name, _bytes_of(info.public_key, 32))
    scheme = SCHEMES.get(info.scheme)
    if info.kind != "drand" or scheme is None:
        raise BeaconError(f"is of a kind or a scheme that is not known: {info.kind}, {info.scheme}")
    if not 0 < info.genesis_time < LATEST_S or not 0 < info.period <= 86_400:
        raise BeaconError("has no `genesis_time`, or no `period` between a second and a day")
    key = _bytes_of(info.public_key, _P2_BYTES if scheme.on_g1 else _P1_BYTES)
    if key[0] & _INFINITE:
        raise BeaconError("has a public key that everything would verify under")
    return Drand(name, key, info.genesis_time, info.period, info.scheme)


def drawn(source: Source, answer: bytes) -> Drawn:
    """Return the value in an answer of ``source``.

    Raises:
        BeaconError: it is none, or its signature does not hold.
        Unverifiable: BLS signatures cannot be verified here.
    """
    if len(answer) > LARGEST_ANSWER:
        raise BeaconError("answers with more than a beacon says")
    try:
        if isinstance(source, Signed):
            pulse = msgspec.json.decode(answer, type=_Pulse)
            signature = base64.b64decode(pulse.signature.encode(), validate=True).hex()
            said: dict[str, object] = {"time": pulse.time, "value": pulse.value, "signature": signature}
        else:
            found = msgspec.json.decode(answer, type=_Round)
            said = {"round": found.round, "signature": found.signature}
            if SCHEMES[source.scheme].chained:
                said["previous"] = found.previous_signature
            randomness = hashlib.sha256(_bytes_of(found.signature)).hexdigest()
            if found.randomness not in {"", randomness}:
                raise BeaconError("answers with a round whose randomness is not the hash of its signature")
    except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error, RecursionError) as error:
        raise BeaconError(f"answers with what is no value of a beacon: {error}") from None
    time_us = moment(source, said)
    kind = "signed" if isinstance(source, Signed) else "drand"
    facts = {
        "source": source.name,
        "kind": kind,
        "key": source.key.hex(),
        **said,
        "time": time_us // 1_000_000,
    }
    return Drawn(time_us, facts)


def published(sources: Iterable[Source], facts: Mapping[str, Any]) -> tuple[Source, int]:
    """Return which of ``sources`` gave the value that a record holds, and when (microseconds) it was published.

    Raises:
        BeaconError: it did not.
        Unverifiable: none of these holds the key that the record names, or BLS signatures cannot be verified here.
    """
    source = next((one for one in sources if one.key.hex() == facts.get("key")), None)
    if source is None:
        raise Unverifiable("no source that holds the key is trusted")
    return source, moment(source, facts)


def moment(source: Source, said: Mapping[str, Any]) -> int:
    """Return when (microseconds) a value was published that ``source`` signed, as a record or an answer tells it.

    Raises:
        BeaconError: it is no value of this source: malformed, of another time than it says, or not signed by its key.
        Unverifiable: BLS signatures cannot be verified here.
    """
    if isinstance(source, Signed):
        time_s, value = said.get("time"), said.get("value")
        if type(time_s) is not int or not 0 < time_s < LATEST_S:
            raise BeaconError("names no time in seconds")
        if type(value) is not str or not _VALUE.fullmatch(value):
            raise BeaconError("names no value of 16 characters and more")
        message = _SIGNED + f"{time_s}\n{value}\n".encode()
        try:
            Ed25519PublicKey.from_public_bytes(source.key).verify(
                _bytes_of(said.get("signature"), 64), message
            )
        except (InvalidSignature, ValueError):
            raise BeaconError(f"its signature is not `{source.name}`'s") from None
        return time_s * 1_000_000
    number = said.get("round")
    if type(number) is not int or not 0 < number < 1 << 50:
        raise BeaconError("names no round")
    time_s = source.genesis_s + (number - 1) * source.period_s
    if said.get("time", time_s) != time_s:
        raise BeaconError(f"claims another time than round {number} of `{source.name}` has")
    _check_round(source, number, said)
    return time_s * 1_000_000


def _check_round(source: Drand, number: int, said: Mapping[str, Any]) -> None:
    scheme = SCHEMES[source.scheme]
    before = _bytes_of(said.get("previous")) if scheme.chained else b""
    signature = _bytes_of(said.get("signature"), _P1_BYTES if scheme.on_g1 else _P2_BYTES)
    if not installed():
        raise Unverifiable(NEEDS)
    bls: Any = import_module("pyblst")
    message = hashlib.sha256(before + number.to_bytes(8, "big")).digest()
    first, second = bls.BlstP1Element, bls.BlstP2Element
    try:
        if scheme.on_g1:
            signed = bls.miller_loop(first.uncompress(signature), second.uncompress(_G2))
            hashed = first().hash_to_group(message, scheme.domain)
            meant = bls.miller_loop(hashed, second.uncompress(source.key))
        else:
            signed = bls.miller_loop(first.uncompress(_G1), second.uncompress(signature))
            hashed = second().hash_to_group(message, scheme.domain)
            meant = bls.miller_loop(first.uncompress(source.key), hashed)
    except ValueError:
        raise BeaconError(f"its signature or `{source.name}`'s key is no point of the curve") from None
    if not bls.final_verify(signed, meant):
        raise BeaconError(f"its signature is not `{source.name}`'s")


def _bytes_of(digits: object, length: int = 0) -> bytes:
    """Return the bytes that hex digits spell, ``length`` of them if that is not 0. Raises `BeaconError`."""
    if type(digits) is not str or not _HEX.fullmatch(digits):
        raise BeaconError("a key or a signature is not spelled in hex")
    found = bytes.fromhex(digits)
    if length and len(found) != length:
        raise BeaconError(f"a key or a signature has {len(found)} bytes; {length} are expected")
    return found
