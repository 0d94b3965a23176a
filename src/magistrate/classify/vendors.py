"""Rules for tokens that say whose they are."""

from magistrate.classify import validators as valid
from magistrate.classify.rule import Rule

_OPEN = r"(?<![A-Za-z0-9_/+-])"
_WORD, _HEX, _DASHED = "A-Za-z0-9", "0-9a-f", "A-Za-z0-9_-"
_DRAWN = "7fK9aB3dE5c0hJ2L8mN1pQ4rS6tU7vW9xY3zA5bC0dE2fG8hJ1kM4nP6qR7sT9uV3wX5yZ"
_DRAWN_HEX = "4e07a91bc3d852f6"


def _body(alphabet: str, length: int, turn: int) -> str:
    """Return ``length`` characters that look drawn by chance, for the examples."""
    source = _DRAWN_HEX if alphabet.startswith(_HEX) else _DRAWN.upper() if "a-z" not in alphabet else _DRAWN
    source = source[turn:] + source[:turn]
    return (source * (length // len(source) + 1))[:length]


def _token(vendor: str, prefix: str, alphabet: str, least: int, most: int, sample: str = "") -> Rule:
    """Return the rule for a token: ``prefix`` (a pattern), then ``least`` to ``most`` of ``alphabet``.

    ``sample`` is a prefix that the pattern takes, for the examples.
    """
    name = sample or prefix
    bodies = [_body(alphabet, least, turn) for turn in (0, 3, 5)]
    return Rule(
        f"secret.{vendor}",
        f"secret.{vendor.partition('.')[0]}",
        rf"{prefix}[{alphabet}]{{{min(8, least)}}}",
        rf"{_OPEN}{prefix}[{alphabet}]{{{least},{most}}}(?![A-Za-z0-9_-])",
        valid.not_placeholder,
        priority=100,
        score_milli=990,
        good=(f"«{name}{bodies[0]}»", f"key='«{name}{bodies[1]}»';", f"use «{name}{bodies[2]}», now"),
        bad=(
            f"{name}{bodies[0][: least // 2]}",
            f"x{name}{bodies[1]}",
            f"{name}{'xxxx' * 40}"[: len(name) + least],
        ),
    )


VENDORS: tuple[Rule, ...] = (
    _token("square", "sq0(?:atp|csp|idp)-", _DASHED, 22, 43, "sq0atp-"),
    _token("square.access", "EAAA", _DASHED, 60, 60),
    _token("discord", r"[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.", _DASHED, 27, 38, "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ."),
    _token("grafana", "gl(?:c|sa)_", "A-Za-z0-9+/=_", 32, 200, "glsa_"),
    _token("vault", r"hv[bs]\.", _DASHED, 24, 200, "hvs."),
    _token("docker", "dckr_(?:pat|oat)_", _DASHED, 27, 64, "dckr_pat_"),
    _token("groq", "gsk_", _WORD, 40, 64),
    _token("xai", "xai-", _WORD, 60, 100),
    _token("perplexity", "pplx-", _WORD, 40, 64),
    _token("replicate", "r8_", _WORD, 37, 40),
    _token("notion", "(?:ntn_|secret_)", _WORD, 43, 50, "ntn_"),
    _token("linear", "lin_(?:api|oauth)_", _WORD, 40, 64, "lin_api_"),
    _token("atlassian", "ATATT3", "A-Za-z0-9_=-", 100, 220),
    _token("sentry", "sntry[su]_", "A-Za-z0-9+/=_", 40, 200, "sntrys_"),
    _token("postman", "PMAK-", "0-9a-f-", 59, 59),
    _token("newrelic", "NRAK-", "A-Z0-9", 27, 27),
    _token("rubygems", "rubygems_", _HEX, 48, 48),
    _token("doppler", r"dp\.(?:pt|st|sa|ct)\.", _DASHED, 40, 64, "dp.pt."),
    _token("figma", "fig[du]_", _DASHED, 40, 64, "figd_"),
    _token("planetscale", "pscale_(?:tkn|pw|oauth)_", _DASHED, 32, 64, "pscale_tkn_"),
)  # fmt: skip
