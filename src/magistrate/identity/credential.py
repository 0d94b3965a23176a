"""Where a credential stands in a request."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from magistrate.exchange.errors import Refused
from magistrate.exchange.outcome import Code

HEADERS = ("x-api-key", "x-goog-api-key", "api-key")
"""Where SDKs put a key besides ``authorization: Bearer``: Anthropic, Google, Azure."""
_IN_URLS = frozenset({"key", "api_key", "api-key", "access_token"})


def credential(headers: Mapping[str, str], query: str = "") -> str:
    """Return the one credential a request presents. ``headers`` have lower-case names.

    It may stand in several headers when it is the same in all of them.

    Raises:
        Refused: none; two different ones; another Authorization scheme; or one in the URL, where every log on
            the way would keep it.
    """
    if query and any(name.lower() in _IN_URLS for name, _ in parse_qsl(query, keep_blank_values=True)):
        raise Refused(
            Code.AUTHENTICATION_FAILED,
            "a credential must not stand in the URL, where logs keep it; send it in a header such as `x-goog-api-key`",
        )
    found = {headers[name].strip() for name in HEADERS if name in headers}
    if "authorization" in headers:
        scheme, _, token = headers["authorization"].strip().partition(" ")
        if scheme.lower() != "bearer":
            raise Refused(Code.AUTHENTICATION_FAILED, "`authorization` must be `Bearer` and a key")
        found.add(token.strip())
    if len(found) > 1:
        raise Refused(
            Code.AUTHENTICATION_FAILED, "two different credentials were presented; send exactly one"
        )
    presented = found.pop() if found else ""
    if not presented:
        raise Refused(
            Code.AUTHENTICATION_FAILED,
            "no credential was presented; send your magistrate key as `authorization: Bearer mag-…`",
        )
    return presented
