"""Which headers travel, each way. A header is a place where text can stand, so what travels is inspected.

Everything not named here stays behind: credentials, cookies and hop-by-hop headers above all.
"""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

import msgspec

from magistrate.exchange.content import Part, PartKind, Role
from magistrate.exchange.errors import Refused
from magistrate.exchange.outcome import Code
from magistrate.pipeline.case import Case

FORWARDED = frozenset(
    {
        "user-agent",
        "x-app",
        "x-request-id",
        "x-client-request-id",
        "x-goog-api-client",
        "x-goog-user-project",
        "http-referer",
        "x-title",
        "originator",
        "session_id",
        "session-id",
        "conversation_id",
        "version",
        "idempotency-key",
    }
)
FORWARDED_PREFIXES = ("anthropic-", "openai-beta", "x-stainless-", "x-claude-code-", "x-codex-")

RETURNED = frozenset(
    {
        "retry-after",
        "retry-after-ms",
        "request-id",
        "openai-processing-ms",
        "openai-version",
        "x-should-retry",
    }
)
RETURNED_PREFIXES = ("x-ratelimit-", "anthropic-ratelimit-")

QUERY_PARAMETERS = frozenset({"beta", "alt", "api-version"})
"""Query parameters that mean something to an endpoint; a key never stands in a URL."""

LONGEST_VALUE = 8192
"""Characters, the limit of common servers for one header line."""

LONGEST_TAG, MOST_TAGS = 200, 32

FLOW_NAMES = ("x-magistrate-flow", "x-litellm-session-id", "x-portkey-trace-id", "x-claude-code-session-id")
"""Where a caller names its run: our own header, then those that other gateways and agents made common."""

LONGEST_FLOW = 128

DATASETS = "x-magistrate-datasets"
"""Where a caller names the data that a call draws on: what was retrieved, or what a model was tuned with."""

MOST_DATASETS = 16
_DATASET = re.compile(
    r"(?P<id>[A-Za-z0-9][A-Za-z0-9._/-]{0,99})@(?P<version>[A-Za-z0-9][A-Za-z0-9._:+-]{0,63})(?:#(?P<sha256>[0-9a-f]{64}))?",
    re.ASCII,
)


def forwarded(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the client's headers that go to an endpoint."""
    return tuple(
        (name, value)
        for name, value in headers.items()
        if (name in FORWARDED or name.startswith(FORWARDED_PREFIXES)) and len(value) <= LONGEST_VALUE
    )


def as_parts(headers: tuple[tuple[str, str], ...]) -> tuple[Part, ...]:
    """Return forwarded headers as parts, appended to the body's and told apart from them by index."""
    return tuple(Part(("@header", name), Role.METADATA, PartKind.METADATA, value) for name, value in headers)


def returned(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the endpoint's headers that go on to the client."""
    return [(k, v) for k, v in headers.items() if k in RETURNED or k.startswith(RETURNED_PREFIXES)]


def query(raw: str) -> str:
    """Return the query string that goes on, with its question mark, or nothing."""
    pairs = [
        (k, v) for k, v in parse_qsl(raw, keep_blank_values=True) if k in QUERY_PARAMETERS and len(v) <= 64
    ]
    return "?" + urlencode(pairs) if pairs else ""


def tags(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return the caller's tags, sorted. They are claims: policy may read them, never trust them with rights.

    Portkey's metadata, a flat JSON object, become tags such as ``environment=test``; what is none is no tag.
    """
    found: set[str] = set()
    for name in ("x-magistrate-tags", "x-litellm-tags"):
        listed = headers.get(name, "")
        if listed:
            found.update(tag.strip() for tag in listed.split(",") if tag.strip())
    metadata = headers.get("x-portkey-metadata", "")
    if metadata:
        try:
            pairs = msgspec.json.decode(metadata, type=dict[str, str])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pairs = {}
        found.update(f"{name}={value}" for name, value in pairs.items())
    return tuple(sorted(tag for tag in found if len(tag) <= LONGEST_TAG))[:MOST_TAGS] if found else ()


def flow(headers: Mapping[str, str]) -> str:
    """Return which agent run the caller says this call belongs to, or nothing."""
    for name in FLOW_NAMES:
        value = headers.get(name, "").strip()
        if value and value.isascii() and value.isprintable() and len(value) <= LONGEST_FLOW:
            return value
    return ""


def datasets(headers: Mapping[str, str]) -> tuple[Mapping[str, str], ...]:
    """Return ``id``, ``version`` and perhaps ``sha256`` of each dataset that the caller names. They are claims, and recorded as such.

    Raises:
        Refused: INVALID_REQUEST; a record that leaves out what it was told would be wrong.
    """
    named = headers.get(DATASETS, "")
    if not named:
        return ()
    found = [_DATASET.fullmatch(each.strip()) for each in named.split(",", MOST_DATASETS)]
    told = tuple({k: v for k, v in each.groupdict().items() if v} for each in found if each)
    if len(told) < len(found) or len(told) > MOST_DATASETS:
        message = (
            f"`{DATASETS}` takes at most {MOST_DATASETS} of `id@version` or `id@version#sha256`, separated by commas: "
            "of letters, digits, `.`, `_` and `-` (an id of `/` too, a version of `+` and `:`), a SHA-256 in lower-case hexadecimal"
        )
        raise Refused(Code.INVALID_REQUEST, message, param=DATASETS)
    return told


def ours(case: Case) -> list[tuple[str, str]]:
    """Return the response headers of DESIGN's surface for ``case`` as far as it has come."""
    decision = case.decision
    told = [("x-magistrate-record", case.record), ("x-magistrate-trace", case.trace)]
    told.append(("x-magistrate-verdict", decision.effect.value if decision else "deny"))
    if decision:
        told.append(("x-magistrate-policy", decision.bundle[:16]))
        if decision.would is not None:
            told.append(("x-magistrate-would", decision.would.effect.value))
    if case.endpoint:
        told.append(("x-magistrate-model", case.endpoint.id))
    warnings = [dict(o.params).get("message", o.rule) for o in case.obligations if o.kind.value == "warn"]
    if warnings:
        told.append(("x-magistrate-warning", "; ".join(warnings).encode("ascii", "replace").decode()))
    if case.cost_nano is not None:
        told.append(("x-magistrate-cost", f"{case.cost_nano / 1e9:.9f}"))
    request_id = case.inbound.headers.get("x-request-id")
    if request_id and request_id.isascii() and request_id.isprintable() and len(request_id) <= 128:
        told.append(("x-request-id", request_id))
    told.append(("server-timing", ", ".join(f"{name};dur={us / 1000:.3f}" for name, us in case.marks)))
    return told
