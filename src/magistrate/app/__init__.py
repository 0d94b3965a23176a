"""The only place that builds things: configuration, wiring, processes and the command line."""
