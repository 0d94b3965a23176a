"""What a tokenise and a redact may say of method and way back, and the places of mistakes in it."""

import pytest
from tests.lines.world import policies

from magistrate.exchange.errors import ConfigurationError

CALL = 'permit (principal, action == Magistrate::Action::"call", resource);'
BOTH = "permit (principal, action, resource);"


@pytest.mark.requirement("P3", "P8")
@pytest.mark.parametrize(
    ("notes", "rule", "wrong"),
    [
        ('@obligation("tokenise") @method("reversibel")', CALL, "`@method` is one of pseudonym, format-preserving, reversible"),
        ('@obligation("tokenise") @method("reversible")', BOTH, 'write `action == Magistrate::Action::"call"`'),
        ('@obligation("tokenise") @method("reversible") @restore("mail")', CALL, "`@restore` is a list of text and tools"),
        ('@obligation("tokenise") @restore("text")', CALL, '`@restore` needs `@method("reversible")`'),
        ('@obligation("redact") @method("reversible")', CALL, "`@method` means nothing here"),
        ('@obligation("redact") @except("cards")', CALL, "`@except` can be `restored` and nothing else"),
        ('@obligation("warn") @except("restored")', CALL, "`@except` means nothing here"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(notes, rule, wrong):
    """At load, not when the first value has left."""
    with pytest.raises(ConfigurationError) as error:
        policies(f'@id("all") permit (principal, action, resource);\n\n@id("it")\n{notes}\n{rule}')
    assert str(error.value).startswith("test.cedar:3: ")
    assert wrong in str(error.value)


@pytest.mark.parametrize(
    "scope",
    ['action == Magistrate::Action::"call"', 'action in [Magistrate::Action::"call"]'],
)
def test_a_reversible_token_is_written_for_calls(scope):
    """In either way of naming the action."""
    text = f'@id("it") @obligation("tokenise") @method("reversible") @restore("text, tools") permit (principal, {scope}, resource);'
    control = policies(text).controls["it"]
    assert control.obligation is not None
    assert dict(control.obligation.params) == {"method": "reversible", "restore": "text, tools"}
