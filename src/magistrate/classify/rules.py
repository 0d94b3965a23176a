"""The rules of the always-on tier, as data.

``trigger`` is what the automaton looks for, in bytes: cheap, without look-around, and never narrower than ``pattern``.
``pattern`` finds the value: the group ``v`` if it has one, else the whole match. Look-behind and the words before the
group are context; nothing behind the value may decide more than where it ends. No value is longer than `LONGEST_VALUE`,
and none but a private key holds white space, apart from single separators between groups of digits.
"""

from magistrate.classify import validators as valid
from magistrate.classify.credentials import CREDENTIALS
from magistrate.classify.identifiers import IDENTIFIERS
from magistrate.classify.links import LINKS
from magistrate.classify.markings import MARKINGS
from magistrate.classify.national import NATIONAL
from magistrate.classify.phones import PHONES
from magistrate.classify.rule import (
    KEY_BEGINS,
    KEY_BODY,
    KEY_ENDS,
    LONGEST_CONTEXT,
    LONGEST_KEY,
    LONGEST_VALUE,
    Rule,
)
from magistrate.classify.sources import SOURCES
from magistrate.classify.vendors import VENDORS

__all__ = [
    "CARD_TRIGGER",
    "KEY_BEGINS",
    "KEY_BODY",
    "KEY_ENDS",
    "LONGEST_CONTEXT",
    "LONGEST_KEY",
    "LONGEST_VALUE",
    "RULES",
    "Rule",
]

_OPEN = r"(?<![A-Za-z0-9_/+-])"
_IS = r"[ \t\"']{0,3}(?:is|was|no|nr|num|number|id|#|:|=|-|\.){0,2}[ \t\"':#=]{0,4}"
"""What may stand between a word and the value it announces."""


_BY_LENGTH = "|".join(
    rf"(?:{'|'.join(code for code, own in valid.IBAN_LENGTHS.items() if own == length)})"
    rf"[0-9]{{2}}(?:[ -]?[A-Z0-9]){{{length - 4}}}"
    for length in sorted(set(valid.IBAN_LENGTHS.values()))
)
"""An account number ends where its country says, not where the words after it do."""


def _secret(
    name: str, trigger: str, pattern: str, *good: str, check: bool = True, reach: int = 192, ahead: int = 384
) -> Rule:
    return Rule(
        f"secret.{name}",
        f"secret.{name}",
        trigger,
        pattern,
        valid.not_placeholder if check else None,
        priority=100,
        score_milli=990,
        reach=reach,
        ahead=ahead,
        good=good,
    )


_A40 = "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY3zA5bC7d"

