"""Markings that people put on documents: confidential, privileged, embargoed, export-controlled.

A marking is words, and a stream releases words. So the value is the last word of the marking alone and the words before it
are context: what was released before it gave nothing away, and the label is known when the marking is complete.
"""

from magistrate.classify.rule import Rule

_LINE = r"(?<![A-Za-z0-9_-])"


def _marking(
    name: str, label: str, trigger: str, pattern: str, good: tuple[str, ...], bad: tuple[str, ...]
) -> Rule:
    return Rule(
        f"marking.{name}",
        f"marking.{label}",
        trigger,
        pattern,
        priority=2,
        score_milli=900,
        reach=128,
        ahead=128,
        good=good,
        bad=bad,
    )


MARKINGS: tuple[Rule, ...] = (
    _marking(
        "confidential", "confidential", r"confidential|distribution|distribute|restricted|(?:eyes|recipients?) only|trade secret",
        rf"{_LINE}(?:(?i:(?:strictly|company|commercial(?:ly)?|highly|business|commercial[ -]in[ -]|private (?:and|&)|proprietary (?:and|&)|(?:classification|sensitivity|marking)[ \t]?[:=])[ \t]{{1,2}})"
        r"(?P<v>(?i:confidential(?:ity)?|confidence|restricted))|(?i:(?:do not|not for)[ \t])(?P<w>(?i:distribut(?:e|ion)))|(?P<x>(?<![A-Z] )(?<![A-Z])CONFIDENTIAL(?:ITY)?))(?![A-Za-z])",
        ("This report is strictly «confidential».", "«CONFIDENTIAL»\n\nMinutes", "Classification: «Restricted»", "Draft - do not «distribute»"),
        ("a confidential informant", "confidentially speaking", "she spoke in strict confidence", "is it restricted?"),
    ),
    _marking(
        "internal", "internal", r"internal (?:use )?only|internal use|not for (?:external|public)",
        rf"{_LINE}(?i:(?:for )?internal (?:use )?(?P<v>only)|(?:classification|sensitivity)[ \t]?[:=][ \t]{{1,2}}(?P<w>internal)|not for (?:external|public) (?P<x>release|use|distribution|circulation))(?![A-Za-z])",
        ("For internal use «only»", "INTERNAL «ONLY» - roadmap", "not for public «release»"),
        ("internal combustion only", "the internal use of memory", "only internal"),
    ),
    _marking(
        "privileged", "privileged", r"privileged|work product",
        rf"{_LINE}(?i:(?:attorney|solicitor|lawyer)[ -]client[ \t](?:communication[ \t])?(?P<v>privileged?)|legally (?P<w>privileged)|privileged (?:and|&) (?P<x>confidential)|attorney work (?P<y>product))(?![A-Za-z])",
        ("Attorney-Client «Privileged»", "this e-mail is legally «privileged»", "PRIVILEGED AND «CONFIDENTIAL»", "attorney work «product»"),
        ("a privileged background", "the privileged user", "work product of the team"),
    ),
    _marking(
        "tlp", "tlp", r"TLP:[ ]?(?:RED|AMBER)",
        rf"{_LINE}TLP:[ ]?(?P<v>RED|AMBER(?:\+STRICT)?)(?![A-Za-z])",
        ("TLP:«RED»", "Shared under TLP:«AMBER+STRICT»", "TLP: «AMBER» until Friday"),
        ("TLP:GREEN", "TLP:CLEAR", "tlp amber"),
    ),
    _marking(
        "mnpi", "mnpi", r"non-?public information|mnpi|inside information|quiet period|embargo",
        rf"{_LINE}(?:(?i:material,? non-?public (?P<v>information)|contains inside (?P<w>information)|under embargo (?P<x>until)|embargoed (?P<y>until))|(?P<z>MNPI))(?![A-Za-z])",
        ("This deck contains material non-public «information».", "«MNPI»: do not trade", "embargoed «until» Monday"),
        ("public information", "an embargo on oil", "mnpi_count = 2"),
    ),
    _marking(
        "export", "export_control", r"ITAR|EAR99|export[ -]controlled|export administration regulations",
        rf"{_LINE}(?:(?P<v>ITAR|EAR99)|(?i:export[ -](?P<w>controlled)|export administration (?P<x>regulations)))(?![A-Za-z0-9])",
        ("subject to «ITAR»", "classified «EAR99»", "export-«controlled» technical data"),
        ("guitar", "export controls were lifted", "EAR98"),
    ),
    _marking(
        "classified", "classified", r"NOFORN|TOP SECRET|SECRET//|VS-NfD|CLASSIFIED|OFFICIAL-SENSITIVE|RESTREINT UE|CUI",
        rf"{_LINE}(?:(?P<v>NOFORN|OFFICIAL-SENSITIVE|VS-NfD|(?:TOP )?SECRET//[A-Z]{{2,10}}|CUI(?://[A-Z-]{{2,12}})?)|TOP (?P<w>SECRET)|RESTREINT (?P<x>UE))(?![A-Za-z])",
        ("«SECRET//NOFORN»", "«OFFICIAL-SENSITIVE»", "TOP «SECRET»"),
        ("top secret recipe", "SECRET_KEY", "CUISINE", "UNCLASSIFIED"),
    ),
)  # fmt: skip
