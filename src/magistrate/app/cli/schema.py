"""``magistrate schema``: what editors need to complete and check ``magistrate.yaml``."""

import json

from magistrate.app.config import json_schema


def schema() -> None:
    """Print the JSON Schema of magistrate.yaml."""
    print(json.dumps(json_schema(), indent=2))
