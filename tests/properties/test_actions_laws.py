"""Laws of what is done to findings: restoring, sinks, rewriting; for every text and every split of it."""

import re

import pytest
from chunk_invariance import assert_chunk_invariant
from chunk_invariance.adapters import per_chunk
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.unit.classify.test_sinks import IMAGES, LINKS, STAY

from magistrate.classify.inspector import NOTHING, Inspector, Ready
from magistrate.classify.restorer import Piece, Restorer
from magistrate.classify.rules import RULES
from magistrate.classify.scanner import Scanner
from magistrate.classify.sink_watch import SinkWatch
from magistrate.classify.sinks import Sinks
from magistrate.classify.taxonomy import mask_of
from magistrate.classify.tokens import SHORTEST_ECHO, Echoes, Table, canonical
from magistrate.classify.urls import HostList
from magistrate.exchange.decision import Obligation, ObligationKind
from magistrate.pipeline.obligations import Rewriter

calm = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
SCANNER = Scanner()
HOSTS = HostList(["ok.example", "*.cdn.example"])
EVERYWHERE = frozenset({"text", "tools"})


def cuts_of(text, draw):
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    if draw(st.booleans()):
        size = draw(st.integers(1, 9))
        places = list(range(size, len(text), size))
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


# --- restoring --------------------------------------------------------------------------------------------------

TABLE = Table(b"k" * 32)
VALUES = ["ada@analytical.org", "4111 1111 1111 1111", 'a"b\n', "ADA_x", "é"]
TOKENS = [
    TABLE.token_for(label, v, EVERYWHERE) for label in ("pii.email", "pci.pan", "house.a_b_c") for v in VALUES
]
LONGEST = max(map(len, TOKENS))


def written(draw):
    name = draw(st.sampled_from(TOKENS))
    form = draw(st.sampled_from([str, str.lower, str.upper, lambda t: t.replace("_", r"\_")]))
    return form(name)[: draw(st.sampled_from([None, None, None, 3, 8, -1]))]


@st.composite
def spoken(draw):
    joints = st.sampled_from(["", " ", "**", "s", "\\", "_", "E", "EMAIL", "CARD_", "é", ".", "0", "\n"])
    return "".join(written(draw) + draw(joints) for _ in range(draw(st.integers(0, 6))))


def obvious(text):
    """Every known token, tried everywhere from the left, the longest first."""
    out, at = "", 0
    while at < len(text):
        for name in sorted(TOKENS, key=len, reverse=True):
            match = re.compile("(?i)" + name.replace("_", r"\\?_") + "(?![A-Za-z0-9])").match(text, at)
            if match:
                out += TABLE.entries[name].value
                at = match.end()
                break
        else:
            out += text[at]
            at += 1
    return out


@pytest.mark.requirement("P3", "P6")
@calm
@given(spoken(), st.data())
def test_a_text_in_pieces_is_restored_as_it_is_whole(text, data):
    """And no more is ever held than the longest token can be spelled with."""
    restorer = Restorer(TOKENS, lambda name: TABLE.entries[name].value)
    out, fed = "", ""
    for piece in cuts_of(text, data.draw):
        fed += piece
        out += restorer.feed("c", [Piece(piece)])
        assert obvious(fed).startswith(out[:-1]) or obvious(text).startswith(out)
        assert len(restorer._held.get("c", "")) <= 2 * LONGEST
    out += restorer.close("c")
    assert out == obvious(text)


@calm
@given(st.lists(st.tuples(spoken(), st.booleans()), max_size=4), st.data())
def test_tokens_stay_in_closed_pieces_and_those_do_not_glue_open_ones(pieces, data):
    """A target that leads away keeps its tokens, whatever stands around it."""
    restorer = Restorer(TOKENS, lambda name: TABLE.entries[name].value)
    out = "".join(restorer.feed("c", [Piece(text, is_open)]) for text, is_open in pieces) + restorer.close(
        "c"
    )
    joined, runs = "", ""
    for text, is_open in [*pieces, ("", False)]:
        if is_open:
            runs += text
        else:
            joined, runs = joined + obvious(runs) + text, ""
    assert out == joined


