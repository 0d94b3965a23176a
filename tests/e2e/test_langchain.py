"""LangChain's two chat models, unmodified."""

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from tests.e2e.answers import Answer, Tool
from tests.e2e.gateway import Governed

pytestmark = pytest.mark.requirement("X3")

MODELS = {"openai": "openai.chat", "anthropic": "anthropic.messages"}


@tool
def weather(place: str) -> str:
    """Return the weather at a place."""
    return f"calm at {place}"


@pytest.fixture(params=sorted(MODELS))
def model(request: pytest.FixtureRequest, governed: Governed) -> tuple[BaseChatModel, str]:
    key = SecretStr(governed.key)
    chat: BaseChatModel
    if request.param == "openai":
        chat = ChatOpenAI(model="gpt-test", base_url=f"{governed.url}/v1", api_key=key, max_retries=0)
    else:
        chat = ChatAnthropic(
            model_name="claude-test", base_url=governed.url, api_key=key, max_retries=0, max_tokens=64
        )
    return chat, MODELS[request.param]


def test_a_chain_streams(model: tuple[BaseChatModel, str], governed: Governed) -> None:
    """Chunks add up to the whole text."""
    chat, dialect = model
    governed.upstream.say(dialect, Answer("the sea is calm"))
    assert "".join(str(c.text) for c in chat.stream("how is the sea?")) == "the sea is calm"


def test_a_tool_is_called_and_its_result_taken(model: tuple[BaseChatModel, str], governed: Governed) -> None:
    """One turn of an agent: bind, call, run, answer."""
    chat, dialect = model
    call = Tool("weather", {"place": "Brest"}, "call_a")
    governed.upstream.say(dialect, Answer("looking", tools=(call,)), Answer("calm at Brest"))
    bound = chat.bind_tools([weather])
    asked = HumanMessage("how is the sea at Brest?")
    first = bound.invoke([asked])
    assert [(c["name"], c["args"], c["id"]) for c in first.tool_calls] == [
        ("weather", {"place": "Brest"}, "call_a")
    ]
    result = weather.invoke(first.tool_calls[0])
    assert isinstance(result, ToolMessage)
    assert bound.invoke([asked, first, result]).text == "calm at Brest"
    assert "calm at Brest" in str(governed.upstream.of(dialect)[-1].json["messages"][-1])
