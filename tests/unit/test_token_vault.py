"""The token vault: sealed, bounded, forgetful."""

import pytest
from cryptography.exceptions import InvalidTag

from magistrate.classify.tokens import MOST_VALUES, Entry, Table
from magistrate.pipeline import vault as room
from magistrate.pipeline.vault import KEPT_NS, Conversation, TokenVault

EVERYWHERE = frozenset({"text", "tools"})


def conversation(name):
    return Conversation(key=b"k" * 32, seal=name.encode() * 64, name=name.encode(), named=True)


def entries(value="ada@analytical.org"):
    return {"EMAIL_000000000001": Entry("pii.email", value)}


@pytest.mark.requirement("P3", "I4")
def test_what_is_kept_is_sealed_and_opens_for_its_conversation_only():
    """Neither a value nor a conversation's name stands in memory as it is; a wrong name opens nothing."""
    vault = TokenVault()
    vault.keep(conversation("a"), entries(), 0)
    (kept,) = vault._kept.values()
    assert b"ada" not in b"".join(kept.sealed.values())
    assert vault.recall(conversation("a"), 1) == entries()
    assert vault.recall(conversation("b"), 1) == {}
    forged = Conversation(key=b"k" * 32, seal=b"b" * 64, name=b"a", named=True)
    with pytest.raises(InvalidTag):
        vault.recall(forged, 1)


def test_a_conversation_is_forgotten_a_day_after_its_last_turn():
    """Each turn counts anew, and forgetting frees the space."""
    vault = TokenVault()
    vault.keep(conversation("a"), entries(), 0)
    vault.keep(conversation("a"), entries(), KEPT_NS - 1)
    assert vault.recall(conversation("a"), 2 * KEPT_NS - 2) == entries()
    assert vault.recall(conversation("a"), 2 * KEPT_NS) == {}
    vault.keep(conversation("b"), entries(), 2 * KEPT_NS)
    assert list(vault._kept) == [b"b"]


def test_the_vault_is_bounded_and_the_longest_idle_goes_first(monkeypatch):
    """By conversations and by bytes."""
    monkeypatch.setattr(room, "MOST_CONVERSATIONS", 3)
    vault = TokenVault()
    for name in "abc":
        vault.keep(conversation(name), entries(), 0)
    vault.keep(conversation("a"), entries(), 1)
    vault.keep(conversation("d"), entries(), 2)
    assert list(vault._kept) == [b"c", b"a", b"d"]
    monkeypatch.setattr(room, "MOST_BYTES", 250)
    vault.keep(conversation("e"), entries("x" * 150), 3)
    assert list(vault._kept) == [b"e"]
    assert vault._size == sum(kept.size for kept in vault._kept.values()) <= 250


def test_beyond_the_bound_on_values_there_is_no_token_so_the_value_is_masked():
    """And where two values would share one token, the second has none: better no way back than a wrong one."""
    table = Table(b"k" * 32)
    for number in range(MOST_VALUES):
        assert table.token_for("pii.email", f"{number}@x.org", EVERYWHERE)
    assert table.token_for("pii.email", "one@more.org", EVERYWHERE) is None
    assert table.token_for("pii.email", "7@X.org ", EVERYWHERE) is not None
    clash = Table(b"k" * 32)
    name = clash.token_for("pii.email", "a@x.org", EVERYWHERE)
    clash.entries[name] = Entry("pii.email", "b@x.org")
    assert clash.token_for("pii.email", "a@x.org", EVERYWHERE) is None


def test_the_narrowest_places_of_a_value_count():
    """Two policies that differ about where it may be put back leave what both allow."""
    table = Table(b"k" * 32)
    name = table.token_for("pii.email", "a@x.org", EVERYWHERE)
    table.token_for("pii.email", "a@x.org", frozenset({"text"}))
    assert table.entries[name].places == {"text"}
