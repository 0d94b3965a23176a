"""Every spelling of a link or an image that a page may follow, and the text around it that stays."""

import pytest

from magistrate.classify.sinks import IMAGE, LINK, LONGEST_TARGET, Sinks
from magistrate.classify.urls import HostList

SINKS = Sinks(HostList(["ok.example", "*.cdn.example"]))

LINKS = [
    '[text](«https://evil.example/a?q=1» "title")',
    "[text](<«https://evil.example/a b»>)",
    "[text](\n  «//evil.example»)",
    "[text](«/\\evil.example»)",
    "[text](«\\\\evil.example/x»)",
    "[text](«https:evil.example»)",
    "[text](«https:/evil.example»)",
    "[text](«HTTPS://EVIL.example»)",
    "[text](«https://ok.example@evil.example/»)",
    "[text](«https://ok.example\\@evil.example»)",
    "[text](«https://ok.example.evil.example»)",
    "[text](«https://%65vil.example»)",
    "[text](«https&colon;//evil.example»)",
    "[text](«&#104;ttps://evil.example»)",
    "[text](«&#x2f;&#x2F;evil.example»)",
    "[text](«h\u200bttps://evil.example»)",
    "[text](«https://ok.example\u200b.evil.example»)",
    "[text](«https\\://evil.example»)",
    "[text](«https://аpple.example»)",
    "[text](«https://evil.example/(a(b))»)",
    "[text](«javascript:alert(1)»)",
    "[text](«data:text/html,hello»)",
    "[text](«mailto:a@evil.example?body=x»)",
    "[text](«vscode://evil.example»)",
    "[text](«https://[::1]/»)",
    "[text](«https://3232235777/»)",
    "<«https://evil.example/x»>",
    "go to «https://evil.example/x», please",
    "go to «www.evil.example».",
    "go to «ｈttps://evil.example» now",
    "go to «https&#58;&#47;&#47;evil.example» now",
    '{"url": "«https://evil.example/x»", "n": 1}',
    "<a href='«https://evil.example»'>x</a>",
    "<a class=x href=«//evil.example»>x</a>",
    '<A HREF = "«ht\ttps://evil.example»">x</A>',
    '<a href="«&#106;avascript:alert(1)»">x</a>',
    "<a ping='«/a https://evil.example»' href='/'>x</a>",
    "![image]\n\n[link](«//evil.example»)",
]  # fmt: skip

IMAGES = [
    "![alt](«https://evil.example/p.png?q=1»)",
    "![a [b]](«//evil.example»)",
    "![a `[` ](«//evil.example»)",
    "![a \\] b](«//evil.example»)",
    "![a\n\u200b\n](«//evil.example»)",
    "[![alt](«//evil.example/p.png»)](/)",
    "[ref]: «https://evil.example/p.png»",
    "[ref]:\n  <«//evil.example»> 'title'",
    "<img src=«//evil.example/p.png»>",
    '<img alt="> <a " src=«//evil.example»>',
    "<img\nsrc\n=\n'«\\\\evil.example»'>",
    "<img srcset='«/a 1x, //evil.example/b 2x»'>",
    '<img src="«data:image/svg+xml,x»">',
    "<video poster=«https://evil.example»>",
    "<input type=image src='«https:evil.example»'>",
    "<link rel=prefetch href=«//evil.example»>",
    '<base href="«https://evil.example»">',
    "<svg><image xlink:href='«//evil.example»'/></svg>",
    '<a style="«background:url(//evil.example)»" href=/>x</a>',
    "<div style='«background: url(\"https://evil.example/\")»'>",
    "<style>p{background:url(«//evil.example»)}</style>",
    "<style>@import '«//evil.example»';</style>",
    "<meta http-equiv=refresh content='«0;url=//evil.example»'>",
    "<iframe src=«https://evil.example»>",
    "<form action=«//evil.example»>",
    "<object data='«//evil.example»'>",
]  # fmt: skip

STAY = [
    "[text](https://ok.example/a?q=1)",
    "[text](https://OK.example./)",
    "![alt](https://a.b.cdn.example/p.png)",
    "[text](#part) [text](/path) [text](../x.md) [text]()",
    '<img src="/local.png" style="width:10px">',
    "see https://ok.example/a_(b), or mailto:x@ok.example",
    "[https://ok.example](https://ok.example)",
    "[tel](tel:+1555) and a ratio 1:2 and C:\\path",
    "if a <b and c == d: x[0](y) # note: done",
    "time 10:30, http is a protocol, www. is a prefix",
    "<a href='https://ok.example/&amp;x=1'>x</a>",
    "",
]  # fmt: skip


def marked(text):
    plain = text.replace("«", "").replace("»", "")
    return plain, (text.find("«"), text.find("»") - 1)


@pytest.mark.requirement("G7", "P3")
@pytest.mark.parametrize(("text", "label"), [(t, LINK) for t in LINKS] + [(t, IMAGE) for t in IMAGES])
def test_a_target_that_leads_away_is_found_in_every_spelling(text, label):
    """The span is the target and nothing else of the text."""
    plain, span = marked(text)
    assert [(t.start, t.end, t.label) for t in SINKS.targets(plain)] == [(*span, label)]


@pytest.mark.parametrize("text", STAY)
def test_what_stays_on_the_list_or_leads_nowhere_is_left_alone(text):
    """Hosts on the list, relative targets, and what only looks like one."""
    assert SINKS.targets(text) == []


def test_a_host_is_allowed_by_its_whole_name_or_below_a_starred_one():
    """A suffix of letters is no domain, and a starred name does not stand for itself."""
    hosts = HostList(["ok.example", "*.cdn.example"])
    assert [hosts.allows(h) for h in ("ok.example", "OK.EXAMPLE.", "a.cdn.example")] == [True] * 3
    assert [hosts.allows(h) for h in ("a.ok.example", "notok.example", "cdn.example", "", ".")] == [False] * 5


@pytest.mark.parametrize("text", ["[x](" + "a" * 5000 + ")", "<img src='" + " " * 5000 + "//evil.example'>"])
def test_a_target_beyond_the_bound_is_not_allowed(text):
    """Nobody can push a host out of sight: what is too long to be waited for leads nowhere."""
    (target,) = SINKS.targets(text)
    assert target.end - target.start == LONGEST_TARGET


def test_entities_that_vanish_do_not_push_a_host_out_of_sight():
    """1,100 tabs as character references are tabs to a browser, and tabs in an address are nothing."""
    assert SINKS.targets("[x](" + "&#9;" * 1100 + "//evil.example)")


@pytest.mark.parametrize(
    "piece", ["[", "![", "](", "<a ", "<a href='", "https:/", "(", "\\", "&", "[x](a", "=", "www."]
)
def test_no_text_takes_more_than_linear_time(piece):
    """Half a megabyte of openers that open nothing is read in a moment."""
    SINKS.targets(piece * (500_000 // len(piece)))