@given(st.sampled_from(TOKENS), st.sampled_from([str.lower, str.upper, lambda t: t.replace("_", r"\_")]))
def test_every_spelling_leads_to_the_token(name, form):
    """The way back from what a model wrote is unique."""
    assert canonical(form(name)) == name


# --- sinks ------------------------------------------------------------------------------------------------------

links = st.sampled_from([text.replace("«", "").replace("»", "") for text in (*LINKS, *IMAGES, *STAY)])
values = st.sampled_from([rule.good[0].replace("«", "").replace("»", "") for rule in RULES if rule.good])
cut_links = st.builds(lambda text, a, b: text[a : len(text) - b], links, st.integers(0, 9), st.integers(0, 9))
marks = st.text("[]()<>!=:/\\&;#\"'` \n\twhtpsurlaimg.@\u200b", max_size=12)
pages = st.lists(links | cut_links | values | marks, max_size=6).map(" ".join) | st.lists(
    cut_links | marks, max_size=8
).map("".join)


class Through:
    """An inspector that holds nothing back and finds nothing: what the watch does by itself shows."""

    def feed(self, channel, text):
        return Ready(text)

    def close(self, channel):
        return NOTHING


def streamed(pieces, inner=None):
    watch = SinkWatch(inner or Inspector(SCANNER), HOSTS)
    out, found = "", []
    for ready in [*(watch.feed("c", piece) for piece in pieces), watch.close("c")]:
        found += [(f.label, f.start + len(out), f.end + len(out)) for f in ready.findings]
        out += ready.text
        yield out, found


@pytest.mark.requirement("P6", "G7")
@calm
@given(pages, st.data())
def test_sinks_are_found_in_pieces_as_in_the_whole_and_before_anything_of_them_leaves(text, data):
    """For every cut: the same targets, and at no moment a part of one outside."""
    whole = sorted(
        [(f.label, f.start, f.end) for f in SCANNER.scan_text(text)]
        + [(t.label, t.start, t.end) for t in Sinks(HOSTS).targets(text)]
    )
    out, found = "", []
    for out, found in streamed(cuts_of(text, data.draw)):
        assert not [span for span in whole if span[1] < len(out) < span[2]]
        assert [span for span in whole if span[2] <= len(out) and span[1] < len(out)] == sorted(found)
    assert out == text
    assert sorted(found) == whole


@pytest.mark.requirement("P6", "G7")
@calm
@given(pages, st.data())
def test_the_watch_needs_no_inspector_to_hold_back_for_it(text, data):
    """The law is its own: over an inspector that releases everything at once it holds as well."""
    whole = [(t.label, t.start, t.end) for t in Sinks(HOSTS).targets(text)]
    out, found = "", []
    for out, found in streamed(cuts_of(text, data.draw), Through()):
        assert not [span for span in whole if span[1] < len(out) < span[2]]
    assert (out, found) == (text, whole)


def test_prose_is_not_held_longer_for_its_links():
    """Where nothing opens a target, the watch adds nothing to what the inspector holds."""
    text = "it is in my car now (and so on), for 3 days: we all see it as a gift! Is it? " * 4
    watch, inspector = SinkWatch(Inspector(SCANNER), HOSTS), Inspector(SCANNER)
    ahead = behind = 0
    for character in text:
        ahead += len(inspector.feed("c", character).text)
        behind += len(watch.feed("c", character).text)
        assert ahead - behind <= 1


# --- everything together, as the public checker sees it ----------------------------------------------------------

MASK_ALL = Rewriter([Obligation(ObligationKind.REDACT, "all", ("*",))], b"k" * 32)
SINKS = Sinks(HOSTS)


