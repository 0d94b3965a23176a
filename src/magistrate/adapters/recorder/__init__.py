"""The evidence recorder: its own process, the only writer of the log, the only holder of its keys."""
