"""Endpoint, eligibility and route: where a call can go, and where it goes."""

import msgspec


class Price(msgspec.Struct, frozen=True):
    """Nano-units of ``currency`` per token, so that cost is exact integer arithmetic."""

    input_nano: int = 0
    output_nano: int = 0
    cached_nano: int | None = None
    currency: str = "USD"
    version: str = ""


class Endpoint(msgspec.Struct, frozen=True):
    """One model at one provider: the unit that policy allows and routing chooses."""

    id: str
    """``provider/model``; what ``x-magistrate-model`` shows."""
    provider: str
    api: str
    model: str
    """The public name clients ask for."""
    upstream_model: str
    """The name the provider knows it by."""
    operations: tuple[str, ...] = ()
    """``dialect:operation`` pairs it can serve."""
    region: str = ""
    certifications: tuple[str, ...] = ()
    priority: int = 0
    """Lower is tried first."""
    weight: int = 1
    price: Price | None = None


class Eligibility(msgspec.Struct, frozen=True):
    """Why an endpoint was or was not eligible. ``reason`` is empty exactly when eligible."""

    endpoint: str
    eligible: bool
    reason: str = ""


class Route(msgspec.Struct, frozen=True):
    """The order in which endpoints are tried, and the account of every candidate."""

    order: tuple[Endpoint, ...]
    eligibility: tuple[Eligibility, ...]
