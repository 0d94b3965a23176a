"""Secrets that a name, a header or a command gives away: ``password = "…"``, ``Basic …``, ``IDENTIFIED BY '…'``.

Three questions decide: is the name that of a secret, is the value one that somebody would keep, and is it no placeholder,
no name of something and no code. A password may be a word; a token or key must look drawn by chance.
"""

import re

from magistrate.classify import validators as valid
from magistrate.classify.rule import Rule
from magistrate.classify.wording import counted, drawn, entropy, worded

_PASSWORDS = r"passw(?:or)?d|passwd|passphrase|pwd|\bpass|_pass"
_SECRETS = r"secret|credentials?"
_TOKENS = r"token|oauth_verifier|oauth_signature"
_KEYS = (
    r"api[_-]?key|access[_-]?key|auth[_-]?key|private[_-]?key|(?:signing|encryption|account|master|session|consumer|application"
    r"|app|client|integration|storage|service|license|shared|hmac|jwt|deploy|webhook)[_-]?key"
)
_BEGINS = (
    "pass|_pass|pwd|secret|credential|token|oauth|api|access|auth|private|signing|encryption|account|master|session|consumer|application"
    "|app|client|integration|storage|service|license|shared|hmac|jwt|deploy|webhook"
)
_SUFFIX = r"(?:[_-]?(?:key|token|value|secret|pass|str|string|text|plain|base64|b64|prod(?:uction)?|dev|staging|live|old|new|main|root|admin|db|[0-9]{1,2})){0,2}"
_GIVES = r"[\"']?\]?\)?[ \t]{0,12}(?:=>|:=|={1,3}|:)[ \t]{0,12}(?:b|r|f|u|\[\]byte\()?"
_TRIGGER = rf"(?:{_PASSWORDS}|{_SECRETS}|{_TOKENS}|{_KEYS})[\"'\w\]\)-]{{0,24}}[ \t]{{0,12}}[=:]"

_TEMPLATE = re.compile(r"^%.*%$|^\$|^\{|^<|^@|^[&*]|://|^[A-Za-z_][\w.]*[(\[]")
_HASH = re.compile(r"^(?:\{\w{1,12}\})?\$(?:argon2|2[abxy]|[1567y]|pbkdf2|scrypt)")
_NAMED = re.compile(
    r"(?i)passw|passwd|secret|token|\bkey|_key|key_|user|name|fake|dummy|mock|test|demo|invalid|wrong|foobar|default|none|null|empty"
)


def password(value: str) -> bool:
    """A value somebody would type as a password: no template, no name of something, no word that says `here it goes`."""
    if len(value) < 6 or _unfit(value):
        return False
    if drawn(value):
        return True
    if worded(value):
        return False
    return _kinds(value) >= 2 and entropy(value) >= 2.3 and not counted(value)


def token(value: str) -> bool:
    """A generated value: long enough to keep guessers out, and not worded."""
    return len(value) >= 12 and not _unfit(value) and drawn(value)


def given(match: re.Match[str]) -> bool:
    """What a name is given: a password if the name is that of one, else a token; without quotes, code stands there too."""
    if match["q"] is None:
        return bare(match["w"])
    return password(match["v"]) if match["p"] else token(match["v"])


def bare(value: str) -> bool:
    """A value without quotes around it, where code and prose stand too."""
    if valid.BARE_CODE.search(value) is not None or _unfit(value) or len(value) < 6:
        return False
    return token(value) or (re.search("[0-9]", value) is not None and _kinds(value) >= 3 and password(value))


def basic(value: str) -> bool:
    """RFC 7617 credentials: base64 as it comes out, padded or mixed."""
    return value.endswith("=") or _kinds(value) >= 3 or drawn(value)


def _unfit(value: str) -> bool:
    return (
        not valid.not_placeholder(value)
        or _TEMPLATE.search(value) is not None
        or _HASH.search(value) is not None
        or (_NAMED.search(value) is not None and not _strong(value))
    )


def _strong(value: str) -> bool:
    return drawn(value) or (_kinds(value) == 4 and len(value) >= 8)


def _kinds(value: str) -> int:
    return sum(bool(re.search(kind, value)) for kind in ("[a-z]", "[A-Z]", "[0-9]", "[^A-Za-z0-9]"))


_QUOTED = r"(?P<q>[\"'`])(?P<v>[!#-&(-_a-~]{6,128})(?P=q)"
_BARE = r"(?P<w>[A-Za-z0-9!#$%*+./:=?@^_~-]{6,128})(?=[\s\"'`,;&)\]}<>\\]|\Z)"
_A40 = "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY3zA5bC7d"

