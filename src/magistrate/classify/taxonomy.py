"""Labels: names for what content holds, what they are replaced by, and which rules of law speak of them.

Dotted: ``pii.email`` is a ``pii``. The mapping to regulations is a reading aid, not legal advice.
"""

import msgspec


class Label(msgspec.Struct, frozen=True):
    """One entry of the taxonomy. ``mask`` is what redaction writes in its place.

    ``reserved`` names are for detectors of your own: nothing built in gives them.
    """

    name: str
    title: str
    mask: str
    regulations: tuple[str, ...] = ()
    reserved: bool = False


NEUTRAL = "about:blank#withheld"
"""Stands for a target that is withheld: an address that is valid wherever one may stand, and leads nowhere."""

_GDPR = "GDPR Art. 4(1)"
_NATIONAL = "GDPR Art. 87"
_SPECIAL = "GDPR Art. 9"
_GLBA = "GLBA NPI"
_HIPAA = "HIPAA 164.514(b)(2)(i)"
_OWASP = "OWASP LLM"

_VENDORS = {
    "anthropic": "Anthropic API key", "atlassian": "Atlassian API token", "aws": "AWS access key",
    "azure": "Azure key", "databricks": "Databricks token", "digitalocean": "DigitalOcean token",
    "discord": "Discord bot token", "docker": "Docker access token", "doppler": "Doppler token",
    "figma": "Figma token", "github": "GitHub token", "gitlab": "GitLab token", "google": "Google API or OAuth key",
    "grafana": "Grafana token", "groq": "Groq API key", "huggingface": "Hugging Face token", "linear": "Linear API key",
    "magistrate": "Magistrate key", "mailgun": "Mailgun key", "newrelic": "New Relic key", "notion": "Notion token",
    "npm": "npm token", "openai": "OpenAI API key", "perplexity": "Perplexity API key",
    "planetscale": "PlanetScale token", "postman": "Postman API key", "pypi": "PyPI token",
    "replicate": "Replicate token", "rubygems": "RubyGems key", "sendgrid": "SendGrid key", "sentry": "Sentry token",
    "shopify": "Shopify token", "slack": "Slack token or webhook", "square": "Square token", "stripe": "Stripe key",
    "telegram": "Telegram bot token", "twilio": "Twilio API key", "vault": "HashiCorp Vault token", "xai": "xAI API key",
}  # fmt: skip

_NUMBERS = {
    "aadhaar": ("India: Aadhaar number", "AADHAAR"), "ahv": ("Switzerland: AHV number", "AHV"),
    "bsn": ("Netherlands: citizen service number", "BSN"), "cpf": ("Brazil: CPF", "CPF"),
    "cpr": ("Denmark: CPR number", "CPR"), "curp": ("Mexico: CURP", "CURP"), "dni": ("Spain: DNI or NIE", "DNI"),
    "fodselsnummer": ("Norway: national identity number", "FODSELSNUMMER"), "hetu": ("Finland: personal identity code", "HETU"),
    "nino": ("UK: national insurance number", "NINO"), "nir": ("France: NIR (INSEE) number", "NIR"),
    "nric": ("Singapore: NRIC or FIN", "NRIC"), "pesel": ("Poland: PESEL", "PESEL"),
    "personnummer": ("Sweden: personal identity number", "PERSONNUMMER"), "pps": ("Ireland: PPS number", "PPS"),
    "rut": ("Chile: RUT", "RUT"), "tfn": ("Australia: tax file number", "TFN"),
    "national_id": ("national identity number of another country", "NATIONAL_ID"),
}  # fmt: skip

_SPECIAL_CATEGORIES = {
    "ethnicity": "racial or ethnic origin", "politics": "political opinions", "religion": "religious or philosophical beliefs",
    "union": "trade union membership", "genetic": "genetic data", "biometric": "biometric data", "health": "health, as a topic",
    "sexuality": "sex life or sexual orientation",
}  # fmt: skip

_LANGUAGES = {
    "c": "C or C++", "go": "Go", "java": "Java, Kotlin or C#", "javascript": "JavaScript or TypeScript", "python": "Python",
    "rust": "Rust", "shell": "shell", "sql": "SQL",
}  # fmt: skip

