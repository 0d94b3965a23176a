"""Configured providers -> the endpoints that policy judges and routing chooses from."""

import hashlib
from decimal import ROUND_CEILING, Decimal

from magistrate.app.settings import Config, ModelSetting, PriceSetting, ProviderSetting
from magistrate.exchange.endpoint import Endpoint, Price

_OPENAI = ("openai.chat:chat", "openai.responses:responses", "openai.embeddings:embeddings")
_ANTHROPIC = ("anthropic.messages:messages", "anthropic.messages:count_tokens")
_GEMINI = ("gemini:generate", "gemini:count_tokens")

OPERATIONS: dict[str, tuple[str, ...]] = {
    "openai": _OPENAI,
    "azure": _OPENAI,
    "anthropic": _ANTHROPIC,
    "gemini": _GEMINI,
    "simulator": _OPENAI + _ANTHROPIC + _GEMINI,
}
"""``dialect:operation`` pairs by api."""

BASE_URLS: dict[str, str] = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com/v1",
    "gemini": "https://generativelanguage.googleapis.com/v1beta",
    "simulator": "",
}
"""The vendors' public addresses; `ProviderSetting.base_url` overrides them."""

_PER = {"1": 1, "1K": 1_000, "1M": 1_000_000}


def catalogue(config: Config) -> tuple[Endpoint, ...]:
    """Return every configured endpoint, in the file's order.

    A model that is a pattern (``*``, ``gpt-*``) becomes one endpoint whose ``model`` and ``upstream_model`` are the
    pattern; whoever routes to it puts the client's own name in both.
    """
    return tuple(_endpoint(provider, model) for provider in config.providers for model in provider.models)


def base_url(provider: ProviderSetting) -> str:
    """Return where ``provider`` is reached, without a trailing slash; empty for the simulator."""
    return (provider.base_url or BASE_URLS[provider.api]).rstrip("/")


def price(setting: PriceSetting) -> Price:
    """Return the price in whole nano-units per token, fractions rounded up (cost is never understated).

    ``version`` is the first 16 hex digits of the SHA-256 of the numbers and the currency, so that two records with
    the same version were priced alike.
    """
    numbers = (
        _nano(setting.input, setting.per),
        _nano(setting.output, setting.per),
        None if setting.cached is None else _nano(setting.cached, setting.per),
    )
    digest = hashlib.sha256(f"{numbers}{setting.currency}".encode()).hexdigest()
    return Price(*numbers, currency=setting.currency, version=digest[:16])


def _nano(amount: Decimal, per: str) -> int:
    return int((amount * 1_000_000_000 / _PER[per]).to_integral_value(rounding=ROUND_CEILING))


def _endpoint(provider: ProviderSetting, model: ModelSetting) -> Endpoint:
    return Endpoint(
        id=f"{provider.name}/{model.name}",
        provider=provider.name,
        api=provider.api,
        model=model.name,
        upstream_model=model.upstream or model.name,
        operations=OPERATIONS[provider.api],
        region=provider.region,
        certifications=provider.certifications,
        priority=provider.priority if model.priority is None else model.priority,
        weight=provider.weight if model.weight is None else model.weight,
        price=price(model.price) if model.price else None,
    )
