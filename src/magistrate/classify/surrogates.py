"""Format-preserving tokens: values of the same shape that are keyed, one-way, and nobody's.

For software behind the model that checks the shape of what it gets. Each format with reserved values uses those, so that
a surrogate is never a live card, address or number:

| label | becomes | reserved by |
|---|---|---|
| ``pci.pan`` | ``9999 99…`` of the same length and grouping, Luhn digit right | ISO/IEC 7812-1: no network issues major industry 9 |
| ``pii.email`` | ``u3f9a2b7c01d@example.com`` | RFC 2606 section 3 |
| ``pii.ip`` | an address of 192.0.2.0/24 or 2001:db8::/32 | RFC 5737, RFC 3849 |
| ``pii.ssn`` | ``000-…`` | SSA: area 000 is never assigned |
| ``fin.iban`` | ``XX…`` of the same length and grouping, check digits right | ISO 3166-1: XX is nobody's |
| ``pii.phone`` | ``+999…``, or ``555…`` without a plus | ITU-T E.164: 999 is reserved; NANP: area 555 is not in use |

Any other value keeps its shape: digits become digits, letters letters of the same case, all else stays. Its check digits
are not kept.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterator
from itertools import count

_PUNCTUATED = frozenset({"pii.email", "pii.ip"})
"""Labels whose values differ when their punctuation does."""

Shape = Callable[[str, "Digits"], str]

LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Digits:
    """An endless supply of digits and letters that depends on label, value and key alone."""

    def __init__(self, label: str, value: str, key: bytes) -> None:
        message = f"shape\0{label}\0{_normal(label, value)}".encode("utf-8", "surrogatepass")
        self._seed = hmac.digest(key, message, "sha256")
        self._numbers = self._endless()

    def digit(self) -> str:
        return str(next(self._numbers) % 10)

    def letter(self) -> str:
        return LETTERS[next(self._numbers) % 26]

    def hex(self, length: int) -> str:
        return "".join("0123456789abcdef"[next(self._numbers) % 16] for _ in range(length))

    def _endless(self) -> Iterator[int]:
        for block in count():
            stream = hashlib.shake_256(self._seed + block.to_bytes(4)).digest(256)
            # 64 bits a character: what the division leaves over is too little to matter.
            for byte in range(0, len(stream), 8):
                yield int.from_bytes(stream[byte : byte + 8])


def _normal(label: str, value: str) -> str:
    """Return the form under which two spellings are one value: a card is one card however it is grouped."""
    folded = value.strip().casefold()
    if label in _PUNCTUATED:
        return folded
    return "".join(character for character in folded if character.isalnum())


def surrogate(label: str, value: str, key: bytes) -> str:
    """Return what stands for ``value`` in its own format, under ``key``. The same value, the same surrogate."""
    return _SHAPES.get(label, _shape)(value, Digits(label, value, key))


def _shape(value: str, digits: Digits) -> str:
    out: list[str] = []
    for character in value:
        if character.isdigit():
            out.append(digits.digit())
        elif character.isalpha():
            letter = digits.letter()
            out.append(letter.upper() if character.isupper() else letter)
        else:
            out.append(character)
    return "".join(out)


def _into(value: str, new: str) -> str:
    """Put the characters of ``new`` where letters and digits stand in ``value``."""
    characters = iter(new)
    return "".join(next(characters, "") if character.isalnum() else character for character in value)


def _card(value: str, digits: Digits) -> str:
    length = sum(character.isdigit() for character in value)
    body = "999999" + "".join(digits.digit() for _ in range(length - 7))
    return _into(value, body + _luhn_digit(body))


def _luhn_digit(body: str) -> str:
    total = 0
    for place, character in enumerate(reversed(body)):
        doubled = int(character) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return str(-total % 10)


def _email(_: str, digits: Digits) -> str:
    return f"{digits.letter()}{digits.hex(11)}@example.com"


def _ip(value: str, digits: Digits) -> str:
    if ":" in value:
        return f"2001:db8::{digits.hex(4)}:{digits.hex(4)}"
    return f"192.0.2.{int(digits.hex(2), 16)}"


def _ssn(value: str, digits: Digits) -> str:
    return _into(value, "000" + "".join(digits.digit() for _ in range(6)))


def _iban(value: str, digits: Digits) -> str:
    length = sum(character.isalnum() for character in value)
    account = "".join(digits.digit() for _ in range(length - 4))
    check = 98 - int(f"{account}333300") % 97  # ISO 7064 MOD 97-10; X is 33
    return _into(value, f"XX{check:02d}{account}")


def _phone(value: str, digits: Digits) -> str:
    length = sum(character.isdigit() for character in value)
    first = "999" if value.lstrip().startswith("+") else "555"
    return _into(value, first + "".join(digits.digit() for _ in range(length - 3)))


_SHAPES: dict[str, Shape] = {
    "pci.pan": _card,
    "pii.email": _email,
    "pii.ip": _ip,
    "pii.ssn": _ssn,
    "fin.iban": _iban,
    "pii.phone": _phone,
}
