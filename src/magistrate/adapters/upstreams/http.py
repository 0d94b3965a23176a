"""Endpoints over HTTP, through aiohttp.

TLS is checked against the system's roots; redirects are never followed, because a provider's redirect would carry
a prompt and a credential to a place no policy has seen. No proxy and no credential is taken from the environment for the
same reason, and cookies are forgotten. Answers are asked for uncompressed: what a detector reads is what was sent.
"""

import io
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import aiohttp

from magistrate.exchange.endpoint import Endpoint
from magistrate.exchange.errors import UpstreamError
from magistrate.pipeline.ports import UpstreamAnswer, UpstreamRequest

VERSIONS = {"gemini": "/v1beta", "azure": "/openai/v1"}
"""The path that a bare host's API stands under; the others say ``/v1``."""

KEEP_ALIVE_S = 15.0
"""An idle connection is closed by us before common servers (60 s and more) close it, because a request that meets a
connection being closed may not be sent again."""

LARGE_BODY = 1 << 20
"""Bytes from which a body is written in pieces, so that the loop can do something else in between."""


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
    """The `Upstream` port over HTTP: one connection pool per provider. Made inside the loop that uses it."""

    def __init__(self, access: Mapping[str, Access]) -> None:
        self._access = dict(access)
        self._sessions = {name: _session(place) for name, place in access.items()}

    async def call(self, endpoint: Endpoint, request: UpstreamRequest) -> UpstreamAnswer:
        """See `pipeline.ports.Upstream`. A caller that is cancelled closes the connection, and so stops the endpoint."""
        access = self._access[endpoint.provider]
        body = request.body if len(request.body) < LARGE_BODY else io.BytesIO(request.body)
        try:
            response = await self._sessions[endpoint.provider].request(
                request.method,
                access.url(request.path),
                headers=request.headers,
                data=body,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _road(error, access) from error
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            response.close()
            raise UpstreamError("its answer is compressed although it was asked not to be", sent=True)
        return HttpAnswer(response, access)

    async def aclose(self) -> None:
        """See `pipeline.ports.Upstream`."""
        for session in self._sessions.values():
            await session.close()


class HttpAnswer:
    """The `UpstreamAnswer` port over one HTTP response."""

    def __init__(self, response: aiohttp.ClientResponse, access: Access) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        self._response = response
        self._access = access

    async def read(self, limit: int) -> bytes:
        """See `pipeline.ports.UpstreamAnswer`."""
        chunks: list[bytes] = []
        length = 0
        while chunk := await self._next():
            length += len(chunk)
            if length > limit:
                raise UpstreamError(f"the answer is longer than {limit} bytes", sent=True)
            chunks.append(chunk)
        return b"".join(chunks)

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `pipeline.ports.UpstreamAnswer`."""
        while chunk := await self._next():
            yield chunk

    async def _next(self) -> bytes:
        """Return what has arrived, or wait for more; nothing at the end."""
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _road(error, self._access) from error

    async def aclose(self) -> None:
        """See `pipeline.ports.UpstreamAnswer`. A connection whose answer was read to its end goes back to the pool."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


def _session(access: Access) -> aiohttp.ClientSession:
    own = [("content-type", "application/json"), ("accept-encoding", "identity"), ("accept", "*/*")]
    credential = access.credential()
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),
        headers=[*own, credential] if credential else own,
        skip_auto_headers=["user-agent"],
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=access.connect_s, sock_read=access.idle_s),
        auto_decompress=False,
        trust_env=False,
    )


def _road(error: Exception, access: Access) -> UpstreamError:
    """Say what happened on the road in our own words: a library's message may quote what should not be logged."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return UpstreamError(f"no connection within {access.connect_s:g} s", sent=False, timed_out=True)
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return UpstreamError("its certificate cannot be trusted", sent=False)
        case aiohttp.ClientConnectorDNSError():
            return UpstreamError("its name cannot be resolved", sent=False)
        case aiohttp.ClientConnectorError():
            return UpstreamError(f"it cannot be connected to ({error.strerror})", sent=False)
        case TimeoutError():
            return UpstreamError(f"it was silent for {access.idle_s:g} s", sent=True, timed_out=True)
        case aiohttp.ServerDisconnectedError():
            return UpstreamError("it closed the connection without an answer", sent=True)
        case aiohttp.ClientPayloadError():
            return UpstreamError("its answer was cut short", sent=True)
        case aiohttp.ClientOSError():
            return UpstreamError(f"the connection broke ({error.strerror})", sent=True)
        case _:
            return UpstreamError(f"its answer is no HTTP ({type(error).__name__})", sent=True)
