"""What the configuration says of S3 and PostgreSQL, checked without opening either."""

from collections.abc import Callable

import msgspec

from magistrate.app.settings import Config, StoreSetting

Note = Callable[[str, str], None]
"""Takes a field and what is wrong with it."""

LARGEST_IN_A_ROW = 256 << 20
"""Bytes of a body that PostgreSQL keeps as one value, far from its own limit."""


def check_stores(config: Config, note: Note) -> None:
    """Note what of the stores cannot be."""
    for name in ("objects", "register"):
        store: StoreSetting = getattr(config.evidence, name)
        if store.s3 is not None and store.postgres is not None:
            note(f"evidence.{name}", "names two stores; keep `s3` or `postgres`")
        if store.s3 is not None and bool(store.s3.access_key) != bool(store.s3.secret_key):
            note(f"evidence.{name}.s3", "`access_key` and `secret_key` go together")
    largest = max(config.limits.body_bytes, config.limits.answer_bytes)
    if config.evidence.objects.postgres is not None and largest > LARGEST_IN_A_ROW:
        note("limits", f"must be at most {LARGEST_IN_A_ROW} bytes where PostgreSQL keeps the bodies")


def rooted(store: StoreSetting, root: Callable[[str], str]) -> StoreSetting:
    """Return ``store`` with its relative paths standing where ``root`` puts them."""

    def reference(text: str) -> str:
        path = text.removeprefix("file:")
        return f"file:{root(path)}" if path != text else text

    replace = msgspec.structs.replace
    s3, postgres = store.s3, store.postgres
    if s3 is not None:
        s3 = replace(
            s3,
            access_key=reference(s3.access_key),
            secret_key=reference(s3.secret_key),
            ca=root(s3.ca),
        )
    if postgres is not None:
        postgres = replace(postgres, url=reference(postgres.url))
    return StoreSetting(s3, postgres)


def variables(config: Config) -> list[str]:
    """Return the names of the environment's variables that hold the stores' secrets."""
    found: set[str] = set()
    for store in (config.evidence.objects, config.evidence.register):
        references = [store.s3.access_key, store.s3.secret_key] if store.s3 is not None else []
        references += [store.postgres.url] if store.postgres is not None else []
        found.update(text[2:-1] for text in references if text.startswith("${"))
    return sorted(found)
