"""What a response says about itself: how it ended, what it counted."""

from magistrate.exchange.content import Tree, Usage
from magistrate.wire.openai_native import count, text_of


def usage_of(response: Tree) -> Usage:
    """Read ``usage`` (``input_tokens`` includes cached ones)."""
    usage = response.get("usage")
    if type(usage) is not dict:
        return Usage()
    into, out = usage.get("input_tokens_details"), usage.get("output_tokens_details")
    return Usage(
        input_tokens=count(usage.get("input_tokens")),
        output_tokens=count(usage.get("output_tokens")),
        cached_tokens=count(into.get("cached_tokens")) if type(into) is dict else None,
        reasoning_tokens=count(out.get("reasoning_tokens")) if type(out) is dict else None,
    )


def finish_of(response: Tree) -> str:
    """Return why it ended: the reason of an incomplete response, else its status."""
    details = response.get("incomplete_details")
    reason = text_of(details, "reason") if type(details) is dict else ""
    return reason or text_of(response, "status")
