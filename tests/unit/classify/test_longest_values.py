"""A value as long as its rule allows is found from its first character to its last, wherever it stands."""

import pytest

from magistrate.classify.scanner import Scanner

SCANNER = Scanner()
BODY = "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY3zA5bC7d" * 60

LONGEST = {
    "secret.jwt": "«eyJ" + BODY[:600] + ".eyJ" + BODY[:1200] + "." + BODY[:200] + "»",
    "secret.google": "«ya29." + BODY[:1000] + "»",
    "secret.pypi": "«pypi-AgE" + BODY[:1000] + "»",
    "secret.authorization": "Authorization : Bearer   «" + BODY[:1500] + "»",
    "secret.openai": "«sk-proj-" + BODY[:250] + "»",
    "secret.github": "«github_pat_" + BODY[:255] + "»",
    "secret.atlassian": "«ATATT3" + BODY[:220] + "»",
    "secret.connection_string": "postgres://" + "u" * 64 + ":«" + BODY[:128] + "»@h",
    "secret.password": 'client_secret_production"   :=   "«' + BODY[:128] + '»"',
    "secret.private_key": "«-----BEGIN RSA PRIVATE KEY-----\n"
    + BODY * 5
    + "\n-----END RSA PRIVATE KEY-----»",
    "secret.aws": "AWS_secret_access_key   =   '«" + BODY[:40] + "»'",
    "pii.email": "«" + "x" * 64 + "@" + ".".join(["d" * 60] * 3) + ".museum»",
    "fin.iban": "«MT84 MALT 0110 0001 2345 MTLC AST0 01S»",
    "pci.pan": "«" + " ".join("6011000000000000001") + "»",
    "phi.nhs": "NHS number is: «943 476 5919»",
}
AROUND = [("", ""), ("é漢 " * 150, " \U0001f642" * 150), ("a " * 3000, " b" * 3000), ("\ud800 ", "\n\x00")]


@pytest.mark.requirement("P3")
@pytest.mark.parametrize("label", LONGEST)
@pytest.mark.parametrize("around", AROUND, ids=["alone", "wide characters", "long", "odd"])
def test_the_longest_value_is_found_whole(label: str, around: tuple[str, str]) -> None:
    """Neither a window nor the way from bytes to characters cuts it."""
    before, _, rest = LONGEST[label].partition("«")
    value, _, after = rest.partition("»")
    start = len(around[0]) + len(before)
    found = SCANNER.scan_text(around[0] + before + value + after + around[1])
    assert [(f.label, f.start, f.end) for f in found] == [(label, start, start + len(value))]
