"""Principal: who is asking."""

import msgspec


class Principal(msgspec.Struct, frozen=True):
    """Who is asking, as far as credentials prove it.

    ``models`` is the key's own ceiling (shell-style patterns; empty means every model that policy
    allows): policy can only narrow it further.
    """

    key: str
    """Public id of the credential; never the credential."""
    user: str
    tenant: str = "default"
    groups: tuple[str, ...] = ()
    application: str = ""
    models: tuple[str, ...] = ()
    expires_us: int | None = None
    method: str = "virtual_key"


ANONYMOUS = Principal(key="", user="anonymous", method="none")
"""Nobody: what refusals at step 2 are recorded under. No policy ever sees it."""
