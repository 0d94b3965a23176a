"""What is encoded is read, and the finding points at the encoded characters."""

import base64
import codecs

import pytest

from magistrate.classify.codings import LONGEST_ENCODED
from magistrate.classify.inspector import Inspector
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


TURNED = [
    "AKIAQ3XK7LMN2PWZ5RTV",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "xoxb-123456789012-1234567890123-aBcDeFgHiJkLmNoPqRsTuVwX",
    "DE89370400440532013000",
    f"sk-ant-api03-{'aB3dE5fG7h' * 9}AA",
]
TURNS = {"rot13": lambda value: codecs.encode(value, "rot13"), "reversed": lambda value: value[::-1]}


@pytest.mark.requirement("P3", "P6")
@pytest.mark.parametrize("how", TURNS)
@pytest.mark.parametrize("value", TURNED, ids=lambda value: value[:6])
@pytest.mark.parametrize("around", [("", ""), ("the key is ", ", and so on"), ("key='", "'"), ("(", ").")])
def test_a_turned_token_is_found_where_it_stands_for_every_cut(how, value, around):
    """Whole and in two pieces wherever they are cut: the span is the token, and nothing of it leaves before."""
    turned = TURNS[how](value)
    text = f"{around[0]}{turned}{around[1]}"
    (whole,) = SCANNER.scan_text(text)
    assert (text[whole.start : whole.end], whole.view) == (turned, how)
    for cut in range(1, len(text)):
        inspector, out, found = Inspector(SCANNER), 0, []
        for ready in (inspector.feed("c", text[:cut]), inspector.feed("c", text[cut:]), inspector.close("c")):
            found += [(f.label, f.start + out, f.end + out) for f in ready.findings]
            out += len(ready.text)
            assert not whole.start < out < whole.end
        assert found == [(whole.label, whole.start, whole.end)]


def test_what_only_looks_turned_is_none():
    """The check of the token turned back decides, and a token that is too long is not read."""
    for text in (
        "tuc_short",
        "QR89370400440532013001",
        "see us_model_of_the_world_and_more",
        "x" * 300 + "AIKA",
    ):
        assert SCANNER.scan_text(text) == ()


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
