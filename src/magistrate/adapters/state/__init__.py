"""Operational state in SQLite: keys and control-plane credentials.

*Store*: the one file (``data/state.db``), its schema version and its migrations. *Key store*: virtual keys and admin
tokens in it. *Live keys*: the gateway's snapshot, which notices a change within a quarter of a second.

When the file cannot be read (gone, replaced by something else, corrupt, newer than this program), nobody is
authenticated: a revocation that cannot be seen must not be overlooked. Refusals then say so, and end by themselves
once the file can be read again.
"""
