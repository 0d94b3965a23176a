"""Credentials + keys + now -> principal. Nothing here fetches, stores or waits."""
