"""The error tree, split by whose fault it is: caller, road (upstream), us.

Message grammar: lower case, input in backticks, where it is, what to do next; no class names.
"""

from magistrate.exchange.content import Path
from magistrate.exchange.outcome import Code


class MagistrateError(Exception):
    """Anything of ours."""


class Refused(MagistrateError):  # noqa: N818  because it is a verdict, not a malfunction
    """The answer is no. Carries what the client is to be told."""

    def __init__(
        self, code: Code, message: str, *, param: str | None = None, rules: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.rules = rules


class Unreadable(Refused):
    """The caller's body cannot be read as its dialect, so nobody may forward it (P9)."""

    def __init__(self, message: str, path: Path | None = None) -> None:
        where = None if path is None else ".".join(str(step) for step in path)
        super().__init__(Code.INVALID_REQUEST, message, param=where)


class MalformedAnswer(MagistrateError):  # noqa: N818  because it names what came back
    """The endpoint's answer cannot be read as its dialect, so it cannot be judged."""


class UpstreamError(MagistrateError):
    """The road failed: connection, time-out, an answer cut short.

    ``sent`` False means that the endpoint cannot have begun: the call may be tried elsewhere.
    """

    def __init__(self, message: str, *, sent: bool, timed_out: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        self.timed_out = timed_out


class EvidenceUnavailable(MagistrateError):  # noqa: N818  because it names the state that callers handle
    """A record could not be made durable."""


class ConfigurationError(MagistrateError):
    """Our own files are wrong. ``place`` is ``file:line`` or a path inside the file."""

    def __init__(self, message: str, place: str = "") -> None:
        super().__init__(f"{place}: {message}" if place else message)
        self.message = message
        self.place = place
