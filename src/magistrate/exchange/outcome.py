"""Outcome and refusal: how it ended, and what the client was told."""

from enum import StrEnum

import msgspec

from magistrate.exchange.content import Usage


class Ending(StrEnum):
    COMPLETED = "completed"
    REFUSED = "refused"
    """Refused before anything was sent."""
    WITHHELD = "withheld"
    """The endpoint answered; the answer was refused, whole or from some point on."""
    UPSTREAM_FAILED = "upstream_failed"
    DISCONNECTED = "disconnected"
    """The client went away."""
    FAILED = "failed"
    """We failed; the client got an incident id."""


class Code(StrEnum):
    """Stable refusal codes. The HTTP status of each stands in `STATUS`."""

    INVALID_REQUEST = "invalid_request"
    AUTHENTICATION_FAILED = "authentication_failed"
    KEY_EXPIRED = "key_expired"
    POLICY_DENIED = "policy_denied"
    APPROVAL_REQUIRED = "approval_required"
    MODEL_NOT_FOUND = "model_not_found"
    NO_ELIGIBLE_ENDPOINT = "no_eligible_endpoint"
    REQUEST_TOO_LARGE = "request_too_large"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    UPSTREAM_ERROR = "upstream_error"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    OUTPUT_WITHHELD = "output_withheld"
    EVIDENCE_UNAVAILABLE = "evidence_unavailable"
    OVERLOADED = "overloaded"
    INTERNAL = "internal_error"


STATUS: dict[Code, int] = {
    Code.INVALID_REQUEST: 400,
    Code.AUTHENTICATION_FAILED: 401,
    Code.KEY_EXPIRED: 401,
    Code.POLICY_DENIED: 403,
    Code.APPROVAL_REQUIRED: 403,
    Code.MODEL_NOT_FOUND: 404,
    Code.NO_ELIGIBLE_ENDPOINT: 403,
    Code.REQUEST_TOO_LARGE: 413,
    Code.NOT_FOUND: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.UPSTREAM_ERROR: 502,
    Code.UPSTREAM_TIMEOUT: 504,
    Code.OUTPUT_WITHHELD: 403,
    Code.EVIDENCE_UNAVAILABLE: 503,
    Code.OVERLOADED: 503,
    Code.INTERNAL: 500,
}
"""Verdicts never use a status that SDKs retry by themselves (408, 409, 429, 5xx); faults do, because
there a retry can help."""


class Refusal(msgspec.Struct, frozen=True):
    """A no, before any dialect spells it out. ``record`` is quoted to the client."""

    code: Code
    message: str
    rules: tuple[str, ...] = ()
    record: str = ""
    param: str | None = None
    """The place in the request, for ``invalid_request``."""
    retry_after_s: int | None = None
    status: int | None = None
    """Overrides the code's status, to pass an endpoint's own status on."""

    @property
    def http_status(self) -> int:
        return self.status if self.status is not None else STATUS[self.code]


class Outcome(msgspec.Struct, frozen=True):
    """How one exchange ended."""

    ending: Ending
    status: int
    code: Code | None = None
    endpoint: str = ""
    model_version: str = ""
    fingerprint: str = ""
    finish: str = ""
    usage: Usage = Usage()
    cost_nano: int | None = None
    rules: tuple[str, ...] = ()
    detail: str = ""
