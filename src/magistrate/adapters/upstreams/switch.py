"""The switch: which adapter reaches which provider."""

from collections.abc import Mapping

from magistrate.exchange.endpoint import Endpoint
from magistrate.pipeline.ports import Upstream, UpstreamAnswer, UpstreamRequest


class Switch:
    """The `Upstream` port over several others, by provider name."""

    def __init__(self, by_provider: Mapping[str, Upstream]) -> None:
        self._by_provider = dict(by_provider)

    async def call(self, endpoint: Endpoint, request: UpstreamRequest) -> UpstreamAnswer:
        """See `pipeline.ports.Upstream`."""
        return await self._by_provider[endpoint.provider].call(endpoint, request)

    async def aclose(self) -> None:
        """See `pipeline.ports.Upstream`."""
        for upstream in self._by_provider.values():
            await upstream.aclose()