CREDENTIALS: tuple[Rule, ...] = (
    Rule(
        "assigned",
        "secret.password",
        _TRIGGER,
        rf"(?i)(?:(?P<p>{_PASSWORDS}|{_SECRETS})|{_TOKENS}|{_KEYS}){_SUFFIX}{_GIVES}(?:{_QUOTED}|{_BARE})",
        judge=given,
        begins=_BEGINS,
        reach=64,
        ahead=320,
        priority=80,
        score_milli=850,
        good=('password = "«hunter2!Zx9»"', "secret_value: '«k3J9sLq0PzX7»'", '"client_secret": "«Qw3rTy-77aB»"', "Passwd: `«v4@go(ubux)»`,",
              "oauth_token: '«750201-Uxi6fBCVMqvjtHWjboFf»'", 'api_key = "«5f7bbc4e3ac7bf84982956430f9449»"', '"refreshToken": "«uD9dTTHsuDfZM4cbUOCdz4oh»"',
              "DB_PASSWORD=«hunter2!Zx9»", "password: «s3cr3t-Pw!44» for now", "export API_KEY=«k3J9sLq0PzX7aaQ2»\n", "x?oauth_token=«pot4r7870ouoyduz»&y=1"),
        bad=('password = os.environ["DB"]', 'password: "${VAULT}"', 'password = "changeme"', "secret: your_secret_here", "secret: 'my_secret'",
             'PASSWORD = "mysql_native_password"', 'password: "$argon2id$v=19$m=65536,t=3,p=2$BpLnfgDsc2WD8F2q"',
             'token = "access_token"', 'api_key="your-api-key-here"', "token: 'next page token'", 'key = "primary_key_name"',
             "password = os.environ.get", "password=<hidden1234>", "access_token = response1.token", "api_key=12345678",
             "password: https://docs.example.org/reset", "token: next_page_token2"),
    ),
    Rule(
        "secret.basic",
        "secret.authorization",
        r"basic[ \t]{1,3}[A-Za-z0-9+/]{8}",
        r"(?:(?i:authorization|auth)[\"'\]\),: \t=!]{1,12}(?:\[\]byte\()?[\"'`]?|[\"'`])Basic[ \t]{1,3}(?P<v>[A-Za-z0-9+/]{8,512}={0,2})(?![A-Za-z0-9+/=])",
        basic,
        reach=64,
        ahead=560,
        priority=84,
        score_milli=900,
        good=("headers['Authorization'] = \"Basic «dXNlcjpwYXNzMTIz»\"", 'if auth != "Basic «xz7vknpmXKGnx77oLH==»"', "'Basic «UG9sbHk6Y3JhY2tlcg==»'"),
        bad=("Basic authentication", "auth: Basic scheme", "Authorization: basic", '"Basic training"'),
    ),
    Rule(
        "secret.bearer",
        "secret.authorization",
        r"bearer[ \t]{1,3}[A-Za-z0-9._~+/-]{16}",
        r"(?i)(?<![A-Za-z])bearer[ \t]{1,3}(?P<v>[A-Za-z0-9._~+/-]{15,1499}[A-Za-z0-9_~+/-]={0,2})(?![A-Za-z0-9_~+/=-])",
        token,
        reach=64,
        ahead=1600,
        priority=83,
        score_milli=900,
        good=("curl -H 'X: Bearer «8f14e45fceea167a5a36dedd4bea2543»'", "Bearer «" + _A40 + "»", "bearer «9qrPZydRbHgIBYDQOR0yCok9qtQGwI»."),
        bad=("Bearer authentication_required", "bearer of bad news, unfortunately", "Bearer YOUR_API_TOKEN_HERE_12345"),
    ),
    Rule(
        "sql.password",
        "secret.password",
        r"(?:identified by|with password|password)[ \t=]{1,4}['\"]",
        r"(?i)(?:identified by|with (?:encrypted )?password|\bpassword)[ \t]{1,3}(?P<q>['\"])(?P<v>[!#-&(-\[\]-~]{4,128})(?P=q)",
        valid.not_placeholder,
        reach=64,
        ahead=192,
        priority=78,
        score_milli=850,
        good=("CREATE USER a IDENTIFIED BY '«kt-tbw»';", "ALTER USER chuck WITH PASSWORD '«Ppclra7en$»'", "PASSWORD '«Vsnv-qVl0hu»'"),
        bad=("IDENTIFIED BY '${PW}'", "identified by 'xxxx'", "password 'abc"),
    ),
    Rule(
        "command.password",
        "secret.password",
        r"(?:pass(?:in|out)|password|passphrase|user)[ =][A-Za-z0-9\"']",
        r"(?:(?<=-passin )|(?<=-passout ))pass:(?P<v>[!#-&(-\[\]-~]{4,128})(?=\s|\Z)",
        valid.not_placeholder,
        reach=32,
        ahead=192,
        priority=77,
        score_milli=850,
        good=("openssl req -passin pass:«foobar7» -subj", "genrsa -passout pass:«Qwerz12» 4096", "x509 -passin pass:«hunter22»"),
        bad=("-passin env:PASS", "-passout pass:$PW", "pass: fine"),
    ),
    Rule(
        "secret.authorization",
        "secret.authorization",
        r"authorization[\"']?[ \t]{0,3}[:=][ \t]{0,3}[\"']?(?:basic|bearer|token|apikey)[ \t]{1,3}[A-Za-z0-9._~+/-]{16}",
        r"(?i)authorization[\"']?[ \t]{0,3}[:=][ \t]{0,3}[\"']?(?:basic|bearer|token|apikey)[ \t]{1,3}(?P<v>[A-Za-z0-9._~+/-]{16,1500}={0,2})(?![A-Za-z0-9._~+/=-])",
        valid.random_looking,
        ahead=1600,
        priority=85,
        good=(
            "Authorization: Bearer «" + _A40 + "»",
            "'authorization': 'Basic «YWRhOmxvdmVsYWNlMTgxNQ==»'",
            "Authorization: token «8f14e45fceea167a5a36dedd4bea2543»",
        ),
        bad=("Authorization: Bearer $TOKEN", "Authorization: Bearer YOUR_API_TOKEN_HERE_12345", "authorization: basic"),
    ),
)  # fmt: skip
"""In the order of the scanner's rules; names of secrets share one trigger."""
