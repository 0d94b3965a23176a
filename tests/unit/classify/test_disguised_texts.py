"""Morse code, letters for digits, and secrets whose name is in disguise: found where they stand, for every cut."""

import codecs

import pytest

from magistrate.classify.disguised import ROTATIONS
from magistrate.classify.inspector import Inspector
from magistrate.classify.morse import LETTERS
from magistrate.classify.scanner import Scanner

SCANNER = Scanner()
SIGNS = {letter: signs for signs, letter in LETTERS.items()}


def morse(text, between=" ", words=" / "):
    return words.join(between.join(SIGNS[letter] for letter in word.upper()) for word in text.split(" "))


def rotated(text, by):
    """The obvious Caesar cipher."""
    turn = lambda c, base: chr((ord(c) - ord(base) + by) % 26 + ord(base))  # noqa: E731
    return "".join(turn(c, "a") if "a" <= c <= "z" else turn(c, "A") if "A" <= c <= "Z" else c for c in text)


def rot47(text):
    return "".join(chr(33 + (ord(c) - 33 + 47) % 94) if "!" <= c <= "~" else c for c in text)


CARD = morse("4539 1488 0343 6467")
MORSE = {
    "a card": (f"«{CARD}»", "pci.pan"),
    "a card in one word": (f"«{morse('4539148803436467')}»", "pci.pan"),
    "an e-mail address": (f"«{morse('grace.hopper@navy.example')}»", "pii.email"),
    "a social security number": (f"«{morse('536-90-4399')}»", "pii.ssn"),
    "a number behind its words": (f"{morse('my ssn ')}«{morse('536904399')}»", "pii.ssn"),
    "a key": (f"«{morse('AKIAQ3XK7LMN2PWZ5RTV')}»", "secret.aws"),
    "a key of small letters": (f"«{morse('dapi0123456789abcdef0123456789abcdef')}»", "secret.databricks"),
    "an account": (f"«{morse('DE89 3704 0044 0532 0130 00')}»", "fin.iban"),
    "strokes between letters": (f"«{morse('4539148803436467', '/')}»", "pci.pan"),
    "bars between words": (f"«{morse('4539 1488 0343 6467', ' ', ' | ')}»", "pci.pan"),
    "spaces between words": (f"«{morse('4539 1488 0343 6467', ' ', '   ')}»", "pci.pan"),
    "one line a word": ("«" + morse("4539 1488 0343 6467", " ", "\n") + "»", "pci.pan"),
    "middle dots": ("«" + CARD.replace(".", "·").replace("-", "−") + "»", "pci.pan"),
    "bullets": ("«" + CARD.replace(".", "•").replace("-", "–") + "»", "pci.pan"),
    "underscores": ("«" + CARD.replace("-", "_") + "»", "pci.pan"),
    "three dots in one": ("«" + CARD.replace("...", "…") + "»", "pci.pan"),
}
NUMBERS = {
    "a card": ("«4S39 I488 O343 6467»", "pci.pan"),
    "a card in one word": ("«4539l488O3436467»", "pci.pan"),
    "a group of letters only": ("«41l1 llll 1l11 llll»", "pci.pan"),
    "a social security number": ("SSN «536-9O-4399»", "pii.ssn"),
    "one behind its words": ("social security number: «5369O4399»", "pii.ssn"),
    "a German account": ("«DE89 37O4 0044 O532 0l30 00»", "fin.iban"),
    "a British account": ("«GB29 NWBK 6O16 l33l 9268 19»", "fin.iban"),
    "a passport behind its word": ("passport no. «5l2345678»", "pii.passport"),
}
PASSWORD = "password: «hunter2!Zx9»"
TOKEN = '"access_token": "«5f7bbc4e3ac7bf84982956430f9449»"'
HEADER = "Authorization: Bearer «aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0»"
NAMED = {
    "digits for letters": ("p4ssw0rd: «hunter2!Zx9»", "secret.password"),
    "signs for letters": ("my P@$$WORD = '«k3J9sLq0PzX7»'", "secret.password"),
    "a token in leet": ("4cc3ss_t0k3n=«5f7bbc4e3ac7bf84982956430f9449»", "secret.password"),
    "rot13": (codecs.encode(PASSWORD, "rot13"), "secret.password"),
    "rot5": (rotated(TOKEN, 5), "secret.password"),
    "rot25 in capitals": (rotated("API_KEY = '«k3J9sLq0PzX7aaQ2»'", 25), "secret.password"),
    "rot19 of a header": (rotated(HEADER, 19), "secret.authorization"),
    "rot47": ("«".join(map(rot47, PASSWORD.split("«"))), "secret.password"),
    "rot47 of a member": ("«".join(map(rot47, TOKEN.split("«"))), "secret.password"),
    "reversed": ("«9xZ!2retnuh» :drowssap", "secret.password"),
    "reversed in one word": ("«9xZ!2retnuh»=drowssap_bd", "secret.password"),
    "a reversed member": (',"«Ba77-yTr3wQ»" :"terces"', "secret.password"),
    "a reversed assignment": (";'«7XzP0qLs9J3k»' = yek_ipa", "secret.password"),
}
ALL = {
    f"{kind}: {name}": case
    for kind, cases in (("Morse", MORSE), ("look-alikes", NUMBERS), ("named", NAMED))
    for name, case in cases.items()
}


