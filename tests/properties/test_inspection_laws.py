"""Laws of inspection that hold for every text, every split of it and every set of parts."""

import base64
import codecs
import re
from math import ceil, floor

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from magistrate.classify.automaton import Automaton, Expression
from magistrate.classify.codings import HEX, Run
from magistrate.classify.digits import cards as card_numbers
from magistrate.classify.disguised import NAMES, ROTATIONS
from magistrate.classify.encodings import LAYERS, READERS, runs
from magistrate.classify.hit import Hit, merge
from magistrate.classify.inspector import LONGEST_CHAIN, MOST_HELD, Inspector
from magistrate.classify.morse import LETTERS
from magistrate.classify.rule import LONGEST_CONTEXT, VALUE_GROUPS
from magistrate.classify.rules import LONGEST_VALUE, RULES, Rule
from magistrate.classify.scanner import Scanner
from magistrate.classify.views import view_of
from magistrate.exchange.content import Part, PartKind, Role
from magistrate.exchange.finding import FindingStatus

SCANNER = Scanner()
calm = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def plain(text: str) -> str:
    return text.replace("«", "").replace("»", "")


def value(text: str) -> str:
    return text.partition("«")[2].partition("»")[0]


EXAMPLES = [text for rule in RULES for text in (*rule.good, *rule.bad)]
BODY = "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY3zA5bC7d+/" * 12
PEM = "-----BEGIN RSA PRIVATE KEY-----\n" + "\n".join(BODY[n : n + 64] for n in range(0, 480, 64))
WHOLE_PEM = PEM + "\n-----END RSA PRIVATE KEY-----"

values = st.sampled_from([value(text) for rule in RULES for text in rule.good])
examples = st.sampled_from([plain(text) for text in EXAMPLES])
prose = st.sampled_from(
    [
        "the quick brown fox",
        "Call me",
        "my number is",
        "passport",
        "SSN",
        "aws key",
        "password =",
        "see",
        "No.",
        "a",
        "iban",
    ]
)
chains = st.lists(
    st.from_regex(r"[0-9]{1,5}|[A-Z]{1,4}|\+|\(|[0-9]{3}-", fullmatch=True), min_size=1, max_size=24
).map(" ".join) | st.from_regex(r"([0-9][ .-]?){8,60}", fullmatch=True)
cards = st.sampled_from(
    ["4111 1111 1111 1111", "4111111111111111", "3782 822463 10005", "5 5 5 5 5 5 5 5 5 5 5 5 4 4 4 4"]
)
long_tokens = st.builds(
    lambda piece, size, tail: (piece * size)[:size] + tail,
    st.sampled_from(["a", "1", "aB3", "eyJ", "x@", "a.", "-", "=", "sk-", "/", "0123456789"]),
    st.integers(1900, 2300),
    values | st.just(""),
)
keys = st.builds(
    lambda size, end: PEM[:size] + end,
    st.integers(0, len(PEM)),
    st.sampled_from(["", " rest", WHOLE_PEM[len(PEM) :], "—"]),
)
foreign = st.sampled_from(
    [
        "é",
        "—",
        "日本語",
        "Ａ",
        "４",
        "\u200b",
        "а",
        "\ufeff",
        "🙂",
        "\U000e0041",
        "\u00a0",
        "‐",
        "\ud800",
        "\x00",
        "\r\n",
        "&",
        "&#4",
        "%4",
        "\\u00",
    ]
)
WIDE = {chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)} | {
    " ": "\u00a0",
    "-": "\u2011",
    "a": "а",
    "e": "е",
}


@st.composite
def disguised(draw: st.DrawFn) -> str:
    """A value whose characters are swapped for look-alikes or have something invisible between them."""
    text = draw(values | cards)
    every = draw(st.sampled_from([1, 2, 5]))
    hidden = draw(st.sampled_from(["", "\u200b", "\u200b\u200d\ufeff", "\u00ad" * 40]))
    if draw(st.booleans()):
        text = "".join(WIDE.get(c, c) if n % every == 0 else c for n, c in enumerate(text))
    return "".join(c + hidden if n % every == 0 else c for n, c in enumerate(text))


