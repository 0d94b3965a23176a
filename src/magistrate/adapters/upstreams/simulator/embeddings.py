"""Embeddings, simulated: vectors that are digests of their texts, of unit length."""

import array
import base64
import hashlib
import math

import orjson

from magistrate.adapters.upstreams.simulator.conversation import Json, whole_number

DEFAULT_DIMENSIONS = 256


def whole(body: bytes, tree: Json) -> bytes:
    given = tree.get("input")
    # A list of numbers is one text, already in tokens; a list of anything else is several.
    several = isinstance(given, list) and not all(isinstance(each, int) for each in given)
    dimensions = whole_number(tree.get("dimensions"), DEFAULT_DIMENSIONS, 4096)
    packed = tree.get("encoding_format") == "base64"
    tokens = len(body) // 4 + 1
    return orjson.dumps(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": _vector(text, dimensions, packed=packed)}
                for index, text in enumerate(given if several else [given])
            ],
            "model": f"{tree.get('model', '')}-simulator",
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
    )


def _vector(text: Json, dimensions: int, *, packed: bool) -> list[float] | str:
    raw = array.array("h", hashlib.shake_128(orjson.dumps(text)).digest(2 * dimensions))
    length = math.sqrt(sum(each * each for each in raw)) or 1.0
    vector = [each / length for each in raw]
    return base64.b64encode(array.array("f", vector).tobytes()).decode() if packed else vector
