"""Where a link's target leads, as a browser reads it, and whether that host is on the list.

Parsed by a WHATWG URL parser (Ada), because that is what renders answers: backslashes are slashes, tabs and line ends
vanish, a host may be percent-encoded or full-width, ``https:host`` needs no slashes. Where readers could differ (entities
decoded or not, backslashes as escapes or not, look-alikes folded or not) a target is allowed only if every reading is.
"""

import hashlib
import html
import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from ada_url import URL

_NOWHERE = "relative.invalid"
_BASES = (f"https://{_NOWHERE}/", f"http://{_NOWHERE}/")
"""Two, because ``https:evil.example`` is relative on a page of that scheme and absolute on the other (URL section 4.4)."""

_WEB = frozenset({"http:", "https:", "ftp:", "ws:", "wss:"})
_ACTIVE = frozenset({"data:", "javascript:", "vbscript:", "blob:", "filesystem:", "file:", "view-source:"})
"""Schemes that carry their content with them or run it; no host to allow."""

_ABSOLUTE = re.compile(r"(?i)[\x00-\x20]*(?:(?:https?|ftp|wss?):|[a-z][a-z0-9+.-]*:[\\/]{2}|[\\/]{2})")
_PLAIN = re.compile(r"(?i)https?://([a-z0-9.-]+)(?:[/?#]|\Z)")
"""An address about whose host no two parsers differ."""

_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
"""A backslash escape of CommonMark section 2.4."""

_SEPARATORS = re.compile(r"[\s,;()'\"=<>]+")
_MAIL_DOMAIN = re.compile(r"@([^@,;?&\s]+)")


class HostList:
    """The hosts that links and images may lead to: names, and ``*.name`` for everything below a name."""

    def __init__(self, allow: Iterable[str] = ()) -> None:
        names = [_plain(entry) for entry in allow]
        self.digest = hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:8]
        self._exact = frozenset(name for name in names if not name.startswith("*."))
        self._below = tuple(name[1:] for name in names if name.startswith("*."))

    def allows(self, host: str) -> bool:
        name = _plain(host)
        return name in self._exact or name.endswith(self._below)

    def permits(self, *spellings: str, compound: bool = False) -> bool:
        """Return whether every reading of every spelling of one target stays on the list.

        ``compound`` says that several targets may stand in it: ``srcset``, ``style``, a refresh.
        """
        if not compound and all(spelling == spellings[0] for spelling in spellings):
            plain = _PLAIN.match(spellings[0])
            if plain:
                return self.allows(plain[1])
        return all(self._leads_home(reading, compound) for reading in _readings(spellings))

    def _leads_home(self, text: str, compound: bool) -> bool:
        pieces = [text, *_SEPARATORS.split(text)] if compound else [text]
        return all(self._stays(piece, base) for piece in dict.fromkeys(pieces) for base in _BASES)

    def _stays(self, target: str, base: str) -> bool:
        try:
            url = URL(target, base)
        except ValueError:
            # What does not parse leads nowhere, unless another parser is more lenient.
            return not _ABSOLUTE.match(target)
        scheme, host = url.protocol, url.hostname
        if scheme in _ACTIVE:
            return False
        if scheme == "mailto:":
            return all(self.allows(domain) for domain in _MAIL_DOMAIN.findall(unquote(url.href)))
        if scheme not in _WEB and not host:
            return True
        if host == _NOWHERE:
            return True
        # Parsers differ about names and passwords in front of a host, and no answer needs them.
        return not url.username and not url.password and self.allows(host)


def _plain(host: str) -> str:
    return host.lower().removesuffix(".")


def _readings(spellings: Iterable[str]) -> Iterator[str]:
    seen: dict[str, None] = {}
    for spelling in spellings:
        for text in (spelling, html.unescape(spelling)):
            seen[text] = None
            seen[_ESCAPED.sub(r"\1", text)] = None
    yield from seen
