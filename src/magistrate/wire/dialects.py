"""Every dialect, by name."""

from magistrate.wire.anthropic_messages import AnthropicMessages
from magistrate.wire.dialect import Dialect
from magistrate.wire.models import ModelsList
from magistrate.wire.openai_chat import OpenAIChat
from magistrate.wire.openai_embeddings import OpenAIEmbeddings

_ALL: tuple[Dialect, ...] = (
    OpenAIChat(),
    OpenAIEmbeddings(),
    ModelsList(),
    AnthropicMessages(),
)

DIALECTS: dict[str, Dialect] = {dialect.name: dialect for dialect in _ALL}
"""Every dialect by the name that routes, endpoints and records use."""
