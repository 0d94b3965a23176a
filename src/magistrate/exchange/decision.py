"""Decision, obligation and mode: what policy says."""

from enum import StrEnum

import msgspec


class Mode(StrEnum):
    """How far a control acts."""

    OBSERVE = "observe"
    """It is noted that the control matched."""
    SHADOW = "shadow"
    """The control is decided in full; what would have happened is recorded and told, and nothing acts."""
    ENFORCE = "enforce"


class Effect(StrEnum):
    ALLOW = "allow"
    DENY = "deny"
    ESCALATE = "escalate"
    """A person must decide first."""
    INDETERMINATE = "indeterminate"
    """Policy could not say. The fail-mode table decides, closed by default."""


class Action(StrEnum):
    """What is being decided."""

    CALL = "call"
    """May this content go to that endpoint?"""
    ANSWER = "answer"
    """May this content come back to this principal?"""


class ObligationKind(StrEnum):
    REDACT = "redact"
    TOKENISE = "tokenise"
    ROUTE = "route"
    CAP = "cap"
    WARN = "warn"


class TokenMethod(StrEnum):
    """How a tokenise replaces a value."""

    PSEUDONYM = "pseudonym"
    """A keyed one-way token, the same for the same value throughout the tenant."""
    FORMAT_PRESERVING = "format-preserving"
    """One-way too, in the value's own format, from ranges that are nobody's where the format has some."""
    REVERSIBLE = "reversible"
    """A token of this conversation, put back into what returns to the same principal."""


class Obligation(msgspec.Struct, frozen=True):
    """Something that must be done if the call is to go ahead.

    ``labels`` (shell-style patterns) say which findings a redact or tokenise acts on; ``params`` are the
    policy's other annotations (``max_output_tokens`` for cap, ``prefer`` for route, ``message`` for warn, ``method``,
    ``restore`` and ``except`` for redact and tokenise).
    """

    kind: ObligationKind
    rule: str
    labels: tuple[str, ...] = ()
    params: tuple[tuple[str, str], ...] = ()


class EndpointVerdict(msgspec.Struct, frozen=True):
    """What policy says about one endpoint, and by which rules."""

    endpoint: str
    effect: Effect
    rules: tuple[str, ...] = ()
    obligations: tuple[Obligation, ...] = ()
    """What must be done if the call goes to *this* endpoint."""
    reason: str = ""


class Would(msgspec.Struct, frozen=True):
    """What the same call would have met had shadow controls been enforced."""

    effect: Effect
    rules: tuple[str, ...] = ()
    obligations: tuple[Obligation, ...] = ()


class Decision(msgspec.Struct, frozen=True):
    """The verdict on one exchange. ALLOW when at least one endpoint is allowed.

    ``rules`` are the ids of the policies that determined it. ``code`` and ``message`` are what a refused
    client is told. ``bundle`` is the content hash of the policies that were asked.
    """

    effect: Effect
    bundle: str
    rules: tuple[str, ...] = ()
    endpoints: tuple[EndpointVerdict, ...] = ()
    code: str = ""
    message: str = ""
    would: Would | None = None
    observed: tuple[str, ...] = ()
    """Policies in observe mode that matched."""
    errors: tuple[str, ...] = ()
    """Policies whose condition could not be evaluated; one that is enforced makes its endpoints INDETERMINATE."""


class Facts(msgspec.Struct, frozen=True):
    """What policy may know about an exchange besides its principal: labels and counts, never content.

    Low in cardinality on purpose, so that equal situations are decided once.
    """

    action: Action
    dialect: str
    operation: str
    model: str
    stream: bool
    labels: tuple[str, ...] = ()
    """Sorted distinct labels, each with all its ancestors (``pii.email`` brings ``pii``)."""
    tools: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    opaque: bool = False
    """True when some part could not be read by any detector (an image, a file)."""
