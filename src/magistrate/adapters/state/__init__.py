"""Operational state in SQLite: keys and control-plane credentials."""
