"""Metrics, live feed, logs: numbers and events, never content."""
