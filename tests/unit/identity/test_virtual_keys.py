"""A key is known by its secret alone, and the answer never helps to guess one."""

import hashlib
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magistrate.exchange.errors import Refused
from magistrate.exchange.outcome import Code
from magistrate.identity.admin import Right, admit, mint_token
from magistrate.identity.credential import credential
from magistrate.identity.keys import RANDOM_BYTES, KeyRing, mint, rotated

ONE = bytes(range(RANDOM_BYTES))
TWO = bytes(range(100, 100 + RANDOM_BYTES))
NOW = 1_800_000_000_000_000
MINUTE = 60_000_000


def refusal(ring: KeyRing, presented: str, now_us: int = NOW) -> Refused:
    with pytest.raises(Refused) as caught:
        ring.authenticate(presented, now_us)
    return caught.value


@given(st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES))
def test_every_minted_key_has_the_documented_form_and_authenticates(random: bytes) -> None:
    """256 bits of secret, 60 of id, whatever the random bytes are."""
    presented, record = mint(random, user="ada", now_us=NOW)
    assert re.fullmatch(r"mag-[a-km-np-z2-9]{12}-[A-Za-z0-9_-]{43}", presented)
    assert KeyRing([record]).authenticate(presented, NOW).user == "ada"


@pytest.mark.requirement("I1")
def test_only_a_digest_of_the_secret_is_kept() -> None:
    """A stolen store opens nothing."""
    presented, record = mint(ONE, user="ada", now_us=NOW)
    secret = presented.split("-", 2)[2]
    assert record.digest == hashlib.sha256(secret.encode()).digest()
    assert secret.encode() not in msgspec.json.encode(record)


@pytest.mark.requirement("I1")
def test_a_principal_carries_the_keys_scopes() -> None:
    """User, tenant, groups, application, model ceiling and expiry come from the record."""
    presented, record = mint(
        ONE,
        user="ada",
        now_us=NOW,
        tenant="acme",
        groups=("care", "eu"),
        application="triage",
        models=("gpt-*",),
        expires_us=NOW + 1,
    )
    principal = KeyRing([record]).authenticate(presented, NOW)
    assert (principal.key, principal.tenant, principal.application) == (record.id, "acme", "triage")
    assert (principal.groups, principal.models, principal.expires_us) == (("care", "eu"), ("gpt-*",), NOW + 1)


@pytest.mark.requirement("I1")
def test_a_key_ends_at_its_expiry_to_the_microsecond() -> None:
    """And only the holder of the secret is told that it expired."""
    presented, record = mint(ONE, user="ada", now_us=NOW, expires_us=NOW + MINUTE)
    ring = KeyRing([record])
    assert ring.authenticate(presented, NOW + MINUTE - 1)
    assert refusal(ring, presented, NOW + MINUTE).code is Code.KEY_EXPIRED
    assert refusal(ring, presented[:-2] + "xx", NOW + MINUTE).code is Code.AUTHENTICATION_FAILED


def test_unknown_wrong_and_revoked_keys_are_told_alike() -> None:
    """Words do not reveal which ids exist."""
    presented, record = mint(ONE, user="ada", now_us=NOW)
    revoked, gone = mint(TWO, user="bob", now_us=NOW)
    ring = KeyRing([record, msgspec.structs.replace(gone, revoked_us=NOW)])
    tried = [
        "mag-zzzzzzzzzzzz-" + "A" * 43,
        presented[:-1] + ("A" if presented[-1] != "A" else "B"),
        revoked,
        "",
        "sk-something",
        "mag-",
        f"mag-{record.id}-",
        f"mag-{record.id}",
        "mag-admin-" + presented.removeprefix("mag-"),
        "\udcff" * 10,
        "x" * 100_000,
    ]
    refused = [refusal(ring, each) for each in tried]
    assert {(each.code, each.message) for each in refused} == {(refused[0].code, refused[0].message)}
    assert refused[0].code is Code.AUTHENTICATION_FAILED


