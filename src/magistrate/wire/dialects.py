"""Every dialect, by name."""

from magistrate.wire.anthropic_messages import AnthropicMessages
from magistrate.wire.dialect import Dialect
from magistrate.wire.gemini import Gemini
from magistrate.wire.models import ModelsList
from magistrate.wire.openai_chat import OpenAIChat
from magistrate.wire.openai_embeddings import OpenAIEmbeddings
from magistrate.wire.openai_responses import OpenAIResponses

_ALL: tuple[Dialect, ...] = (
    OpenAIChat(),
    OpenAIResponses(),
    OpenAIEmbeddings(),
    ModelsList(),
    AnthropicMessages(),
    Gemini(),
)

DIALECTS: dict[str, Dialect] = {dialect.name: dialect for dialect in _ALL}
"""Every dialect by the name that routes, endpoints and records use."""
