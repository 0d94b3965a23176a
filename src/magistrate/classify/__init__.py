"""Content -> findings: detectors as pure functions, and the stream inspector with its hold-back."""
