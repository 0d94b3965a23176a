"""Rule: one pattern of the always-on tier with everything that belongs to it, and the bounds that all rules keep."""

import re
from collections.abc import Callable

import msgspec

LONGEST_VALUE = 2048
"""Characters. A JSON Web Token with many claims has about 1500."""

LONGEST_KEY = 16_000
"""Characters of a private key block; RSA-16384 in PEM has about 12,600 with its lines, RSA-4096 has 3,300."""

VALUE_GROUPS = ("v", "w", "x", "y", "z")
"""Names of the groups one of which holds the value; several where a pattern has several forms."""

LONGEST_CONTEXT = 96
"""Characters before a value that a pattern may look at."""

KEY_BEGINS = r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
KEY_ENDS = r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
KEY_BODY = rf"[A-Za-z0-9+/=\s\\:,.()-]{{0,{LONGEST_KEY}}}"
"""What may stand between the two: the text of the key, headers, and line ends that were escaped."""


class Rule(msgspec.Struct, frozen=True):
    """One rule. ``priority`` decides where two rules claim the same characters; higher wins."""

    id: str
    label: str
    trigger: str
    pattern: str
    validate: Callable[[str], bool] | None = None
    judge: Callable[[re.Match[str]], bool] | None = None
    """Answers what the value alone cannot: which word announced it, what quotes it."""
    priority: int = 0
    score_milli: int = 950
    reach: int = 192
    """Characters from the end of a trigger back to the earliest beginning of its match, context included."""
    ahead: int = 384
    """Characters from the end of a trigger to the latest end of its match: at least the pattern's width."""
    apart: bool = False
    """Whether the trigger would make the common automaton slow: it stands in one of its own then, see `automaton`."""
    begins: str = ""
    """What every match begins with, in small letters, if it is costly to try the pattern everywhere.

    Literals side by side are best: the engine skips to their first letters. The text's beginning is tried as well."""
    good: tuple[str, ...] = ()
    """Texts in which it must be found; the value stands between ``«`` and ``»``."""
    bad: tuple[str, ...] = ()
    """Texts in which this label must not be found."""

    def holds(self, match: re.Match[str], group: str | int) -> bool:
        """Return whether ``match`` of the pattern, with its value in ``group``, is a value."""
        if self.judge is not None and not self.judge(match):
            return False
        return self.validate is None or self.validate(match[group])