ESCAPES = [
    lambda c: f"%{ord(c):02x}",
    lambda c: f"&#{ord(c)};",
    lambda c: f"&#x{ord(c):x};",
    lambda c: f"\\u{ord(c):04x}",
    lambda c: f"\\x{ord(c):02x}",
]


@st.composite
def encoded(draw: st.DrawFn) -> str:
    """A value in base64, hex or letters spaced out, or with some of its characters escaped; perhaps twice."""
    text = draw(st.sampled_from(["", "to ", "password: ", "x" * 30])) + draw(values | cards)
    for _ in range(draw(st.integers(1, 2))):
        text = draw(
            st.sampled_from(
                [
                    "base64",
                    "url",
                    "hex",
                    "spaced",
                    "escaped",
                    "rot13",
                    "rot47",
                    "rot5",
                    "reversed",
                    "morse",
                    "look-alikes",
                ]
            ).map(lambda how: _coded(text, how))
        )
    return draw(st.sampled_from(["", "A", "ab", "zzz9"])) + text


SIGNS = {letter: signs for signs, letter in LETTERS.items()}
SECRETS = ("hunter2!Zx9", "'k3J9sLq0PzX7'", '"5f7bbc4e3ac7bf84982956430f9449"', "correct-horse", "9x")


@st.composite
def named(draw: st.DrawFn) -> str:
    """A secret under its name, the name or all of it in disguise."""
    name, gives = draw(st.sampled_from(NAMES)), draw(st.sampled_from([": ", "=", " = ", '": ', " => ", ":"]))
    text = name + draw(st.sampled_from(["", "_prod", "2"])) + gives + draw(st.sampled_from(SECRETS))
    text = draw(st.sampled_from([text, text.title(), text.upper()]))
    how = draw(st.sampled_from(["leet", "rot5", "rot13", "rot47", "reversed", "morse", "base64", "spaced"]))
    text = text.replace("o", "0").replace("e", "3").replace("a", "@") if how == "leet" else _coded(text, how)
    return (
        _coded(text, draw(st.sampled_from(["base64", "hex", "reversed", "spaced"])))
        if draw(st.integers(0, 4)) == 0
        else text
    )


def _coded(text: str, how: str) -> str:
    raw = text.encode("utf-8", "replace")
    match how:
        case "base64":
            return base64.b64encode(raw).decode()
        case "url":
            return base64.urlsafe_b64encode(raw).decode().rstrip("=")
        case "hex":
            return raw.hex()
        case "spaced":
            return " ".join(text)
        case "rot13":
            return codecs.encode(text, "rot13")
        case "rot47" | "rot5":
            return text.translate(
                {new: old for old, new in ROTATIONS[25 if how == "rot47" else 4][1].items()}
            )
        case "reversed":
            return text[::-1]
        case "morse":
            return " / ".join(" ".join(SIGNS.get(c, c) for c in word.upper()) for word in text.split(" "))
        case "look-alikes":
            return re.sub(
                r"(?<=\d)[0158]+(?=\d)", lambda m: m[0].translate(str.maketrans("0158", "OlSB")), text
            )
    return "".join(ESCAPES[n % 5](c) if n % 3 == 0 and c.isascii() else c for n, c in enumerate(text))


joints = st.sampled_from(
    ["", " ", "  ", "\n", "\t", ", ", ". ", "\n\n", ": ", "=", "-", '"', "'", "(", "/", ",", " \u00a0"]
)
pieces = (
    disguised()
    | encoded()
    | named()
    | values
    | examples
    | prose
    | chains
    | cards
    | long_tokens
    | keys
    | foreign
    | st.text(max_size=12)
)
texts = st.lists(st.tuples(pieces, joints), max_size=7).map(lambda pairs: "".join(a + b for a, b in pairs))


