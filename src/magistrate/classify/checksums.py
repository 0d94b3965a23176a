"""Check digits of national and technical identifiers: what tells a number from any other run of digits.

Each takes a value as written and answers whether it is one; separators do not count. The sources are named one by one.
"""

import hashlib
import re
from collections.abc import Sequence

_VERHOEFF_D = tuple(
    tuple((row + column) % 5 if row < 5 > column
          else 5 + (row + column) % 5 if row < 5
          else 5 + (row - column) % 5 if column < 5
          else (row - column) % 5 for column in range(10))
    for row in range(10)
)  # fmt: skip
_VERHOEFF_P = tuple(tuple(int(c) for c in row) for row in (
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
))  # fmt: skip
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VIN = dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ0123456789", [*range(1, 9), *range(1, 6), 7, 9, *range(2, 10), *range(10)], strict=True))  # fmt: skip
_MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FISCAL_ODD = dict(zip(
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
    strict=True,
))  # fmt: skip


def digits_of(value: str) -> list[int]:
    return [int(c) for c in value if c in "0123456789"]


def _weighted(digits: Sequence[int], weights: Sequence[int]) -> int:
    return sum(d * w for d, w in zip(digits, weights, strict=False))


def _varied(digits: Sequence[int]) -> bool:
    """Not one digit over and over: many check digits accept that, and no office issues it."""
    return len(set(digits)) > 1