@pytest.mark.requirement("P3", "P6")
@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("around", [("", ""), ("see ", " ok"), ("漢字 ", " 漢字"), ("It is done.\n", "\n")])
def test_a_disguised_value_is_found_where_it_stands_for_every_cut(name, around):
    """Whole and in two pieces wherever they are cut: the span is the value, and nothing of it leaves before."""
    spelled, label = ALL[name]
    # What is rotated by 47 has no closing mark: it was turned as well.
    before, _, rest = (around[0] + spelled).partition("«")
    value, _, after = rest.replace(rot47("»"), "»").partition("»")
    text = before + value + after + around[1]
    (whole,) = SCANNER.scan_text(text)
    assert (whole.label, text[whole.start : whole.end]) == (label, value)
    for cut in range(1, len(text)):
        inspector, out, found = Inspector(SCANNER), 0, []
        for ready in (inspector.feed("c", text[:cut]), inspector.feed("c", text[cut:]), inspector.close("c")):
            found += [(f.label, f.start + out, f.end + out) for f in ready.findings]
            out += len(ready.text)
            assert not whole.start < out < whole.end
        assert found == [(whole.label, whole.start, whole.end)]


@pytest.mark.parametrize(
    "text",
    [
        morse("the weather is fine today and we walk"),
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        "- - - - - - - - - - .-. - - - -",
        ". . . . . . . . . . . . . . . .- . . . . . . .",
        "4S39 I488 O343 6468",
        "SOS OO7 l0l S3 O2 1O1 part 1S20-4410-2Z81",
        "536-9O-0000",
        "DE88 37O4 0044 O532 0l30 00",
        "cnffjbeq: punatrzr",
        "forgot your p4ssw0rd? see the FAQ",
        "p4ssw0rd: none",
        "the word drowssap is password: read backwards",
        'hello2 :"drowssal"',
        "cornered: abc123!XY",
    ],
)
def test_what_only_looks_disguised_is_nothing(text):
    """The check digit, the context and the judgement of a secret decide, as they do for what is written plainly."""
    assert SCANNER.scan_text(text) == ()


def test_a_name_in_disguise_twice_and_one_far_away_announce_nothing():
    """One disguise is undone, and a name announces what stands right behind it."""
    twice = rotated("p4ssw0rd: hunter2!Zx9", 5)
    assert SCANNER.scan_text(twice) == ()
    key = "5f7bbc4e3ac7bf84982956430f9449"
    assert SCANNER.scan_text(rotated(f"secret {'x' * 120} dapi{key}0f", 3)) == ()


def test_every_rotation_turns_a_name_back_to_itself():
    """There are 25 of letters and one of characters."""
    assert len(ROTATIONS) == 26
    assert all(words[0].translate(turn) == "password" for words, turn in ROTATIONS)


@pytest.mark.requirement("P6")
def test_a_long_text_of_dots_and_dashes_is_held_by_a_value_at_most():
    """Rules and tables drawn with dashes go on flowing."""
    inspector, out, longest = Inspector(SCANNER), 0, 0
    for n in range(1, 4001):
        out += len(inspector.feed("c", "-. "[n % 3]).text)
        longest = max(longest, n - out)
    assert longest <= 480
