"""Values for policy tests: one principal, some endpoints, bundles out of a few lines of Cedar."""

from magistrate.app.bundles import PolicySource
from magistrate.exchange.decision import Action, Facts
from magistrate.exchange.endpoint import Endpoint
from magistrate.exchange.principal import Principal
from magistrate.policy.bundle import Bundle, load

SCHEMA = PolicySource(None).files()["schema.cedarschema"]
GHOSTLY = SCHEMA.replace(b"type Content = {", b"type Content = {\n ghost: Bool,")
"""A schema that promises a fact nobody supplies: what reads it cannot be evaluated."""

EVERYBODY = '@id("everybody") permit (principal, action, resource);\n'
ADA = Principal(key="k1", user="ada", groups=("care",), application="ward")
PLAIN = Endpoint("sim/m", "sim", "openai", "m", "m", ("openai.chat:chat",))
EU = Endpoint(
    "eu/m", "eu", "openai", "m", "m", ("openai.chat:chat",), region="eu", certifications=("gdpr-dpa",)
)


def bundle(text: str, schema: bytes = SCHEMA) -> Bundle:
    return load({"schema.cedarschema": schema, "test.cedar": text.encode()})


def facts(*labels: str, action: Action = Action.CALL, stream: bool = False) -> Facts:
    family = {".".join(label.split(".")[:n]) for label in labels for n in range(1, label.count(".") + 2)}
    return Facts(action, "openai.chat", "chat", "m", stream, labels=tuple(sorted(family)))
