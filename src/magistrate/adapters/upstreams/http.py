"""Endpoints over HTTP, through pyreqwest (hyper).

TLS is checked against the system's roots; redirects are never followed, because a provider's redirect would carry
a prompt and a credential to a place no policy has seen. No proxy is taken from the environment for the same reason.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import (
    ConnectError,
    PoolTimeoutError,
    PyreqwestError,
    RequestTimeoutError,
    WriteError,
)
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response

from magistrate.exchange.endpoint import Endpoint
from magistrate.exchange.errors import UpstreamError
from magistrate.pipeline.ports import UpstreamAnswer, UpstreamRequest

VERSIONS = {"gemini": "/v1beta", "azure": "/openai/v1"}
"""The path that a bare host's API stands under; the others say ``/v1``."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a provider. ``api_key`` is a secret: never logged, never in a repr."""

    base_url: str
    api: str
    api_key: str | None
    connect_s: float = 5.0
    idle_s: float = 120.0
    """Longest silence of the endpoint, before the first byte as well as between two."""

    def __repr__(self) -> str:
        return f"Access({self.base_url!r}, {self.api!r})"

    def credential(self) -> tuple[str, str] | None:
        """Return the header that this API takes its key in."""
        if not self.api_key:
            return None
        if self.api == "anthropic":
            return "x-api-key", self.api_key
        if self.api == "gemini":
            return "x-goog-api-key", self.api_key
        if self.api == "azure":
            return "api-key", self.api_key
        return "authorization", f"Bearer {self.api_key}"

    def url(self, path: str) -> str:
        """Return the URL of ``path``, which is relative to the base URL.

        A base URL without a path of its own gets the API's version, because that is how SDKs are told where to go.
        """
        base = self.base_url.rstrip("/")
        if base.count("/") == 2:
            base += VERSIONS.get(self.api, "/v1")
        return base + path


class HttpUpstream:
    """The `Upstream` port over HTTP: one connection pool per provider."""

    def __init__(self, access: Mapping[str, Access]) -> None:
        self._access = dict(access)
        self._clients = {name: _client(place) for name, place in access.items()}

    async def call(self, endpoint: Endpoint, request: UpstreamRequest) -> UpstreamAnswer:
        """See `pipeline.ports.Upstream`."""
        access = self._access[endpoint.provider]
        builder = self._clients[endpoint.provider].request(request.method, access.url(request.path))
        headers = [*request.headers, ("content-type", "application/json")]
        credential = access.credential()
        builder = builder.headers([*headers, credential] if credential else headers)
        sending = builder.body_bytes(request.body).build_streamed()
        try:
            response = await sending.__aenter__()
        except PyreqwestError as error:
            raise _road(error) from error
        return HttpAnswer(sending, response)

    async def aclose(self) -> None:
        for client in self._clients.values():
            await client.close()


class HttpAnswer:
    """The `UpstreamAnswer` port over one HTTP response."""

    def __init__(self, sending: StreamRequest, response: Response) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        self._sending: StreamRequest | None = sending
        self._reader = response.body_reader

    async def read(self, limit: int) -> bytes:
        """See `pipeline.ports.UpstreamAnswer`."""
        chunks: list[bytes] = []
        length = 0
        async for chunk in self.chunks():
            length += len(chunk)
            if length > limit:
                raise UpstreamError(f"the answer is longer than {limit} bytes", sent=True)
            chunks.append(chunk)
        await self.aclose()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `pipeline.ports.UpstreamAnswer`."""
        try:
            while (chunk := await self._reader.read_chunk()) is not None:
                if chunk:
                    yield bytes(chunk)
        except PyreqwestError as error:
            raise _road(error) from error

    async def aclose(self) -> None:
        sending, self._sending = self._sending, None
        if sending is not None:
            await sending.__aexit__(None, None, None)


def _client(access: Access) -> Client:
    return (
        ClientBuilder()
        .no_proxy()
        .follow_redirects(enable=False)
        .connect_timeout(timedelta(seconds=access.connect_s))
        .read_timeout(timedelta(seconds=access.idle_s))
        .pool_max_idle_per_host(256)
        .user_agent("magistrate")
        .http1_lower_case_headers()
        .build()
    )


def _road(error: PyreqwestError) -> UpstreamError:
    """Name what happened on the road without the URL, which may carry what should not be logged."""
    timed_out = isinstance(error, RequestTimeoutError)
    sent = not isinstance(error, ConnectError | PoolTimeoutError | WriteError)
    return UpstreamError(error.message, sent=sent, timed_out=timed_out)