def _day(month: int, day: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= _MONTH_DAYS[month - 1]


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1 annex B."""
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit)
        if index % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0


def luhn_varied(value: str) -> bool:
    """A number whose only check is Luhn's: Canada's SIN, Greece's AMKA, Israel's identity number, an IMEI."""
    digits = digits_of(value)
    return _varied(digits) and luhn("".join(map(str, digits)))


def verhoeff(value: str) -> bool:
    """India's Aadhaar (UIDAI): twelve digits, the first 2 to 9, Verhoeff's scheme."""
    digits, check = digits_of(value), 0
    for index, digit in enumerate(reversed(digits)):
        check = _VERHOEFF_D[check][_VERHOEFF_P[index % 8][digit]]
    return check == 0 and digits[0] > 1 and _varied(digits)


def aba(value: str) -> bool:
    """US routing number (ABA): weights 3, 7, 1 modulo 10, and a Federal Reserve prefix."""
    d = digits_of(value)
    prefix = d[0] * 10 + d[1]
    issued = 1 <= prefix <= 12 or 21 <= prefix <= 32 or 61 <= prefix <= 72 or prefix == 80
    return issued and _weighted(d, (3, 7, 1) * 3) % 10 == 0


def tfn(value: str) -> bool:
    """Australian tax file number: weights modulo 11."""
    d = digits_of(value)
    return _varied(d) and _weighted(d, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def medicare_au(value: str) -> bool:
    """Australian Medicare card: the ninth digit checks the first eight, which begin with 2 to 6."""
    d = digits_of(value)
    return 2 <= d[0] <= 6 and _weighted(d[:8], (1, 3, 7, 9) * 2) % 10 == d[8]


def nir(value: str) -> bool:
    """France (INSEE): 97 less the number modulo 97; Corsica's 2A and 2B count as 19 and 18."""
    plain = re.sub(r"[ .-]", "", value).upper().replace("2A", "19").replace("2B", "18")
    return len(plain) == 15 and plain.isdigit() and 97 - int(plain[:13]) % 97 == int(plain[13:])


def steuer_id(value: str) -> bool:
    """Germany (BZSt): ISO 7064 modulo 11, 10; one of the first ten digits occurs twice or three times."""
    d = digits_of(value)
    repeated = [c for c in (d[:10].count(n) for n in range(10)) if c > 1]
    return d[0] != 0 and len(repeated) == 1 and repeated[0] <= 3 and _mod_11_10(d)


def oib(value: str) -> bool:
    """Croatia: ISO 7064 modulo 11, 10."""
    d = digits_of(value)
    return _varied(d) and _mod_11_10(d)


def _mod_11_10(d: Sequence[int]) -> bool:
    product = 10
    for digit in d[:-1]:
        product = ((digit + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == d[-1]


def dni(value: str) -> bool:
    """Spain, DNI and NIE: the letter is the number modulo 23; a leading X, Y or Z stands for 0, 1 or 2."""
    plain = re.sub(r"[ .-]", "", value).upper()
    number = plain[0].translate(str.maketrans("XYZ", "012")) + plain[1:-1]
    return len(number) == 8 and "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == plain[-1]


def codice_fiscale(value: str) -> bool:
    """Italy: the last letter checks the fifteen characters before it."""
    plain = value.upper()
    total = sum(_FISCAL_ODD[c] for c in plain[:15:2]) + sum(
        int(c) if c.isdigit() else ord(c) - 65 for c in plain[1:15:2]
    )
    return chr(65 + total % 26) == plain[15]


def nif_pt(value: str) -> bool:
    """Portugal: weights 9 to 2 modulo 11."""
    d = digits_of(value)
    check = 11 - _weighted(d[:8], range(9, 1, -1)) % 11
    return d[0] in {1, 2, 3, 5, 6, 8, 9} and (0 if check > 9 else check) == d[8] and _varied(d)


def bsn(value: str) -> bool:
    """Netherlands: the eleven test, the last digit weighing minus one."""
    d = digits_of(value)
    return len(d) == 9 and _varied(d) and _weighted(d, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def rrn_be(value: str) -> bool:
    """Belgium: 97 less the number modulo 97, with a 2 in front for those born since 2000."""
    d = "".join(map(str, digits_of(value)))
    head, check = d[:9], int(d[9:])
    return int(d[2:4]) % 20 <= 12 and any(97 - int(lead + head) % 97 == check for lead in ("", "2"))


def pesel(value: str) -> bool:
    """Poland: weights 1, 3, 7, 9 modulo 10; the month carries the century."""
    d = digits_of(value)
    month = (d[2] * 10 + d[3]) % 20
    return _day(month, d[4] * 10 + d[5]) and _weighted(d, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def personnummer(value: str) -> bool:
    """Sweden: a date (days above 60 for coordination numbers) and Luhn over the last ten digits."""
    d = digits_of(value)[-10:]
    return _day(d[2] * 10 + d[3], (d[4] * 10 + d[5]) % 60 or 60) and luhn("".join(map(str, d)))


def hetu(value: str) -> bool:
    """Finland: a date and a character for the number modulo 31."""
    plain = value.upper()
    number = int(plain[:6] + plain[7:10])
    return (
        _day(int(plain[2:4]), int(plain[:2])) and "0123456789ABCDEFHJKLMNPRSTUVWXY"[number % 31] == plain[10]
    )


def cpr(value: str) -> bool:
    """Denmark: a date; numbers issued since 2007 carry no check digit."""
    d = digits_of(value)
    return _day(d[2] * 10 + d[3], d[0] * 10 + d[1])


def fodselsnummer(value: str) -> bool:
    """Norway: a date (D-numbers add 40 to the day) and two check digits modulo 11."""
    d = digits_of(value)
    first = 11 - _weighted(d[:9], (3, 7, 6, 1, 8, 9, 4, 5, 2)) % 11
    second = 11 - _weighted(d[:10], (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return _day(d[2] * 10 + d[3], (d[0] * 10 + d[1]) % 40) and (first % 11, second % 11) == (d[9], d[10])


def ahv(value: str) -> bool:
    """Switzerland: 756, and the check digit of EAN-13."""
    d = digits_of(value)
    return len(d) == 13 and _weighted(d, (1, 3) * 7) % 10 == 0


def svnr(value: str) -> bool:
    """Austria: the fourth digit checks the others; the last six are a date."""
    d = digits_of(value)
    return d[0] != 0 and _weighted(d, (3, 7, 9, 0, 5, 8, 4, 2, 1, 6)) % 11 == d[3]


def pps(value: str) -> bool:
    """Ireland: weights 8 to 2, a second letter weighing 9, modulo 23."""
    plain = value.upper()
    extra = ord(plain[8]) - 64 if len(plain) > 8 and plain[8] != "W" else 0
    return (
        "WABCDEFGHIJKLMNOPQRSTUV"[(_weighted(digits_of(plain[:7]), range(8, 1, -1)) + 9 * extra) % 23]
        == plain[7]
    )


def cpf(value: str) -> bool:
    """Brazil: two check digits modulo 11."""
    d = digits_of(value)
    return _varied(d) and all(-_weighted(d[:n], range(n + 1, 1, -1)) % 11 % 10 == d[n] for n in (9, 10))


def rut(value: str) -> bool:
    """Chile: weights 2 to 7 from the right, modulo 11, K for ten."""
    plain = re.sub(r"[.\- ]", "", value).upper()
    check = -_weighted([int(c) for c in reversed(plain[:-1])], (2, 3, 4, 5, 6, 7) * 2) % 11
    return ("K" if check == 10 else str(check)) == plain[-1]


def cuit(value: str) -> bool:
    """Argentina: weights modulo 11, the prefix of a person or a firm."""
    d = digits_of(value)
    check = -_weighted(d[:10], (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return d[0] * 10 + d[1] in {20, 23, 24, 27, 30, 33, 34} and check == d[10]


def curp(value: str) -> bool:
    """Mexico: the last digit checks the seventeen characters before it."""
    alphabet = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"
    total = sum(alphabet.index(c) * w for c, w in zip(value.upper()[:17], range(18, 1, -1), strict=True))
    return str(-total % 10) == value[17]


def resident_cn(value: str) -> bool:
    """China (GB 11643): a date and ISO 7064 modulo 11-2."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    check = "10X98765432"[_weighted(digits_of(value[:17]), weights) % 11]
    return (
        value[6:8] in {"19", "20"}
        and _day(int(value[10:12]), int(value[12:14]))
        and check == value[17].upper()
    )


def rrn_kr(value: str) -> bool:
    """South Korea: a date; numbers issued since October 2020 carry no check digit."""
    d = digits_of(value)
    return _day(d[2] * 10 + d[3], d[4] * 10 + d[5])


def my_number(value: str) -> bool:
    """Japan: weights modulo 11, both small remainders giving 0."""
    d = digits_of(value)
    rest = _weighted(d[10::-1], (2, 3, 4, 5, 6, 7, 2, 3, 4, 5, 6)) % 11
    return (0 if rest <= 1 else 11 - rest) == d[11] and _varied(d)


def nric(value: str) -> bool:
    """Singapore: weights modulo 11, a table of letters for each series."""
    series = value[0].upper()
    total = (
        _weighted(digits_of(value), (2, 7, 6, 5, 4, 3, 2)) + {"S": 0, "F": 0, "T": 4, "G": 4, "M": 3}[series]
    )
    letters = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "M": "XWUTRQPNJLK"}.get(series, "XWUTRQPNMLK")
    place = 10 - total % 11 if series == "M" else total % 11
    return letters[place] == value[8].upper()


def hkid(value: str) -> bool:
    """Hong Kong: weights 9 to 1 modulo 11, a missing first letter counting 36."""
    plain = re.sub(r"[()]", "", value).upper()
    plain = plain if plain[1].isalpha() else " " + plain
    numbers = [36 if c == " " else ord(c) - 55 if c.isalpha() else int(c) for c in plain[:8]]
    return "0123456789A"[-_weighted(numbers, range(9, 1, -1)) % 11] == plain[8]


def identity_tw(value: str) -> bool:
    """Taiwan: the letter as two digits, weights modulo 10."""
    letter = "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(value[0].upper()) + 10
    d = [letter // 10, letter % 10, *digits_of(value[1:])]
    return _weighted(d, (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1)) % 10 == 0


def identity_za(value: str) -> bool:
    """South Africa: a date and Luhn."""
    d = digits_of(value)
    return _day(d[2] * 10 + d[3], d[4] * 10 + d[5]) and d[10] <= 2 and luhn("".join(map(str, d)))


def mykad(value: str) -> bool:
    """Malaysia: a date and a place of birth that is in use."""
    d = digits_of(value)
    place = d[6] * 10 + d[7]
    return _day(d[2] * 10 + d[3], d[4] * 10 + d[5]) and (
        1 <= place <= 16 or 21 <= place <= 68 or 71 <= place <= 93
    )


def identity_th(value: str) -> bool:
    """Thailand: weights 13 to 2 modulo 11."""
    d = digits_of(value)
    return d[0] != 0 and (11 - _weighted(d[:12], range(13, 1, -1)) % 11) % 10 == d[12]


def tckn(value: str) -> bool:
    """Turkey: two check digits over odd and even places."""
    d = digits_of(value)
    tenth = (7 * sum(d[0:9:2]) - sum(d[1:8:2])) % 10
    return d[0] != 0 and tenth == d[9] and sum(d[:10]) % 10 == d[10]


def cnp(value: str) -> bool:
    """Romania: a date, weights modulo 11."""
    d = digits_of(value)
    check = _weighted(d[:12], (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return d[0] != 0 and _day(d[3] * 10 + d[4], d[5] * 10 + d[6]) and (1 if check == 10 else check) == d[12]


def egn(value: str) -> bool:
    """Bulgaria: a date whose month carries the century, weights modulo 11."""
    d = digits_of(value)
    month = (d[2] * 10 + d[3]) % 20
    return _day(month, d[4] * 10 + d[5]) and _weighted(d, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10 == d[9]


def rodne_cislo(value: str) -> bool:
    """Czechia and Slovakia: a date (women add 50 to the month, late issues 20) and divisible by 11."""
    d = digits_of(value)
    number = int("".join(map(str, d)))
    return _day((d[2] * 10 + d[3]) % 50 % 20, d[4] * 10 + d[5]) and (
        number % 11 == 0 or (number // 10 % 11 == 10 and d[9] == 0)
    )


def isikukood(value: str) -> bool:
    """Estonia and Lithuania: a date and two rounds of weights modulo 11."""
    d = digits_of(value)
    check = _weighted(d, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if check == 10:
        check = _weighted(d, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    return 1 <= d[0] <= 8 and _day(d[3] * 10 + d[4], d[5] * 10 + d[6]) and check == d[10]


def snils(value: str) -> bool:
    """Russia: weights 9 to 1 modulo 101."""
    d = digits_of(value)
    return _varied(d) and _weighted(d, range(9, 0, -1)) % 101 % 100 == d[9] * 10 + d[10]


def vin(value: str) -> bool:
    """ISO 3779 with the check digit of North America (49 CFR 565): the ninth character, modulo 11."""
    plain = value.upper()
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    total = sum(_VIN[c] * w for c, w in zip(plain, weights, strict=True))
    return "0123456789X"[total % 11] == plain[8] and len(set(plain)) > 4


def bitcoin(value: str) -> bool:
    """Base58Check, or Bech32 and Bech32m (BIP 173, BIP 350)."""
    if value[:3].lower() == "bc1":
        return (value.islower() or value.isupper()) and _bech32(value.lower())
    number = 0
    for c in value:
        at = _BASE58.find(c)
        if at < 0:
            return False
        number = number * 58 + at
    raw = number.to_bytes(32, "big")[-25:]
    return number < 1 << 200 and hashlib.sha256(hashlib.sha256(raw[:21]).digest()).digest()[:4] == raw[21:]


def _bech32(value: str) -> bool:
    check = 1
    words = [3, 3, 0, 2, 3, *(_BECH32.find(c) for c in value[3:])]  # "bc", expanded
    if min(words) < 0:
        return False
    for word in words:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ word
        for bit, mask in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= mask if top >> bit & 1 else 0
    return check in {1, 0x2BC830A3}
