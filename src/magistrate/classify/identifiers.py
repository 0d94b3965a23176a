"""Rules for identifiers that only a word before them or a check digit gives away."""

from magistrate.classify import validators as valid
from magistrate.classify.rule import Rule

END = r"(?![A-Za-z0-9_]|[-./]?[0-9])"
"""The value is over: no letter, and no digit behind one separator."""


def announced(words: str) -> str:
    """Return a pattern for a word that announces a value, up to the value: ``NPI no. ``, ``"dob": "``."""
    return (
        rf"(?i)(?<![A-Za-z])(?:{words})[\"']?"
        r"(?:[ \t]{0,2}(?:is|was|no|nr|num|number|id|code|of|#|:|=|-|\.)){0,3}[ \t\"':#=]{0,4}"
    )


_DAY = r"[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}"
_L = "AC-HJKMNP-RT-Y"
"""The letters of a Medicare number: without those that look like digits."""

IDENTIFIERS: tuple[Rule, ...] = (
    Rule(
        "nino",
        "pii.nino",
        r"(?-i:[0-9]{6}[A-D])",
        r"(?<![A-Za-z0-9])(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][0-9]{6}[A-D](?![A-Za-z0-9])",
        priority=35,
        good=("NI number «AB123456C»", "«JG103759A»", "nino=«CE000001B»"),
        bad=("GB123456A", "AB1234567", "part XAB123456C", "ab123456c"),
    ),
    Rule(
        "birth_date",
        "pii.birth_date",
        r"(?:dob|birth|born)[^0-9\n\x00]{0,40}[0-9]",
        announced("dob|(?:date|day) of birth|birth[ _-]?dat[ea]|birthday|born(?: on)?")
        + rf"(?P<v>{_DAY}){END}",
        valid.date,
        priority=15,
        good=("DOB: «1984-03-12»", "date of birth «12/03/1984»", '"birth_date": "«03.12.1984»"'),
        bad=("due date 2024-03-12", "born in 1984", "dob: 99/99/1984", "birth rate 12.5.1"),
    ),
    Rule(
        "ip",
        "pii.ip",
        r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]",
        r"(?i)(?<![A-Za-z0-9_.-])(?<!version )(?<!version: )(?<!section )(?<!release )(?<!build )(?<!clause )(?<!rfc )"
        r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![A-Za-z0-9_-]|\.[0-9])",
        valid.public_ip,
        priority=5,
        score_milli=800,
        good=("login from «81.2.69.142»", "ip=«212.58.244.70»,", "http://«93.184.216.34»/x"),
        bad=("version 81.2.69.142", "10.2.3.4", "192.168.1.1", "81.2.69.142.5", "section 81.2.69.14", "v81.2.69.142"),
    ),
    Rule(
        "npi",
        "phi.npi",
        r"npi[^0-9\n\x00]{0,40}[0-9]",
        announced("npi(?: number| no)?") + rf"(?P<v>[12][0-9]{{9}}){END}",
        valid.npi,
        priority=45,
        good=("NPI: «1234567893»", "npi number «1245319599»", "NPI #«1679576722»"),
        bad=("NPI: 1234567890", "1234567893", "npi 12345"),
    ),
    Rule(
        "dea",
        "phi.dea",
        r"dea[^0-9\n\x00]{0,40}[0-9]",
        announced("dea(?: number| no)?") + rf"(?P<v>[ABCDEFGHJKLMPRSTUX][A-Z9][0-9]{{7}}){END}",
        valid.dea,
        priority=45,
        good=("DEA: «AB1234563»", "dea number «BB1388568»", "DEA #«FK1234563»"),
        bad=("DEA: AB1234567", "AB1234563", "dea office 12"),
    ),
    Rule(
        "mbi",
        "phi.mbi",
        r"[0-9]-?[A-Z][A-Z0-9][0-9]-?[A-Z][A-Z0-9][0-9]-?[A-Z]{2}[0-9]{2}",
        rf"(?<![A-Za-z0-9-])[1-9][{_L}][{_L}0-9][0-9](-?)[{_L}][{_L}0-9][0-9]\1[{_L}]{{2}}[0-9]{{2}}(?![A-Za-z0-9-])",
        priority=45,
        good=("Medicare «1EG4-TE5-MK73»", "«1EG4TE5MK73»", "mbi «9QA7-WX2-YT44»."),
        bad=("0EG4-TE5-MK73", "1SG4-TE5-MK73", "1EG4TE5-MK73", "1EG4-TE5-MK73X"),
    ),
    Rule(
        "nhs",
        "phi.nhs",
        r"nhs[^0-9\n\x00]{0,40}[0-9]",
        announced("nhs(?: number| no)?") + rf"(?P<v>[0-9]{{3}}([ -]?)[0-9]{{3}}\2[0-9]{{4}}){END}",
        valid.nhs,
        priority=45,
        good=("NHS number: «943 476 5919»", "nhs no «9434765919»", "NHS: «401-023-2137»"),
        bad=("NHS number 943 476 5918", "943 476 5919", "nhs trust 12"),
    ),
    Rule(
        "card.code",
        "pci.cvv",
        r"(?:cvv|cvc|card (?:security|verification))[^\n\x00]{0,40}[0-9]{3}",
        announced("cvv2?|cvc2?|card (?:security|verification) (?:code|value)") + rf"(?P<v>[0-9]{{3,4}}){END}",
        priority=65,
        score_milli=900,
        good=("CVV: «123»", "cvc2 «4821»", "card security code is «907»"),
        bad=("cvv 12", "cvc 12345", "code 123", "cvv 123.4"),
    ),
)  # fmt: skip
