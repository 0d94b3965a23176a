"""What is encoded is read, and the finding points at the encoded characters."""

import base64

import pytest

from magistrate.classify.encodings import LONGEST_ENCODED
from magistrate.classify.scanner import Scanner

SCANNER = Scanner()
TEXT = "the account of ada.lovelace@analytical.org is open"
VALUE = "ada.lovelace@analytical.org"

CODINGS = {
    "base64": (lambda t: base64.b64encode(t.encode()).decode(), "base64"),
    "base64 for addresses": (lambda t: base64.urlsafe_b64encode(t.encode()).decode().rstrip("="), "base64"),
    "base64 shifted by one": (lambda t: "Q" + base64.b64encode(t.encode()).decode(), "base64"),
    "base64 twice": (lambda t: base64.b64encode(base64.b64encode(t.encode())).decode(), "base64"),
    "hexadecimal": (lambda t: t.encode().hex(), "hex"),
    "hexadecimal in capitals": (lambda t: t.encode().hex().upper(), "hex"),
    "letters spaced out": (lambda t: " ".join(VALUE), "spaced"),
    "percent": (lambda t: "".join(f"%{ord(c):02X}" for c in t), "normal"),
    "percent where it must": (lambda t: t.replace("@", "%40"), "normal"),
    "HTML, decimal": (lambda t: "".join(f"&#{ord(c)};" for c in t), "normal"),
    "HTML, hexadecimal": (lambda t: t.replace("@", "&#x40;").replace(".", "&period;"), "normal"),
    "JSON escapes": (lambda t: "".join(f"\\u{ord(c):04x}" for c in t), "normal"),
}


@pytest.mark.requirement("P3")
@pytest.mark.parametrize("name", CODINGS)
@pytest.mark.parametrize("around", [("", ""), ("see ", " ok"), ("漢字 ", " —")])
def test_an_encoded_value_is_found_where_it_stands(name, around):
    """The span covers what spells the value and does not leave the encoded text."""
    coded, view = CODINGS[name][0](TEXT), CODINGS[name][1]
    (found,) = SCANNER.scan_text(around[0] + coded + around[1])
    assert (found.label, found.view) == ("pii.email", view)
    assert len(around[0]) <= found.start < found.end <= len(around[0]) + len(coded)


def test_the_span_of_an_encoded_value_decodes_to_the_value():
    """Not to its neighbours: redaction takes as little as the coding allows."""
    coded = TEXT.encode().hex()
    (found,) = SCANNER.scan_text(coded)
    assert bytes.fromhex(coded[found.start : found.end]).decode() == VALUE


def test_what_cannot_be_held_back_is_not_claimed():
    """A value that takes more encoded characters than a stream holds is left to the limit, not cut in two."""
    long = "https://x.example/?q=" + "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY" * 50
    assert SCANNER.scan_text(long)
    assert SCANNER.scan_text(base64.b64encode(long.encode()).decode()) == ()
    key = "-----BEGIN PRIVATE KEY-----\n" + "aB3dE5fG7hJ9kL1m\n" * 200 + "-----END PRIVATE KEY-----"
    (found,) = SCANNER.scan_text(base64.b64encode(key.encode()).decode())
    assert (found.label, found.end - found.start) == ("secret.private_key", LONGEST_ENCODED)


@pytest.mark.parametrize(
    "text",
    [
        "d41d8cd98f00b204e9800998ecf8427e and 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
        "sha384-oqVuAfXRKap7fdgcCY5uykM6+R9GqQ8K/uxy9rx7HNQlGYl1kPzQho1wx4JwY8wC",
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
        "usr/local/lib/python3.11/site-packages/some_package/some_module_name.py",
        "I a m h e r e t o s p e a k a b o u t i t",
    ],
)
def test_digests_pictures_and_paths_hold_nothing(text):
    """They are runs of the same characters."""
    assert SCANNER.scan_text(text) == ()


def test_ten_layers_are_not_undone_and_cost_little():
    """Two layers are; the rest is what it is, a long run of characters."""
    text = TEXT
    for _ in range(10):
        text = base64.b64encode(text.encode()).decode()
    assert SCANNER.scan_text(text) == ()
