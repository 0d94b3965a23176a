"""Numbers with letters for digits: ``4lll l1ll 1O00 OOO0``. Cards and accounts by their check digits, a few by form or context."""

import re
from collections.abc import Iterator

from magistrate.classify.codings import (
    LETTERS_AMONG_DIGITS,
    LOOK_ALIKE_DIGITS,
    LOOK_ALIKE_NUMBER,
    LOOK_ALIKES,
    Run,
)
from magistrate.classify.validators import IBAN_LENGTHS

SHORTEST_NUMBER = 9
"""Characters, separators included."""

CONTEXT = 40
"""Characters of the same line before a number that are read with it: what announces it."""

_SIGN = f"[0-9{LOOK_ALIKES}]"
_NUMBER = re.compile(rf"(?<![A-Za-z0-9]){_SIGN}++(?![A-Za-z0-9])(?:[ .-]{_SIGN}++(?![A-Za-z0-9]))*+")
CHECK_DIGITS = rf"(?:[0-9][0-9{LOOK_ALIKES}]|[{LOOK_ALIKES}][0-9])"
"""The two digits behind the country of an account number, one of which at least is one."""

_ACCOUNT = re.compile(
    "(?<![A-Za-z0-9])(?:"
    + "|".join(
        rf"(?:{'|'.join(code for code, own in IBAN_LENGTHS.items() if own == length)})"
        rf"{CHECK_DIGITS}(?:[ -]?[A-Za-z0-9]){{{length - 4}}}"
        for length in sorted(set(IBAN_LENGTHS.values()))
    )
    + ")(?![A-Za-z0-9])",
    re.IGNORECASE,
)
LONGEST_ACCOUNT = 2 * max(IBAN_LENGTHS.values())
"""Characters, with a separator between each."""

_BANK = re.compile("(?i)([A-Z]{2}..[ -]?[A-Z]{4})(.*)", re.DOTALL)
"""An account whose bank's code is letters, as in Britain and the Netherlands: those stay."""

_DIGITS = str.maketrans(LOOK_ALIKES, LOOK_ALIKE_DIGITS)

HINTS = LETTERS_AMONG_DIGITS
TRIGGER = f"(?:{'|'.join(LETTERS_AMONG_DIGITS)})"


def runs(text: str) -> Iterator[Run]:
    """Yield numbers that hold letters for digits, as digits, each behind what stands before it on its line."""
    mark = LOOK_ALIKE_NUMBER.mark
    assert mark is not None
    for number in _NUMBER.finditer(text):
        start, end = number.span()
        if end - start >= SHORTEST_NUMBER and mark.search(text, start, end):
            before = text[max(0, start - CONTEXT) : start].rpartition("\n")[2]
            yield _run(start - len(before), before + number[0].translate(_DIGITS))
    until = 0
    for found in mark.finditer(text):
        if found.start() >= until:
            until = found.end() + LONGEST_ACCOUNT
            for account in _ACCOUNT.finditer(
                text, max(0, found.start() - LONGEST_ACCOUNT), until + LONGEST_ACCOUNT
            ):
                yield from _account_runs(account.start(), account[0])


def _account_runs(origin: int, account: str) -> Iterator[Run]:
    country, rest = account[:2], account[2:]
    yield _run(origin, country + rest.translate(_DIGITS))
    bank = _BANK.fullmatch(account)
    if bank:
        head = country + bank[1][2:4].translate(_DIGITS) + bank[1][4:]
        yield _run(origin, head + bank[2].translate(_DIGITS))


def _run(origin: int, plain: str) -> Run:
    return Run(origin, LOOK_ALIKE_NUMBER, plain.encode("ascii", "replace"))
