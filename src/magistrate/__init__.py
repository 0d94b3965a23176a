"""Magistrate: every call is judged; every judgement is on record.

The rooms, in the order a request walks through them, and what each may import, are described in
``docs/architecture.md``; import-linter holds the direction.
"""

__version__ = "0.1.0"
