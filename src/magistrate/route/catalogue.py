"""The catalogue: which endpoints serve a model name."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

import msgspec

from magistrate.exchange.endpoint import Endpoint

WILDCARDS = frozenset("*?[")
LONGEST_MODEL_NAME = 200
"""Characters. The longest public model names have about 80."""


class Catalogue:
    """Endpoints by model name.

    An endpoint whose ``model`` is a shell-style pattern (``gpt-*``) serves every matching name under that name;
    a name that some endpoint lists exactly is served only by those that list it exactly, so that a
    catch-all provider never takes over a model that was placed on purpose.
    """

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self.endpoints = tuple(endpoints)
        exact: dict[str, list[Endpoint]] = {}
        for endpoint in self.endpoints:
            if not WILDCARDS & set(endpoint.model):
                exact.setdefault(endpoint.model, []).append(endpoint)
        self._exact = {name: tuple(places) for name, places in exact.items()}
        self._patterns = tuple(e for e in self.endpoints if WILDCARDS & set(e.model))

    def candidates(self, model: str) -> tuple[Endpoint, ...]:
        """Return every endpoint that could serve ``model``; empty when none could."""
        if not model or len(model) > LONGEST_MODEL_NAME or not model.isprintable():
            return ()
        exact = self._exact.get(model)
        if exact is not None:
            return exact
        return tuple(
            msgspec.structs.replace(place, id=f"{place.provider}/{model}", model=model, upstream_model=model)
            for place in self._patterns
            if fnmatchcase(model, place.model)
        )

    def names(self) -> tuple[str, ...]:
        """Return the model names that can be listed, in catalogue order; patterns are not names."""
        return tuple(self._exact)