_SPOKEN = {
    "ar": "Arabic", "bn": "Bengali", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek", "en": "English", "es": "Spanish",
    "fa": "Persian", "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi", "hu": "Hungarian", "id": "Indonesian", "it": "Italian",
    "ja": "Japanese", "ko": "Korean", "nl": "Dutch", "pl": "Polish", "pt": "Portuguese", "ru": "Russian", "sv": "Swedish", "ta": "Tamil",
    "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
"""ISO 639-1 code to name."""

TAXONOMY: dict[str, Label] = {
    label.name: label
    for label in (
        Label("pii", "personal data", "[PERSONAL]", (_GDPR,)),
        Label("pii.name", "name of a person", "[NAME]", (_HIPAA + "(A)", _GLBA)),
        Label("pii.address", "postal address", "[ADDRESS]", (_HIPAA + "(B)", _GLBA)),
        Label("pii.birth_date", "date of birth", "[BIRTH_DATE]", (_HIPAA + "(C)",)),
        Label("pii.date", "date about a person: admission, discharge, death", "[DATE]", (_HIPAA + "(C)",)),
        Label("pii.age", "age above 89", "[AGE]", (_HIPAA + "(C)",)),
        Label("pii.phone", "telephone or fax number", "[PHONE]", (_HIPAA + "(D), (E)", _GLBA)),
        Label("pii.email", "e-mail address", "[EMAIL]", (_HIPAA + "(F)", _GLBA)),
        Label("pii.ssn", "US social security number", "[SSN]", (_HIPAA + "(G)", _GLBA)),
        Label("pii.itin", "US taxpayer number", "[ITIN]", (_HIPAA + "(R)", _GLBA)),
        Label("pii.sin", "Canada: social insurance number", "[SIN]", (_NATIONAL, _GLBA)),
        Label("pii.tax_id", "tax number of a person or firm", "[TAX_ID]", (_NATIONAL, _HIPAA + "(R)", _GLBA)),
        *(
            Label(f"pii.{name}", title, f"[{mask}]", (_NATIONAL, _HIPAA + "(R)"))
            for name, (title, mask) in _NUMBERS.items()
        ),
        Label("pii.passport", "passport number", "[PASSPORT]", (_NATIONAL, _HIPAA + "(K)")),
        Label("pii.driver_licence", "driver's licence number", "[DRIVER_LICENCE]", (_HIPAA + "(K)", _GLBA)),
        Label("pii.vin", "vehicle identification number", "[VIN]", (_HIPAA + "(L)",)),
        Label("pii.plate", "licence plate", "[PLATE]", (_HIPAA + "(L)",)),
        Label(
            "pii.device",
            "device address or number (MAC, IMEI)",
            "[DEVICE]",
            ("GDPR recital 30", _HIPAA + "(M)"),
        ),
        Label("pii.url", "web address of a person", "[URL]", (_HIPAA + "(N)",), reserved=True),
        Label("pii.ip", "public IP address", "[IP]", ("GDPR recital 30", _HIPAA + "(O)")),
        Label(
            "pii.biometric",
            "fingerprint, voice print",
            "[BIOMETRIC]",
            (_SPECIAL, _HIPAA + "(P)"),
            reserved=True,
        ),
        Label("pii.face", "photograph of a face", "[PHOTO]", (_HIPAA + "(Q)",), reserved=True),
        Label("phi", "health data", "[HEALTH]", ("HIPAA PHI", _SPECIAL)),
        Label("phi.mrn", "medical record number", "[MRN]", (_HIPAA + "(H)",)),
        Label("phi.npi", "US provider number", "[NPI]", (_HIPAA + "(K)",)),
        Label("phi.dea", "US prescriber number", "[DEA]", (_HIPAA + "(K)",)),
        Label("phi.mbi", "Medicare beneficiary number", "[MBI]", (_HIPAA + "(I)",)),
        Label("phi.nhs", "UK: NHS number", "[NHS]"),
        Label("phi.medicare_au", "Australia: Medicare card number", "[MEDICARE]"),
        Label("phi.health_plan", "health plan or insurance number", "[HEALTH_PLAN]", (_HIPAA + "(I)",)),
        Label("phi.device", "serial number of a device", "[DEVICE]", (_HIPAA + "(M)",)),
        Label("phi.diagnosis_code", "ICD-10 code", "[DIAGNOSIS]"),
        Label("phi.clinical", "diagnosis, medication or finding in words", "[CLINICAL]", reserved=True),
        Label("phi.context", "health, in words, near what identifies a person", "[HEALTH]"),
        Label("special", "special category of personal data", "[SPECIAL]", (_SPECIAL,), reserved=True),
        *(
            Label(f"special.{name}", title, "[SPECIAL]", reserved=True)
            for name, title in _SPECIAL_CATEGORIES.items()
        ),
        Label("special.criminal", "criminal convictions", "[SPECIAL]", ("GDPR Art. 10",), reserved=True),
        Label("pci", "card data", "[CARD_DATA]", ("PCI DSS",)),
        Label("pci.pan", "payment card number", "[CARD]", ("PCI DSS 3.5", _GLBA)),
        Label("pci.cvv", "card security code", "[CVV]", ("PCI DSS 3.3",)),
        Label("fin", "financial data", "[FINANCIAL]", (_GLBA,)),
        Label("fin.iban", "international bank account number", "[IBAN]", (_GDPR, _HIPAA + "(J)")),
        Label("fin.account", "account number", "[ACCOUNT]", (_GDPR, _HIPAA + "(J)")),
        Label("fin.routing", "routing number, sort code, BIC, IFSC", "[ROUTING]"),
        Label("fin.crypto", "address of a crypto wallet", "[WALLET]"),
        Label("secret", "credential", "[SECRET]", ("SOC 2 CC6.1", "PCI DSS 8.3")),
        Label("secret.private_key", "private key", "[SECRET]"),
        Label("secret.password", "password or key given a name", "[SECRET]"),
        Label("secret.token", "token given a name", "[SECRET]"),
        Label("secret.connection_string", "password in an address", "[SECRET]"),
        Label("secret.authorization", "authorization header", "[SECRET]"),
        Label("secret.jwt", "JSON Web Token", "[SECRET]"),
        *(Label(f"secret.{vendor}", title, "[SECRET]") for vendor, title in _VENDORS.items()),
        Label("marking", "confidentiality marking", "[MARKING]", ("contracts, trade secret law",)),
        Label("marking.confidential", "confidential, restricted", "[MARKING]"),
        Label("marking.internal", "internal only, not for release", "[MARKING]"),
        Label("marking.privileged", "legal privilege", "[MARKING]"),
        Label("marking.tlp", "Traffic Light Protocol amber or red", "[MARKING]", ("FIRST TLP 2.0",)),
        Label(
            "marking.mnpi",
            "material non-public information, embargo",
            "[MARKING]",
            ("Regulation FD", "MAR Art. 7"),
        ),
        Label("marking.export_control", "export-controlled", "[MARKING]", ("EAR", "ITAR")),
        Label("marking.classified", "government classification", "[MARKING]"),
        Label("code", "source code", "[CODE]", ("trade secret law",)),
        *(Label(f"code.{name}", f"source code: {title}", "[CODE]") for name, title in _LANGUAGES.items()),
        Label("code.licence", "licence of source code", "[CODE]"),
        Label("exfil", "carries data away", "[LINK]", (_OWASP + "02",)),
        Label("exfil.url", "link that carries data", "[LINK]"),
        Label("place", "name of a place", "[PLACE]"),
        Label("place.town", "town, county or other place below a state", "[PLACE]", (_HIPAA + "(B)",)),
        Label("place.region", "country, state or larger", "[PLACE]"),
        Label("org", "name of an organisation", "[ORGANISATION]"),
        Label("language", "language that a user writes in", "[TEXT]"),
        *(Label(f"language.{code}", name, "[TEXT]") for code, name in _SPOKEN.items()),
        Label("custom", "what your own detectors find", "[CUSTOM]", reserved=True),
        Label("sink", "target in an answer that leads off the list of hosts", NEUTRAL, ("OWASP LLM02",)),
        Label("sink.link", "link that somebody may follow", NEUTRAL),
        Label("sink.image", "image or style that is followed without a click", NEUTRAL),
        Label("content", "kind of content", "[WITHHELD]"),
        Label("content.unsafe", "unsafe content", "[WITHHELD]"),
        Label("content.unsafe.request", "request for help with harm", "[WITHHELD]"),
        Label("content.unsafe.toxic", "abusive language", "[WITHHELD]"),
        Label(
            "threat", "attack on the model or its tools", "[WITHHELD]", ("OWASP LLM01", "EU AI Act Art. 15")
        ),
        Label("threat.injection", "prompt injection, direct or hidden in data", "[WITHHELD]"),
        Label("threat.jailbreak", "attempt to free the model of its rules", "[WITHHELD]"),
        Label("inspection", "state of the inspection", "[WITHHELD]"),
        Label("inspection.incomplete", "could not be inspected", "[WITHHELD]"),
        Label("inspection.skipped", "a detector was not asked, as configured", "[WITHHELD]"),
    )
}


def ancestors(label: str) -> tuple[str, ...]:
    """Return the labels that ``label`` is a kind of, nearest first: ``pii.email`` is a ``pii``."""
    steps = label.split(".")
    return tuple(".".join(steps[:length]) for length in range(len(steps) - 1, 0, -1))


def mask_of(label: str) -> str:
    """Return what stands for a value of ``label``: its own mask, or its nearest ancestor's."""
    for name in (label, *ancestors(label)):
        entry = TAXONOMY.get(name)
        if entry is not None:
            return entry.mask
    return f"[{label.rpartition('.')[2].upper()}]"


def regulations_of(label: str) -> tuple[str, ...]:
    """Return the clauses that speak of ``label`` or of what it is a kind of, without repeats."""
    entries = [TAXONOMY[name] for name in (label, *ancestors(label)) if name in TAXONOMY]
    return tuple(dict.fromkeys(clause for entry in entries for clause in entry.regulations))
