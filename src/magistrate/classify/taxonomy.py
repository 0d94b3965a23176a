"""Labels: names for what content holds, what they are replaced by, and which rules of law speak of them.

Dotted: ``pii.email`` is a ``pii``. The mapping to regulations is a reading aid, not legal advice.
"""

import msgspec


class Label(msgspec.Struct, frozen=True):
    """One entry of the taxonomy. ``mask`` is what redaction writes in its place."""

    name: str
    title: str
    mask: str
    regulations: tuple[str, ...] = ()


_GDPR = "GDPR Art. 4(1)"
_GLBA = "GLBA NPI"
_HIPAA = "HIPAA 164.514(b)(2)(i)"

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

TAXONOMY: dict[str, Label] = {
    label.name: label
    for label in (
        Label("pii", "personal data", "[PERSONAL]", (_GDPR,)),
        Label("pii.email", "e-mail address", "[EMAIL]", (_HIPAA + "(F)", _GLBA)),
        Label("pii.phone", "telephone number", "[PHONE]", (_HIPAA + "(D)", _GLBA)),
        Label("pii.ssn", "US social security number", "[SSN]", (_HIPAA + "(G)", _GLBA)),
        Label("pii.itin", "US taxpayer number", "[ITIN]", (_GLBA,)),
        Label("pii.nino", "UK national insurance number", "[NINO]", ("GDPR Art. 87",)),
        Label("pii.passport", "passport number", "[PASSPORT]", ("GDPR Art. 87", _HIPAA + "(K)")),
        Label("pii.driver_licence", "driver's licence number", "[DRIVER_LICENCE]", (_HIPAA + "(K)", _GLBA)),
        Label("pii.birth_date", "date of birth", "[BIRTH_DATE]", (_HIPAA + "(C)",)),
        Label("pii.ip", "public IP address", "[IP]", ("GDPR recital 30", _HIPAA + "(O)")),
        Label("phi", "health data", "[HEALTH]", ("HIPAA PHI", "GDPR Art. 9")),
        Label("phi.mrn", "medical record number", "[MRN]", (_HIPAA + "(H)",)),
        Label("phi.npi", "US provider number", "[NPI]", (_HIPAA + "(K)",)),
        Label("phi.dea", "US prescriber number", "[DEA]", (_HIPAA + "(K)",)),
        Label("phi.mbi", "Medicare beneficiary number", "[MBI]", (_HIPAA + "(I)",)),
        Label("phi.nhs", "NHS number", "[NHS]"),
        Label("pci", "card data", "[CARD_DATA]", ("PCI DSS",)),
        Label("pci.pan", "payment card number", "[CARD]", ("PCI DSS 3.5", _GLBA)),
        Label("pci.cvv", "card security code", "[CVV]", ("PCI DSS 3.3",)),
        Label("fin", "financial data", "[FINANCIAL]", (_GLBA,)),
        Label("fin.iban", "international bank account number", "[IBAN]", (_GDPR,)),
        Label("secret", "credential", "[SECRET]", ("SOC 2 CC6.1",)),
        Label("secret.private_key", "private key", "[SECRET]"),
        Label("secret.password", "password or key given a name", "[SECRET]"),
        Label("secret.connection_string", "password in an address", "[SECRET]"),
        Label("secret.authorization", "authorization header", "[SECRET]"),
        Label("secret.jwt", "JSON Web Token", "[SECRET]"),
        *(Label(f"secret.{vendor}", title, "[SECRET]") for vendor, title in _VENDORS.items()),
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
