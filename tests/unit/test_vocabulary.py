"""The vocabulary keeps its own promises."""

from magistrate.exchange.outcome import STATUS, Code, Refusal

RETRIED_BY_SDKS = {408, 409, 429} | set(range(500, 600))
FAULTS = {
    Code.UPSTREAM_ERROR,
    Code.UPSTREAM_TIMEOUT,
    Code.EVIDENCE_UNAVAILABLE,
    Code.OVERLOADED,
    Code.INTERNAL,
}


def test_every_code_has_a_status() -> None:
    """A refusal can always be spelled."""
    assert set(STATUS) == set(Code)


def test_a_verdict_never_uses_a_status_that_clients_retry_by_themselves() -> None:
    """A retried denial would be judged again and again."""
    assert {code for code in Code if STATUS[code] in RETRIED_BY_SDKS} == FAULTS


def test_a_refusal_can_pass_an_endpoints_own_status_on() -> None:
    """The endpoint's 429 must stay a 429."""
    assert Refusal(Code.UPSTREAM_ERROR, "slow down", status=429).http_status == 429
