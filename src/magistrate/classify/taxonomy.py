"""Labels: names for what content holds, what they are replaced by, and which rules of law speak of them."""

import msgspec


class Label(msgspec.Struct, frozen=True):
    """One entry of the taxonomy. ``mask`` is what redaction writes in its place."""

    name: str
    title: str
    mask: str
    regulations: tuple[str, ...] = ()


_GDPR = "GDPR Art. 4(1)"
_GLBA = "GLBA NPI"

TAXONOMY: dict[str, Label] = {
    label.name: label
    for label in (
        Label("pii.email", "e-mail address", "[EMAIL]", (_GDPR, "HIPAA 164.514(b)(2)(i)(F)", _GLBA)),
        Label("pii.phone", "telephone number", "[PHONE]", (_GDPR, "HIPAA 164.514(b)(2)(i)(D)", _GLBA)),
        Label("pii.ssn", "US social security number", "[SSN]", ("HIPAA 164.514(b)(2)(i)(G)", _GLBA)),
        Label("pii.itin", "US taxpayer number", "[ITIN]", (_GLBA,)),
        Label("pii.passport", "passport number", "[PASSPORT]", ("GDPR Art. 87", "HIPAA 164.514(b)(2)(i)(K)")),
        Label(
            "pii.driver_licence",
            "driver's licence number",
            "[DRIVER_LICENCE]",
            ("HIPAA 164.514(b)(2)(i)(K)", _GLBA),
        ),
        Label("phi.mrn", "medical record number", "[MRN]", ("HIPAA 164.514(b)(2)(i)(H)", "GDPR Art. 9")),
        Label("pci.pan", "payment card number", "[CARD]", ("PCI DSS 3.4", _GLBA)),
        Label("fin.iban", "international bank account number", "[IBAN]", (_GDPR, _GLBA)),
        Label("secret", "credential", "[SECRET]", ("SOC 2 CC6.1",)),
        Label("inspection.incomplete", "could not be inspected", "[WITHHELD]"),
    )
}


def mask_of(label: str) -> str:
    """Return what stands for a value of ``label``: its own mask, or its nearest ancestor's."""
    name = label
    while name:
        entry = TAXONOMY.get(name)
        if entry is not None:
            return entry.mask
        name = name.rpartition(".")[0]
    return f"[{label.rpartition('.')[2].upper()}]"