def test_the_secret_whose_digest_stands_in_for_nobody_opens_nothing() -> None:
    """The dummy comparison can succeed; it must not admit."""
    _, record = mint(ONE, user="ada", now_us=NOW)
    for presented in (f"mag-{record.id}-nobody has this secret", "mag-zzzzzzzzzzzz-nobody has this secret"):
        assert refusal(KeyRing([record]), presented).code is Code.AUTHENTICATION_FAILED


def test_rotation_replaces_the_secret_at_once() -> None:
    """Without a grace period the old secret is dead."""
    old, record = mint(ONE, user="ada", now_us=NOW)
    new, renewed = rotated(record, TWO, now_us=NOW)
    ring = KeyRing([renewed])
    assert ring.authenticate(new, NOW).key == record.id
    assert refusal(ring, old).code is Code.AUTHENTICATION_FAILED


def test_rotation_with_grace_keeps_both_secrets_until_it_ends() -> None:
    """Deployments roll over without an outage."""
    old, record = mint(ONE, user="ada", now_us=NOW)
    new, renewed = rotated(record, TWO, now_us=NOW, grace_us=MINUTE)
    ring = KeyRing([renewed])
    assert ring.authenticate(old, NOW + MINUTE - 1) == ring.authenticate(new, NOW)
    assert refusal(ring, old, NOW + MINUTE).code is Code.AUTHENTICATION_FAILED


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"authorization": "Bearer k"}, "k"),
        ({"authorization": "bearer  k "}, "k"),
        ({"x-api-key": "k"}, "k"),
        ({"x-goog-api-key": "k"}, "k"),
        ({"api-key": "k"}, "k"),
        ({"authorization": "Bearer k", "x-api-key": "k"}, "k"),
    ],
)
def test_a_credential_is_found_in_every_header_that_sdks_use(headers: dict[str, str], found: str) -> None:
    """OpenAI, Anthropic, Google and Azure clients, unmodified."""
    assert credential(headers) == found


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"authorization": "Bearer a", "x-api-key": "b"}, ""),
        ({"x-goog-api-key": "a", "api-key": "b"}, ""),
        ({"authorization": "Bearer ", "api-key": "b"}, ""),
        ({"authorization": "Basic YTpi"}, ""),
        ({"authorization": "Bearer "}, ""),
        ({"authorization": ""}, ""),
        ({"x-api-key": ""}, ""),
        ({}, ""),
        ({"x-api-key": "a"}, "alt=sse&key=mag-x"),
        ({}, "KEY=mag-x"),
        ({}, "%6bey=mag-x"),
        ({}, "access_token="),
    ],
)
def test_no_two_or_unreadable_credentials_and_keys_in_the_url_are_refused(
    headers: dict[str, str], query: str
) -> None:
    """Ambiguity is refused, and what stands in a URL stands in logs."""
    with pytest.raises(Refused) as caught:
        credential(headers, query)
    assert caught.value.code is Code.AUTHENTICATION_FAILED
    assert "mag-x" not in caught.value.message


def test_other_query_parameters_are_nobodys_credential() -> None:
    """`alt=sse` is how Gemini asks for a stream."""
    assert credential({"x-api-key": "k"}, "alt=sse&monkey=1") == "k"


def test_an_admin_token_is_admitted_by_its_whole_text_only() -> None:
    """Not by its prefix, its id, as a virtual key, or after revocation."""
    presented, token = mint_token(ONE, now_us=NOW)
    other, metrics = mint_token(TWO, now_us=NOW, right=Right.METRICS)
    assert presented.startswith("mag-admin-")
    assert admit([token, metrics], presented) == token
    assert admit([token, metrics], other) == metrics
    for wrong in (
        "",
        "mag-admin-",
        presented[:-1],
        presented.replace("mag-admin-", "mag-"),
        presented + "x",
        "\udcff",
    ):
        assert admit([token, metrics], wrong) is None
    assert admit([msgspec.structs.replace(token, revoked_us=NOW)], presented) is None
    assert admit([], "mag-admin-zzzzzzzzzzzz-nobody has this token") is None