@st.composite
def cut_texts(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A text, and the same in pieces: any number of them, or one character each."""
    text = draw(texts)
    if draw(st.integers(0, 4)) == 0 and len(text) < 1500:
        return text, list(text)
    if draw(st.booleans()):
        size = draw(st.integers(1, 60))
        return text, [text[n : n + size] for n in range(0, len(text), size)]
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    return text, [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


Seen = tuple[str, int, int, str, str]


def streamed(split: list[str]) -> tuple[str, list[Seen]]:
    """Return what comes out of an inspector, with the findings rebased onto it."""
    inspector: Inspector[str] = Inspector(SCANNER)
    out = ""
    found: list[Seen] = []
    for ready in [*(inspector.feed("c", piece) for piece in split), inspector.close("c")]:
        for finding in ready.findings:
            assert 0 <= finding.start <= finding.end <= len(ready.text)
            found.append(
                (
                    finding.label,
                    finding.start + len(out),
                    finding.end + len(out),
                    finding.detail,
                    finding.view,
                )
            )
        out += ready.text
    return out, found


def whole(text: str) -> list[Seen]:
    return [(f.label, f.start, f.end, f.detail, f.view) for f in SCANNER.scan_text(text)]


@pytest.mark.requirement("P6")
@example(("\\u00ada.lovelace@analytical.org", list("\\u00ada.lovelace@analytical.org")))
@calm
@given(cut_texts())
def test_a_text_in_pieces_is_judged_as_it_is_whole(case: tuple[str, list[str]]) -> None:
    """The released texts concatenate to the text, and their findings are those of the whole: for every cut."""
    text, split = case
    out, found = streamed(split)
    assert out == text
    assert found == whole(text)


@pytest.mark.requirement("P6")
@calm
@given(cut_texts())
def test_no_character_of_a_value_leaves_before_its_finding(case: tuple[str, list[str]]) -> None:
    """At every moment what is out holds whole values only: none that is cut off where the release ends."""
    text, split = case
    inspector: Inspector[str] = Inspector(SCANNER)
    out = 0
    spans = [(start, end) for _, start, end, _, _ in whole(text)]
    for piece in split:
        out += len(inspector.feed("c", piece).text)
        assert not [span for span in spans if span[0] < out < span[1]]


@calm
@given(st.lists(st.tuples(st.sampled_from("ab"), pieces, joints), max_size=8))
def test_channels_do_not_mix(fed: list[tuple[str, str, str]]) -> None:
    """Two texts that arrive in turns are judged as if each had come alone."""
    inspector: Inspector[str] = Inspector(SCANNER)
    out = {"a": "", "b": ""}
    found: dict[str, list[Seen]] = {"a": [], "b": []}
    readies = [(channel, inspector.feed(channel, piece + joint)) for channel, piece, joint in fed]
    for channel, ready in [*readies, *((channel, inspector.close(channel)) for channel in "ab")]:
        at = len(out[channel])
        found[channel] += [(f.label, f.start + at, f.end + at, f.detail, f.view) for f in ready.findings]
        out[channel] += ready.text
    for channel in "ab":
        text = "".join(piece + joint for name, piece, joint in fed if name == channel)
        assert (out[channel], found[channel]) == (text, whole(text))


def hits_of(rule: Rule, text: str) -> list[tuple[str, int, int, int]]:
    """The obvious rule: its pattern over the whole text, without automaton or windows."""
    pattern, at, spans = re.compile(rule.pattern), 0, []
    names = [name for name in VALUE_GROUPS if name in pattern.groupindex]
    while match := pattern.search(text, at):
        group = next((name for name in names if match[name] is not None), 0)
        at = match.start() + 1
        if rule.holds(match, group):
            mark = match.span("m" if "m" in pattern.groupindex else group)
            spans.append((rule.id, *mark, match.end(group)))
            at = max(at, match.end(group))
    return spans


def every_hit(text: str) -> list[tuple[str, int, int, int]]:
    """What every rule and the card search find in one spelling, and how far each had to read."""
    return [hit for rule in RULES for hit in hits_of(rule, text)] + [
        ("card", *span, span[1]) for span in card_numbers(text)
    ]


LABELS = {rule.id: rule.label for rule in RULES} | {"card": "pci.pan"}


def spelled(run: Run) -> list[tuple[int, int]]:
    """Where each character of ``run`` is spelled."""
    coding, count = run.coding, len(run.plain)
    if run.places:
        return list(run.places)
    if coding.backwards:
        return [(run.origin - n - 1, run.origin - n) for n in range(count)]
    edge = [n * coding.coded / coding.plain for n in range(count + 1)]
    return [(run.origin + floor(edge[n]), run.origin + ceil(edge[n + 1]) - coding.gap) for n in range(count)]


def decoded_hits(text: str, layers: int, named: bool = False) -> list[tuple[str, int, int, int]]:
    """What is encoded in ``text``, led back to it: one run and one alignment at a time.

    ``named``: it was a name in disguise that led here, and no second one is looked for.
    """
    found = []
    for run in runs(text, range(len(READERS))):
        coding, places = run.coding, spelled(run)
        if coding.announced and named:
            continue
        for stretch in re.finditer(rb"[\t\n\r\x20-\x7e]{%d,}" % coding.shortest, run.plain):
            inner = stretch[0].decode()
            inside = decoded_hits(inner, layers - 1, named or coding.announced) if layers > 1 else []
            for rule, start, end, extent in every_hit(inner) + inside:
                where = places[stretch.start() + start : stretch.start() + end]
                read = places[stretch.start() + start : stretch.start() + extent]
                first, last = min(place[0] for place in where), max(place[1] for place in where)
                until = max(place[1] for place in read)
                if coding.labels and not LABELS[rule].startswith(coding.labels):
                    continue
                if coding.announced:
                    if start > LONGEST_CONTEXT:
                        continue
                    until = max(until, run.origin) if coding.backwards else until
                elif coding.mark and not coding.mark.search(text, first, last):
                    continue
                if rule == "private_key":
                    last = until = min(last, first + coding.longest)
                if until - first <= coding.longest:
                    found.append((rule, first, last, until))
    return found


def obvious(text: str) -> list[tuple[int, int]]:
    """Which characters every rule, tried everywhere in every spelling, would mark; joined where they overlap."""
    marked = [(start, end) for _, start, end, _ in every_hit(text)]
    view = view_of(text)
    inside = decoded_hits(text if view is None else view.text, LAYERS)
    if view is not None:
        inside += every_hit(view.text)
    marked += [view.span(start, end) if view else (start, end) for _, start, end, _ in inside]
    joined: list[tuple[int, int]] = []
    for start, end in sorted(marked):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


@calm
@given(texts)
def test_automaton_and_windows_change_nothing_but_the_cost(text: str) -> None:
    """The scanner marks what the obvious one marks: no trigger is narrower than its pattern, no window too small."""
    assert [(start, end) for _, start, end, _, _ in whole(text)] == obvious(text)


@calm
@given(
    st.text("0123456789abcdefABCDEF", min_size=20, max_size=90)
    | st.builds(lambda cut, text: cut + text.encode().hex(), st.sampled_from(["", "9", "f0"]), examples),
    st.sampled_from(["", "chatcmpl-", "commit "]),
)
def test_digits_that_spell_no_text_wake_nobody_and_those_that_do_are_read(digits: str, before: str) -> None:
    """The readers are asked for exactly those runs of hexadecimal digits that decoding them would find text in."""
    spells = any(
        re.search(
            rb"[\t\n\r\x20-\x7e]{12}", bytes.fromhex(run[0][shift : shift + (len(run[0]) - shift) // 2 * 2])
        )
        for run in re.finditer("[0-9A-Fa-f]{24,}", before + digits)
        for shift in range(2)
    )
    hexadecimal = next(
        each for each in READERS if any(run.coding is HEX for run in each.runs(b"Hello, world".hex()))
    )
    trigger = Automaton([Expression(0, hexadecimal.trigger, hint=True)])
    found: dict[int, list[int]] = {}
    trigger.scan((before + digits).encode(), found)
    assert bool(found) == spells
    assert (next(hexadecimal.runs(before + digits), None) is not None) == spells


@example(["\ud800", "\x00", "\r\n", "\ufeff"])
@calm
@given(st.lists(texts | st.text(st.characters(codec=None), max_size=40), max_size=5))
def test_inspection_is_total_and_nothing_matches_across_parts(contents: list[str]) -> None:
    """Whatever stands in the parts, each is judged as if it stood alone, with spans inside it."""
    parts = [Part((n,), Role.USER, PartKind.TEXT, text) for n, text in enumerate(contents)]
    found = SCANNER.scan(parts)
    assert all(
        f.status is FindingStatus.FOUND and 0 <= f.start < f.end <= len(contents[f.part]) for f in found
    )
    together = [(f.part, f.label, f.start, f.end) for f in found]
    apart = [(n, f.label, f.start, f.end) for n, text in enumerate(contents) for f in SCANNER.scan_text(text)]
    assert together == apart


hits = st.lists(
    st.builds(
        lambda start, length, priority, rule: (start, start + length, priority, rule),
        st.integers(0, 30),
        st.integers(1, 9),
        st.integers(0, 3),
        st.sampled_from("abc"),
    ),
    max_size=10,
)


@given(hits, st.randoms(use_true_random=False))
def test_merging_covers_the_same_characters_in_any_order(
    given_hits: list[tuple[int, int, int, str]], order: object
) -> None:
    """No overlap is left, no character is uncovered, and the order of discovery does not matter."""

    def merged(several: list[tuple[int, int, int, str]]) -> list[tuple[int, int, str]]:
        return [
            (h.start, h.end, h.rule) for h in merge(Hit(s, e, r, r, p, 900, "raw") for s, e, p, r in several)
        ]

    once = merged(given_hits)
    shuffled = list(given_hits)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert merged(shuffled) == once
    assert all(a[1] <= b[0] for a, b in zip(once, once[1:], strict=False))
    covered = {n for start, end, _, _ in given_hits for n in range(start, end)}
    assert {n for start, end, _ in once for n in range(start, end)} == covered


def test_a_hold_back_beyond_every_bound_fails_closed() -> None:
    """Someone who hides a value in more invisible characters than anybody writes is met by INDETERMINATE, not by a leak."""
    inspector: Inspector[str] = Inspector(SCANNER)
    readies = [inspector.feed("c", "4111\u200b" + "\u200b" * 4000) for _ in range(MOST_HELD // 4000 + 2)]
    statuses = {f.status for ready in readies for f in ready.findings}
    assert FindingStatus.INDETERMINATE in statuses
    first = next(n for n, ready in enumerate(readies) if ready.text)
    assert FindingStatus.INDETERMINATE in {f.status for f in readies[first].findings}
    assert sum(len(ready.text) for ready in readies) >= MOST_HELD


def test_context_beyond_every_bound_fails_closed() -> None:
    """The same for a word that announces a value, pushed away by what nobody sees."""
    inspector: Inspector[str] = Inspector(SCANNER)
    readies = [inspector.feed("c", "phone ")]
    readies += [inspector.feed("c", "\u200b" * 4000) for _ in range(MOST_HELD // 4000 + 2)]
    assert FindingStatus.INDETERMINATE in {f.status for ready in readies for f in ready.findings}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_no_value_is_longer_than_the_inspector_holds_and_the_scanner_looks(rule: Rule) -> None:
    """The hold-back is a bound on every pattern, not a hope; only a private key has a bound of its own."""
    width = re._parser.parse(rule.pattern).getwidth()[1]  # type: ignore[attr-defined]
    assert width <= LONGEST_VALUE or rule.id == "private_key"
    assert width <= rule.ahead
    spaced = [text for text in (value(good) for good in rule.good) if " " in text]
    assert not spaced or len(max(spaced, key=len)) <= LONGEST_CHAIN or rule.id == "private_key"


@pytest.mark.requirement("P6")
def test_prose_is_held_by_a_word_at_most() -> None:
    """Ordinary words go out as soon as they end, also short ones and ones around numbers."""
    inspector: Inspector[str] = Inspector(SCANNER)
    text = (
        "it is in my car now and so on, for 3 days or 12 if the sun is out - we all see it as a gift to us. "
        * 3
    )
    longest = out = 0
    for n, character in enumerate(text, 1):
        out += len(inspector.feed("c", character).text)
        longest = max(longest, n - out)
    assert longest <= 12
