"""Conversation: what two calls belong to for their tokens to mean the same, and the keys that follow from it.

Its name is the client's (a run's header such as `x-magistrate-flow`, or the ``conversation`` of the OpenAI responses API) or, without one, the
beginning of its history: a client that keeps the history itself sends its first user message again in every turn. So
the same value gets the same token in every turn, and nothing needs to be remembered. A name counts only together with tenant, user and
application, so nobody reads another's conversation by naming it.
"""

import hashlib
import hmac
from functools import lru_cache

from magistrate.exchange.content import PartKind, Role
from magistrate.pipeline import headers
from magistrate.pipeline.case import Case
from magistrate.pipeline.vault import Conversation

LONGEST_NAME = 256


def conversation_of(case: Case) -> Conversation:
    """Return the conversation that ``case`` belongs to."""
    name = _name(case)
    kind, text = ("named", name) if name else ("history", _beginning(case))
    principal = case.principal
    scope = b"\0".join(
        hashlib.sha256(part.encode("utf-8", "surrogatepass")).digest()
        for part in (principal.tenant, principal.user, principal.application, kind, text)
    )
    secret = case.line.token_key
    return Conversation(
        key=hmac.digest(secret, b"conversation tokens\0" + scope, "sha256"),
        seal=hmac.digest(secret, b"conversation seal\0" + scope, "sha512"),
        name=hmac.digest(secret, b"conversation name\0" + scope, "sha256"),
        named=bool(name),
    )


def tenant_key(case: Case) -> bytes:
    """Return the key under which one-way tokens are made: the same value, the same token, in this tenant only."""
    return _key_of(case.line.token_key, case.principal.tenant)


@lru_cache(maxsize=256)
def _key_of(token_key: bytes, tenant: str) -> bytes:
    return hmac.digest(token_key, b"tenant\0" + tenant.encode("utf-8", "surrogatepass"), "sha256")


def _name(case: Case) -> str:
    given = headers.flow(case.inbound.headers)
    if not given and case.exchange is not None and case.exchange.dialect == "openai.responses":
        said = case.exchange.body.get("conversation")
        named = said.get("id") if isinstance(said, dict) else said
        given = named if isinstance(named, str) else ""
    return given if len(given) <= LONGEST_NAME else ""


def _beginning(case: Case) -> str:
    assert case.exchange is not None
    for part in case.exchange.parts:
        if part.role is Role.USER and part.kind is PartKind.TEXT:
            return part.text
    return ""
