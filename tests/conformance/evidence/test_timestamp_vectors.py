"""Time-stamp tokens that others made, good and bad; and those of OpenSSL, one wrong in each way."""

from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.authority import DAY, NOW, TestAuthority, make
from tests.conformance.evidence.vectors import folder

from magistrate.evidence.timestamp import Authority, Forged, StampError, first_to_hold, request

VECTORS = folder("rfc3161")


def authority(name: str) -> Authority:
    return Authority((VECTORS / name / "ts_chain.pem").read_bytes())


@pytest.mark.requirement("A7")
@pytest.mark.parametrize(
    ("token", "data"),
    [
        ("test_tsa/response.tsr", b"hello"),
        ("sigstage/response-sha256.tsr", b"hello"),
        ("sigstage/response-sha384.tsr", b"hello"),
        ("sigstage/response-sha512.tsr", b"hello"),
        ("sigstage/response-no-embedded-cert.tsr", b"hello"),
        ("sigstore.mock/response-expired.tsr", None),
    ],
)
def test_genuine_tokens_verify(token: str, data: bytes | None) -> None:
    """Of several digests and authorities; a certificate that ended since was good when it stamped."""
    path = VECTORS / token
    stamp = authority(path.parent.name).verify(
        path.read_bytes(), data or (path.parent / "payload").read_bytes()
    )
    assert stamp.time_us > 1_600_000_000_000_000
    assert stamp.accuracy_us == 1_000_000


@pytest.mark.fault(35, 36)
@pytest.mark.verifier("ours", "vectors")
@pytest.mark.requirement("A7")
@pytest.mark.parametrize(
    ("chain", "token", "data", "forged", "says"),
    [
        ("test_tsa", "test_tsa/response.tsr", b"hallo", True, "other data"),
        ("test_tsa", "test_tsa/other_response.tsr", b"hello", False, "not trusted"),
        ("test_tsa", "sigstage/response-sha256.tsr", b"hello", False, "not trusted"),
        ("test_tsa", "test_tsa/response-injected-certs.tsr", b"hello", False, "not its signer's: `CN=Spoofed TSA`, `CN=Test TSA"),
        ("sigstage", "sigstage/response-invalid-signature.tsr", b"hello", True, "signature does not verify"),
        ("test_tsa", "sigstage/response-no-embedded-cert.tsr", b"hello", False, "signer's certificate"),
    ],
)  # fmt: skip
def test_bad_tokens_are_rejected_with_the_reason(
    chain: str, token: str, data: bytes, forged: bool, says: str
) -> None:
    """Other data, another authority, an added certificate, a broken signature, no certificate at all."""
    with pytest.raises(StampError, match=says) as raised:
        authority(chain).verify((VECTORS / token).read_bytes(), data)
    assert isinstance(raised.value, Forged) is forged


@pytest.mark.parametrize("noise", [b"", b"x", b"\x30\x03\x02\x01\x00", bytes(70_000)])
def test_what_is_no_token_is_refused(noise: bytes) -> None:
    """StampError, whatever the bytes."""
    with pytest.raises(StampError):
        authority("test_tsa").verify(noise, b"hello")


def test_an_authority_needs_a_root() -> None:
    """A file without one trusts nobody, so it is an error and not an authority."""
    signer = (VECTORS / "test_tsa" / "ts_chain.pem").read_bytes().partition(b"-----END CERTIFICATE-----\n")
    for pem in (b"", b"no certificate", signer[0] + signer[1]):
        with pytest.raises(StampError, match=r"root|PEM"):
            Authority(pem)


# --- an authority of OpenSSL's


@pytest.fixture
def genuine(tmp_path: Path, tool: str) -> TestAuthority:
    return make(tmp_path / "genuine", tool)


@pytest.mark.fault(35)
@pytest.mark.verifier("ours", "openssl")
@pytest.mark.tool("openssl")
@pytest.mark.requirement("A2", "A7")
def test_openssl_and_we_agree_on_a_token(genuine: TestAuthority) -> None:
    """Its stamp verifies here and there; of other data, or answering another request, it does not."""
    asked, nonce = request(b"text")
    token, ours = genuine.reply(asked), Authority(genuine.ca.read_bytes())
    assert abs(ours.verify(token, b"text", nonce=nonce).time_us / 1e6 - NOW.timestamp()) < 3600
    assert genuine.accepts(token, b"text")
    with pytest.raises(Forged, match="other data"):
        ours.verify(token, b"texts")
    assert not genuine.accepts(token, b"texts")
    with pytest.raises(StampError, match="another request"):
        ours.verify(token, b"text", nonce=nonce + 1)


@pytest.mark.fault(36)
@pytest.mark.verifier("ours", "openssl")
@pytest.mark.tool("openssl")
@pytest.mark.requirement("A7")
@pytest.mark.parametrize(
    ("valid", "says"),
    [((NOW - 30 * DAY, NOW - DAY), "expired"), ((NOW + DAY, NOW + 9 * DAY), "not yet valid")],
)
def test_a_certificate_counts_only_in_its_time(
    tmp_path: Path, tool: str, valid: tuple[object, object], says: str
) -> None:
    """Stamped after its end, or before its beginning: OpenSSL refuses it too."""
    wrong = make(tmp_path / "wrong", tool, valid=valid)  # type: ignore[arg-type]
    token = wrong.reply(request(b"text")[0])
    with pytest.raises(StampError, match=says):
        Authority(wrong.ca.read_bytes()).verify(token, b"text")
    assert not wrong.accepts(token, b"text")


@pytest.mark.fault(36)
@pytest.mark.tool("openssl")
@pytest.mark.requirement("A7")
def test_a_certificate_for_another_purpose_does_not_stamp(
    tmp_path: Path, tool: str, genuine: TestAuthority
) -> None:
    """The content of a genuine token, signed by a key for code: refused; by a key for stamps: accepted."""
    token = genuine.reply(request(b"text")[0])
    coder = make(tmp_path / "coder", tool, use=ExtendedKeyUsageOID.CODE_SIGNING)
    with pytest.raises(StampError, match="purpose"):
        Authority(coder.ca.read_bytes()).verify(coder.forge(token, genuine), b"text")
    stamper = make(tmp_path / "stamper", tool)
    assert Authority(stamper.ca.read_bytes()).verify(stamper.forge(token, genuine), b"text")


@pytest.mark.tool("openssl")
def test_one_of_several_authorities_suffices_and_strangers_cannot_forge(
    tmp_path: Path, tool: str, genuine: TestAuthority
) -> None:
    """A token is tried against each; only one whom we trust can be caught stamping other data."""
    other = make(tmp_path / "other", tool, name="Another authority")
    both = [Authority(other.ca.read_bytes()), Authority(genuine.ca.read_bytes())]
    token = genuine.reply(request(b"text")[0])
    assert first_to_hold(token, b"text", both).authority == "CN=Test authority"
    with pytest.raises(Forged):
        first_to_hold(token, b"texts", both)
    with pytest.raises(StampError) as raised:
        first_to_hold(token, b"texts", both[:1])
    assert not isinstance(raised.value, Forged)