_FIRST: tuple[Rule, ...] = (
    # --- personal data
    Rule(
        "email",
        "pii.email",
        r"[A-Za-z0-9_%+'-]@[A-Za-z0-9]",
        r"[A-Za-z0-9._%+'-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9])",
        valid.email,
        priority=40,
        reach=80,
        ahead=640,
        good=("write to «ada.lovelace@analytical.org» today", "«a+b@mail.example.co.uk»", "<«x_y@z.io»>"),
        bad=("icon@2x.png", "user@localhost", "@decorator", "git@github"),
    ),
    Rule(
        "ssn.dashed",
        "pii.ssn",
        r"[0-9]{3}-[0-9]{2}-[0-9]{4}",
        r"(?<![\w-])[0-8][0-9]{2}-[0-9]{2}-[0-9]{4}(?![\w-])",
        valid.ssn,
        priority=50,
        good=("SSN «536-90-4399»", "my number is «212-09-7694».", "«001-01-0001»"),
        bad=("000-12-3456", "666-12-3456", "123-45-67890", "2023-01-0001"),
    ),
    Rule(
        "ssn.context",
        "pii.ssn",
        r"(?:ssn|social security)[^0-9\n\x00]{0,40}[0-9]",
        r"(?i)\b(?:ssn|social security(?: number| no)?)"
        + _IS
        + r"(?P<v>[0-8][0-9]{2}[ ]?[0-9]{2}[ ]?[0-9]{4})(?![\w-])",
        valid.ssn,
        priority=50,
        good=("SSN: «536904399»", "social security number «536 90 4399»", "ssn=«212097694»"),
        bad=("ssn 000123456", "ssn: 1234", "number 536904399"),
    ),
    Rule(
        "itin",
        "pii.itin",
        r"9[0-9]{2}-[0-9]{2}-[0-9]{4}",
        r"(?<![\w-])9[0-9]{2}-[0-9]{2}-[0-9]{4}(?![\w-])",
        valid.itin,
        priority=50,
        good=("ITIN «912-78-1234»", "«987-65-4321»", "taxpayer «900-70-0001»"),
        bad=("912-45-1234", "912-93-1234", "9912-78-1234"),
    ),
    Rule(
        "passport",
        "pii.passport",
        r"passport[^\n\x00]{0,40}[0-9]",
        r"(?i)\bpassport(?: book| card| id)?" + _IS + r"(?P<v>[A-Z]{0,3}[0-9]{6,9})(?![\w-])",
        priority=30,
        good=("passport number: «512345678»", "US Passport «C12345678»", "Passport No. «A01234567»"),
        bad=("passport photo 35", "passport 12345", "boarding pass 512345678"),
    ),
    Rule(
        "driver_licence",
        "pii.driver_licence",
        r"(?:licen[cs]e|\bdl)[^\n\x00]{0,40}[0-9]",
        r"(?i)\b(?:driver['’]?s?['’]? licen[cs]e|driving licen[cs]e|\bdl(?= ?(?:#|no|number|:)))"
        + _IS
        + r"(?P<v>[A-Z]{0,2}[0-9]{3,14}(?:-[0-9]{2,4}){0,3})(?![\w-])",
        priority=30,
        good=("driver's license: «D1234567»", "Driver license number «F255-9215-0094»", "DL# «S9998881»"),
        bad=("licence MIT 2024", "license plate", "driver's license fee 20"),
    ),
    Rule(
        "mrn",
        "phi.mrn",
        r"(?:mrn|medical (?:record|file)|patient (?:id|number|no))[^\n\x00]{0,40}[0-9]",
        r"(?i)\b(?:mrn|medical (?:record|file)(?: number| no)?|patient (?:id|mrn|number|no))"
        + _IS
        + r"(?P<v>[A-Z]{0,6}[-_]?[0-9]{5,12}[A-Z]?)(?![\w-])",
        priority=45,
        good=(
            "MRN: «84736251»",
            "Medical file #«MXC-438220»",
            "medical record number «A1234567»",
            "Patient ID «0012345»",
        ),
        bad=("mrn pending", "patient id: none", "medical record 12"),
    ),
    # --- cards and accounts (digit runs are taken apart by `digits`, see scanner)
    Rule(
        "iban",
        "fin.iban",
        r"(?:^|[^A-Za-z0-9])[A-Z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){4}",
        r"(?i)(?<![A-Z0-9])(?=[A-Z]{2}[0-9]{2})(?:" + _BY_LENGTH + r")(?![A-Z0-9])",
        valid.iban,
        priority=60,
        reach=16,
        ahead=80,
        apart=True,
        good=(
            "pay to «DE89 3704 0044 0532 0130 00»",
            "«GB29NWBK60161331926819»",
            "iban «fr1420041010050500013m02606»",
            "to «GB29 NWBK 6016 1331 9268 19» by noon",
            "«MT84 MALT 0110 0001 2345 MTLC AST0 01S» is ours",
        ),
        bad=("DE88 3704 0044 0532 0130 00", "AB12 3456 7890 1234", "version V12 34567890123456"),
    ),
    # --- secrets
    _secret(
        "aws",
        r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}",
        _OPEN + r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])",
        "id «AKIAQ3XK7LMN2PWZ5RTV» in use",
        "«ASIAQ3XK7LMN2PWZ5RTV»",
        "aws_access_key_id=«AKIAZ7Q2W3E4R5T6Y7U2»",
    ),
    Rule(
        "aws.secret",
        "secret.aws",
        r"(?:aws|secret)[^\x00]{0,64}[A-Za-z0-9/+]{16}",
        r"(?i)(?:aws[a-z_ -]{0,20}|secret[_ -]?access[_ -]?)(?:key|secret)[\"']?\s{0,3}(?:=|:|=>|is)\s{0,3}[\"']?(?P<v>(?-i:[A-Za-z0-9/+]{40}))(?![A-Za-z0-9/+=])",
        valid.random_looking,
        priority=100,
        reach=112,
        ahead=112,
        good=(
            f"aws_secret_access_key = «{_A40}»",
            f'"secretAccessKey": "x" AWS_SECRET_KEY="«{_A40}»"',
            f"aws secret is «{_A40}»",
        ),
        bad=("aws_secret_access_key = ${AWS_SECRET}", f"commit {_A40}", "aws key none"),
    ),
    _secret(
        "github",
        r"gh[pousr]_[A-Za-z0-9]{20}|github_pat_[A-Za-z0-9]{10}",
        _OPEN + r"(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{40,255})(?![A-Za-z0-9_])",
        "«ghp_" + _A40[:36] + "»",
        "token «github_pat_11" + _A40 + "»",
        "«gho_" + _A40[:36] + "»",
    ),
    _secret(
        "gitlab",
        r"gl(?:pat|ptt|dt|rt|soat|cbt)-[A-Za-z0-9_-]{10}",
        _OPEN + r"gl(?:pat|ptt|dt|rt|soat|cbt)-[A-Za-z0-9_-]{20,64}(?![A-Za-z0-9_-])",
        "«glpat-aB3dE5fG7hJ9kL1mN2pQ»",
        "x «gldt-aB3dE5fG7hJ9kL1mN2pQ»",
        "«glrt-aB3dE5fG7hJ9kL1mN2pQ»",
    ),
    _secret(
        "slack",
        r"xox[abeoprs]-[A-Za-z0-9-]{10}|xapp-[0-9]|hooks\.slack\.com/services/T",
        _OPEN
        + r"(?:xox[abeoprs]-[A-Za-z0-9-]{10,250}|xapp-[0-9]-[A-Za-z0-9-]{20,250}|hooks\.slack\.com/services/T[A-Za-z0-9_/]{20,80})(?![A-Za-z0-9-])",
        "«xoxb-123456789012-aB3dE5fG7hJ9»",
        "«xoxp-1234-5678-90ab-cdef12345678»",
        "https://«hooks.slack.com/services/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»".replace(
            "https://«", "x «"
        ),
    ),
    _secret(
        "stripe",
        r"(?:sk|rk|whsec)_(?:live|test|prod)?_?[A-Za-z0-9+/=]{10}",
        _OPEN
        + r"(?:(?:sk|rk)_(?:live|test|prod)_[A-Za-z0-9]{16,128}|whsec_[A-Za-z0-9+/=]{24,64})(?![A-Za-z0-9])",
        "«sk_live_" + _A40[:24] + "»",
        "«rk_test_" + _A40[:24] + "»",
        "«whsec_" + _A40[:32] + "»",
    ),
    _secret(
        "google",
        r"AIza[A-Za-z0-9_-]{10}|GOCSPX-[A-Za-z0-9_-]{10}|ya29\.[A-Za-z0-9_-]{10}",
        _OPEN
        + r"(?:AIza[A-Za-z0-9_-]{35}|GOCSPX-[A-Za-z0-9_-]{28}|ya29\.[A-Za-z0-9_-]{20,1000})(?![A-Za-z0-9_-])",
        "«AIzaSy" + _A40[:33] + "»",
        "«GOCSPX-" + _A40[:28] + "»",
        "«ya29." + _A40 + "»",
        ahead=1024,
    ),
    _secret(
        "azure",
        r"AccountKey=[A-Za-z0-9+/]{20}|[A-Za-z0-9]{3}8Q~|SharedAccessKey=[A-Za-z0-9+/]{20}",
        r"(?:(?<=AccountKey=)|(?<=SharedAccessKey=))[A-Za-z0-9+/]{40,90}={0,2}(?![A-Za-z0-9+/=])|"
        + _OPEN
        + r"[A-Za-z0-9]{3}8Q~[A-Za-z0-9_.~-]{31,34}(?![A-Za-z0-9_.~-])",
        "AccountName=x;AccountKey=«" + _A40 * 2 + "123456==»;",
        "«abc8Q~" + _A40[:34] + "»",
        "SharedAccessKey=«" + _A40 + "123=»",
    ),
    _secret(
        "openai",
        r"sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{16}",
        _OPEN + r"sk-(?!ant-)(?:proj-|svcacct-|admin-|None-)?[A-Za-z0-9_-]{20,256}(?![A-Za-z0-9_-])",
        "«sk-proj-" + _A40 * 2 + "»",
        "key «sk-" + _A40 + "»",
        "«sk-svcacct-" + _A40 + "»",
    ),
    _secret(
        "anthropic",
        r"sk-ant-[A-Za-z0-9_-]{10}",
        _OPEN + r"sk-ant-[A-Za-z0-9_-]{20,256}(?![A-Za-z0-9_-])",
        "«sk-ant-api03-" + _A40 * 2 + "»",
        "x «sk-ant-admin01-" + _A40 + "»",
        "«sk-ant-" + _A40 + "»",
    ),
    _secret(
        "huggingface",
        r"hf_[A-Za-z]{20}",
        _OPEN + r"hf_[A-Za-z]{30,64}(?![A-Za-z0-9])",
        "«hf_abCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGh»",
        "t=«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»",
        "«hf_ZxCvBnMaSdFgHjKlQwErTyUiOpZxCvBn»",
    ),
    _secret(
        "twilio",
        r"(?:SK|AC)[0-9a-f]{32}",
        _OPEN + r"(?:SK|AC)[0-9a-f]{32}(?![A-Za-z0-9])",
        "«SK0123456789abcdef0123456789abcdef»",
        "«ACfedcba9876543210fedcba9876543210»",
        "sid «SK00112233445566778899aabbccddeeff»",
    ),
    _secret(
        "sendgrid",
        r"SG\.[A-Za-z0-9_-]{10}",
        _OPEN + r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{30,64}(?![A-Za-z0-9_-])",
        "«SG." + _A40[:22] + "." + _A40 + "abc»",
        "k «SG." + _A40[:20] + "." + _A40 + "»",
        "«SG." + _A40[:16] + "." + _A40 + "»",
    ),
    _secret(
        "mailgun",
        r"key-[0-9a-f]{32}",
        _OPEN + r"key-[0-9a-f]{32}(?![A-Za-z0-9])",
        "«key-0123456789abcdef0123456789abcdef»",
        "mail «key-ffeeddccbbaa99887766554433221100»",
        "«key-00112233445566778899aabbccddeeff»",
    ),
    _secret(
        "npm",
        r"npm_[A-Za-z0-9]{20}",
        _OPEN + r"npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])",
        "«npm_" + _A40[:36] + "»",
        "//r/:_authToken=«npm_" + _A40[4:] + "»",
        "x «npm_" + _A40[2:38] + "»",
    ),
    _secret(
        "pypi",
        r"pypi-AgE[A-Za-z0-9_-]{10}",
        _OPEN + r"pypi-AgE[A-Za-z0-9_-]{50,1000}(?![A-Za-z0-9_-])",
        "«pypi-AgEIcHlwaS5vcmc" + _A40 * 2 + "»",
        "p «pypi-AgENdGVzdC5weXBp" + _A40 * 2 + "»",
        "«pypi-AgE" + _A40 * 2 + "»",
        ahead=1024,
    ),
    _secret(
        "digitalocean",
        r"do[opr]_v1_[0-9a-f]{20}",
        _OPEN + r"do[opr]_v1_[0-9a-f]{64}(?![A-Za-z0-9])",
        "«dop_v1_" + "0123456789abcdef" * 4 + "»",
        "«doo_v1_" + "fedcba9876543210" * 4 + "»",
        "x «dor_v1_" + "00112233445566aa" * 4 + "»",
    ),
    _secret(
        "databricks",
        r"dapi[0-9a-f]{32}",
        _OPEN + r"dapi[0-9a-f]{32}(?:-[0-9])?(?![A-Za-z0-9])",
        "«dapi0123456789abcdef0123456789abcdef»",
        "«dapiffeeddccbbaa99887766554433221100-2»",
        "t «dapi00112233445566778899aabbccddeeff»",
    ),
    _secret(
        "shopify",
        r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{20}",
        _OPEN + r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}(?![A-Za-z0-9])",
        "«shpat_0123456789abcdef0123456789abcdef»",
        "«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»",
        "s «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»",
    ),
    _secret(
        "telegram",
        r"[0-9]{8,10}:AA[A-Za-z0-9_-]{20}",
        _OPEN + r"[0-9]{8,10}:AA[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])",
        "«123456789:AA" + _A40[:33] + "»",
        "bot «987654321:AA" + _A40[5:38] + "»",
        "«1234567890:AA" + _A40[7:] + "»",
    ),
    _secret(
        "jwt",
        r"eyJ[A-Za-z0-9_-]{8,}\.eyJ",
        _OPEN + r"eyJ[A-Za-z0-9_-]{10,600}\.eyJ[A-Za-z0-9_-]{10,1200}\.[A-Za-z0-9_-]{0,200}(?![A-Za-z0-9_-])",
        "«eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ." + _A40 + "»",
        "bearer «eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJib2IifQ." + _A40 + "»",
        "«eyJhbGciOiJub25lIn0x.eyJzdWIiOiJhZGEifQ.»",
        check=False,
        reach=720,
        ahead=2048,
    ),
    _secret(
        "magistrate",
        r"mag-[a-z0-9-]{12}",
        _OPEN + r"mag-(?:admin-)?[a-z2-9]{12}-[A-Za-z0-9_-]{40,48}(?![A-Za-z0-9_-])",
        "«mag-abcdefghjkmn-" + _A40 + "abc»",
        "k «mag-pqrstuvwxyz2-" + _A40 + "xyz»",
        "«mag-admin-abcdefghjkmn-" + _A40 + "abc»",
    ),
    Rule(
        "private_key",
        "secret.private_key",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY",
        rf"{KEY_BEGINS}(?:{KEY_BODY}?{KEY_ENDS}|[A-Za-z0-9+/=\s\\:,]{{0,{LONGEST_KEY}}})",
        priority=110,
        ahead=LONGEST_KEY + 256,
        score_milli=1000,
        good=(
            "«-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----»\nrest",
            "«-----BEGIN OPENSSH PRIVATE KEY-----\\nb3Blb\\n-----END OPENSSH PRIVATE KEY-----»",
            "«-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQdGBF\n-----END PGP PRIVATE KEY BLOCK-----»",
        ),
        bad=(
            "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
            "BEGIN RSA PRIVATE KEY",
            "-----BEGIN CERTIFICATE-----",
        ),
    ),
    Rule(
        "url_password",
        "secret.connection_string",
        r"://[^\s/@:\x00]{0,64}:[^\s/@\x00]{3,128}@",
        r"(?<=://)(?!user(?:name)?:pass(?:word)?@)[A-Za-z0-9._~%!$&'*+;=-]{0,64}:(?P<v>[A-Za-z0-9._~%!$&'()*+,;=^#?-]{3,128})(?=@[A-Za-z0-9\[])",
        valid.not_placeholder,
        reach=224,
        priority=90,
        good=(
            "postgres://app:«s3cr3tpw»@db:5432/x",
            "https://bob:«hunter22»@host/",
            "redis://:«p4ssw0rdz»@cache:6379",
        ),
        bad=("https://host:8080/path@x", "postgres://app:${PW}@db/x", "mailto:a@b.c"),
    ),
)

RULES: tuple[Rule, ...] = (
    _FIRST + PHONES + IDENTIFIERS + NATIONAL + VENDORS + CREDENTIALS + MARKINGS + SOURCES + LINKS
)
"""Every rule but the card number's, which needs more than a pattern: see `digits`."""

CARD_TRIGGER = r"[0-9](?:[ \t.\n-]?[0-9]){11}"
"""Twelve digits with at most one separator between two of them."""
