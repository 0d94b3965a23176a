"""Check digits agree with a library that computes them on its own, wherever both know the number."""

import importlib
import random

import pytest

from magistrate.classify import checksums as check

DRAW = random.Random(20_261_125)


def digits(length):
    return "".join(DRAW.choice("0123456789") for _ in range(length))


def letter(among="ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
    return DRAW.choice(among)


SAME = {
    "in_.aadhaar": (check.verhoeff, lambda: digits(12)),
    "au.tfn": (check.tfn, lambda: digits(9)),
    "fr.nir": (check.nir, lambda: letter("12") + digits(14)),
    "de.idnr": (check.steuer_id, lambda: digits(11)),
    "hr.oib": (check.oib, lambda: digits(11)),
    "es.dni": (check.dni, lambda: digits(8) + letter()),
    "es.nie": (check.dni, lambda: letter("XYZ") + digits(7) + letter()),
    "nl.bsn": (check.bsn, lambda: digits(9)),
    "ch.ssn": (check.ahv, lambda: "756" + digits(10)),
    "at.vnr": (check.svnr, lambda: letter("123456789") + digits(9)),
    "br.cpf": (check.cpf, lambda: digits(11)),
    "cl.rut": (check.rut, lambda: digits(8) + letter("0123456789K")),
    "tr.tckimlik": (check.tckn, lambda: digits(11)),
    "ee.ik": (check.isikukood, lambda: letter("3456") + digits(10)),
    "cn.ric": (check.resident_cn, lambda: "11010519" + digits(9) + letter("0123456789X")),
}
NARROWER = {
    "us.rtn": (check.aba, lambda: digits(9)),
    "pt.nif": (check.nif_pt, lambda: digits(9)),
    "ar.cuit": (check.cuit, lambda: letter("23") + "0" + digits(9)),
}
WIDER = {
    "pl.pesel": (check.pesel, lambda: digits(11)),
    "se.personnummer": (check.personnummer, lambda: digits(6) + "-" + digits(4)),
    "fi.hetu": (check.hetu, lambda: digits(6) + "-" + digits(3) + letter("0123456789ABCDEFHJKLMNPRSTUVWXY")),
    "ro.cnp": (check.cnp, lambda: letter("12") + digits(12)),
    "bg.egn": (check.egn, lambda: digits(10)),
    "cz.rc": (check.rodne_cislo, lambda: digits(10)),
    "za.idnr": (check.identity_za, lambda: digits(13)),
    "be.nn": (check.rrn_be, lambda: digits(11)),
    "th.pin": (check.identity_th, lambda: digits(13)),
}
"""Ours take a birthday in the future, or none: a wrong date must not make a number invisible."""


def answers(name, table):
    ours, make = table[name]
    theirs = importlib.import_module(f"stdnum.{name}").is_valid
    made = [make() for _ in range(4000)]
    return [(value, ours(value), theirs(value)) for value in made]


@pytest.mark.requirement("P3")
@pytest.mark.parametrize("name", SAME)
def test_a_check_digit_says_what_the_library_says(name):
    """Four thousand random values each."""
    seen = answers(name, SAME)
    assert [value for value, ours, theirs in seen if ours != theirs] == []
    assert any(ours for _, ours, _ in seen) or name == "cn.ric"


@pytest.mark.parametrize("name", NARROWER)
def test_what_is_taken_is_valid_where_more_is_asked_of_it(name):
    """Ranges that are not issued are left out."""
    assert [value for value, ours, theirs in answers(name, NARROWER) if ours and not theirs] == []


@pytest.mark.parametrize("name", WIDER)
def test_what_is_valid_is_taken_where_dates_are_not_judged(name):
    """Nothing that the library takes is missed."""
    assert [value for value, ours, theirs in answers(name, WIDER) if theirs and not ours] == []


PUBLISHED = [
    (check.codice_fiscale, "RCCMNL83S18D969H"), (check.vin, "1M8GDM9AXKP042788"), (check.curp, "BOXW310820HNERXN09"),
    (check.nric, "S0000001I"), (check.hkid, "A123456(3)"), (check.identity_tw, "A123456789"), (check.pps, "6433435F"),
    (check.snils, "112-233-445 95"), (check.my_number, "123456789018"), (check.medicare_au, "2123456701"),
    (check.bitcoin, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"), (check.bitcoin, "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"),
    (check.bitcoin, "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr"),
]  # fmt: skip


@pytest.mark.parametrize(("test", "value"), PUBLISHED)
def test_a_published_example_passes_and_its_neighbours_do_not(test, value):
    """Examples of the offices and specifications; one character changed must be seen."""
    assert test(value)
    wrong = [
        value[:n] + ("1" if value[n] == "0" else "0") + value[n + 1 :]
        for n, c in enumerate(value)
        if c.isdigit()
    ]
    assert sum(not test(each) for each in wrong if each != value) * 2 >= len(wrong)