def redacted(text):
    """The obvious filter of a whole text."""
    found = SCANNER.scan_text(text)
    marked = [*found, *SINKS.marked(text, 0)]
    return MASK_ALL.text(text, marked)


def spoken_by(ready):
    return MASK_ALL.text(ready.text, ready.findings)


redacted_stream = per_chunk(
    lambda chunk, watch: spoken_by(watch.feed("c", chunk)),
    state=lambda: SinkWatch(Inspector(SCANNER), HOSTS),
    flush=lambda watch: spoken_by(watch.close("c")),
)

SAMPLES = [
    *((rule.id, text) for rule in RULES for text in rule.good if len(text) < 400),
    *(("sink", text) for text in (*LINKS, *IMAGES)),
]


@pytest.mark.requirement("P3", "P6")
@pytest.mark.parametrize(
    ("name", "text"), SAMPLES, ids=[f"{name}-{n}" for n, (name, _) in enumerate(SAMPLES)]
)
def test_every_rule_is_chunk_invariant_for_every_cut_in_two(name, text):
    """`chunk-invariance` tries the whole and each single cut; the value is masked in all of them."""
    plain = text.replace("«", "").replace("»", "")
    assert assert_chunk_invariant(redacted_stream, redacted, plain) == len(plain)
    start = text.find("«")
    if start >= 0 and name != "sink":
        assert text[start + 1 : text.find("»")] not in redacted(plain)


@pytest.mark.parametrize(
    "text", ["4111111111111111", "ada@example.org ", "[x](//e.example)", "AKIAQ3XK7LMN2PWZ"]
)
def test_short_texts_are_chunk_invariant_for_every_split_there_is(text):
    """All 2^(n-1) ways to cut them."""
    assert assert_chunk_invariant(redacted_stream, redacted, text[:13], splits="all") == 2**12
    assert assert_chunk_invariant(redacted_stream, redacted, text, splits=3) > 80


def test_the_checker_would_notice():
    """A filter that looks at each piece alone fails it, so it is worth its green."""
    with pytest.raises(AssertionError):
        assert_chunk_invariant(
            per_chunk(lambda chunk, _: redacted(chunk)), redacted, "pay 4111 1111 1111 1111 x"
        )
    assert mask_of("pci.pan") in redacted("pay 4111 1111 1111 1111 x")


# --- echoes -----------------------------------------------------------------------------------------------------

SAID = [
    "ada@analytical.org",
    "ada@analytical.org.uk",
    "4111 1111 1111 1111",
    "İstanbul",
    "Straße 12",
    "x@y.z",
    "1234",
]


@calm
@example(["ada@analytical.org", "ada@analytical.org.uk"], "ada@analytical.org", 0)
@given(
    st.lists(st.sampled_from(SAID), max_size=5),
    st.lists(st.sampled_from([*SAID, *map(str.upper, SAID), " ", "a", ".", "İ", "-", "é"]), max_size=12).map(
        "".join
    ),
    st.integers(0, 40),
)
def test_echoes_are_found_as_if_every_value_were_tried_at_every_place(values, text, others):
    """Few values and many are looked for in two ways, with one result."""
    table = Table(b"k" * 32)
    for value in [*values, *(f"other{n}@example.org" for n in range(others))]:
        table.token_for("pii.email", value, EVERYWHERE)
    expected, at = [], 0
    while at < len(text):
        tried = sorted((v for v in values if len(v) >= SHORTEST_ECHO), key=len, reverse=True)
        free = at == 0 or not text[at - 1].isalnum()
        hits = [
            v
            for v in tried
            if free and same(text[at : at + len(v)], v) and not text[at + len(v) : at + len(v) + 1].isalnum()
        ]
        if hits:
            expected.append((at, at + len(hits[0])))
        at += len(hits[0]) if hits else 1
    assert [(start, end) for start, end, _ in Echoes(table).find(text)] == expected


def same(one, other):
    return len(one) == len(other) and all(
        a == b or a.lower() == b.lower() for a, b in zip(one, other, strict=True)
    )
