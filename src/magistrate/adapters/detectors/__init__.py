"""Detectors at work: the always-on tier on the event loop and off it, under one deadline."""
