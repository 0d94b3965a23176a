"""Time-stamps (RFC 3161): an authority's signed word that a checkpoint existed at a time.

What is stamped is the checkpoint's text: origin, size and root. Whoever has the tree can write that text again, so a
token needs nothing beside it, and it bounds the time of every record below its size from above.

*Authority*: the certificates that a verifier trusts. *Stamp*: what a token that verified says.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import msgspec
from cryptography import x509
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

REQUEST_TYPE, RESPONSE_TYPE = "application/timestamp-query", "application/timestamp-reply"
LARGEST_TOKEN = 64 * 1024
MOST_CERTIFICATES = 32
_OPENSSL = re.compile(r"Verify error: ?([^\"\]]+)")


class StampError(ValueError):
    """The token is malformed, is no answer, or does not prove what it is shown for."""


class Forged(StampError):  # noqa: N818  because it is a verdict on the token
    """The token is not what an authority said of this checkpoint: it stamps other data, or was changed since."""


class Stamp(msgspec.Struct, frozen=True):
    """Who stamped, when (microseconds since the epoch), and how far that may be off."""

    authority: str
    time_us: int
    accuracy_us: int = 0


class Authority:
    """A time-stamping authority as a verifier knows it: a PEM file that ends in a root.

    A certificate that may only stamp (not a CA) pins the signer: then no other one of the same root will do.

    Raises:
        StampError: the file holds no root, or what is no certificate.
    """

    def __init__(self, pem: bytes) -> None:
        with _refused("the authority's file is no list of PEM certificates"):
            certificates = x509.load_pem_x509_certificates(pem)
            if len(certificates) > MOST_CERTIFICATES:
                raise StampError(f"more than {MOST_CERTIFICATES} certificates")
            issuers = [one for one in certificates if _may_issue(one)]
            self._roots = [one for one in issuers if one.subject == one.issuer]
            self._between = [one for one in issuers if one.subject != one.issuer]
            pinned = [one for one in certificates if not _may_issue(one)]
        if not self._roots or len(pinned) > 1:
            raise StampError(
                "the authority's file needs a root, and at most one certificate that pins the signer"
            )
        self._pinned = pinned[0] if pinned else None
        self.name = self._roots[0].subject.rfc4514_string()

    def verify(self, token: bytes, text: bytes, *, nonce: int | None = None) -> Stamp:
        """Return what ``token`` (a TimeStampResp) says of ``text``. Certificates count as of the time they stamped.

        Raises:
            StampError: with the reason.
        """
        answer = decode(token)
        with _refused("the token's certificates cannot be read"):
            signer = _signer(answer, self._pinned)
        verifier = VerifierBuilder(
            roots=self._roots, intermediates=self._between, tsa_certificate=self._pinned, nonce=nonce
        ).build()
        with _refused("the token cannot be read"):
            try:
                verifier.verify_message(answer, text)
            except (VerificationError, ValueError) as error:
                raise _refusal(str(error)) from None
            info = answer.tst_info
            return Stamp(signer.subject.rfc4514_string(), _microseconds(info.gen_time), _accuracy(answer))


def request(text: bytes) -> tuple[bytes, int]:
    """Return a request for a stamp of ``text``, and its nonce."""
    built = TimestampRequestBuilder().data(text).hash_algorithm(HashAlgorithm.SHA256).nonce(nonce=True)
    asked = built.cert_request(cert_request=True).build()
    assert asked.nonce is not None
    return asked.as_bytes(), asked.nonce


def decode(token: bytes) -> TimeStampResponse:
    """Return the response in ``token``; nothing is verified yet.

    Raises:
        StampError: it is none, or the authority refused.
    """
    if len(token) > LARGEST_TOKEN:
        raise StampError("the token is too large")
    try:
        answer = decode_timestamp_response(token)
        granted = answer.status == 0
        if granted:
            answer.tst_info  # noqa: B018  because reading it is what finds a token without content
    except ValueError as error:
        raise StampError(f"not a time-stamp response: {error}") from None
    if not granted:
        raise StampError(f"the authority refused (status {answer.status})")
    return answer


def stamped_digest(token: bytes) -> bytes:
    """Return the digest that names a token in a later record."""
    return hashlib.sha256(token).digest()


def first_to_hold(token: bytes, text: bytes, authorities: Sequence[Authority]) -> Stamp:
    """Return the stamp by the first of ``authorities`` that the token verifies against.

    Raises:
        StampError: none does; the reasons of all are told.
    """
    refusals: list[StampError] = []
    for authority in authorities:
        try:
            return authority.verify(token, text)
        except StampError as error:
            refusals.append(error)
    reasons = "; ".join(dict.fromkeys(str(error) for error in refusals)) or "no authority is trusted"
    # Whom we do not trust cannot be caught forging: it takes a trusted signer to stamp other data.
    forged = any(isinstance(error, Forged) for error in refusals)
    raise Forged(reasons) if forged else StampError(reasons)


@contextmanager
def _refused(what: str) -> Iterator[None]:
    """Turn whatever the libraries raise about what is not well formed into a `StampError`.

    They read on demand, and what they raise then is not theirs to promise: ValueError, KeyError, x509's own.
    """
    try:
        yield
    except StampError:
        raise
    except Exception as error:  # noqa: BLE001  because of the line above; a token is a stranger's bytes
        raise StampError(f"{what}: {str(error) or type(error).__name__}") from None


def _signer(answer: TimeStampResponse, pinned: x509.Certificate | None) -> x509.Certificate:
    """Return the signer's certificate: the one that the signed part names, carried by the token or pinned.

    A token may carry the certificates of its chain and nothing else: one that somebody added is a name that a careless
    reader could take for the signer's (GHSA-3xxc-pwj6-jgrj).
    """
    carried = [x509.load_der_x509_certificate(one) for one in answer.signed_data.certificates]
    infos = list(answer.signed_data.signer_infos)
    found = [
        one
        for one in carried or ([pinned] if pinned else [])
        for info in infos
        if (one.issuer, one.serial_number) == (info.issuer, info.serial_number)
    ]
    strangers = [one for one in carried if one not in found and not _may_issue(one)]
    if len(infos) != 1 or len(found) != 1:
        raise StampError("the token does not carry its signer's certificate, and none is pinned")
    if strangers:
        names = ", ".join(sorted(f"`{one.subject.rfc4514_string()}`" for one in strangers))
        raise StampError(f"the token carries a certificate that is not its signer's: {names}")
    return found[0]


def _may_issue(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _refusal(text: str) -> StampError:
    if "Mismatch between messages" in text:
        return Forged("it stamps other data than this checkpoint")
    if "EKU" in text:
        return StampError("the signer's certificate is not for time-stamping")
    if "Nonce" in text:
        return StampError("it answers another request")
    why = _OPENSSL.search(text)
    if why:
        return StampError(f"its signer's certificate is not trusted: {why[1]}")
    if "pkcs7" in text.lower():
        return Forged("its signature does not verify")
    return StampError(text[:1].lower() + text[1:300].rstrip("."))


def _microseconds(moment: datetime) -> int:
    return (
        int((moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) * 1_000_000
        + moment.microsecond
    )


def _accuracy(answer: TimeStampResponse) -> int:
    accuracy = answer.tst_info.accuracy
    if accuracy is None:
        return 0
    return ((accuracy.seconds or 0) * 1000 + (accuracy.millis or 0)) * 1000 + (accuracy.micros or 0)
