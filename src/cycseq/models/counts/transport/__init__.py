"""Pseudo-pairs of cells by optimal transport, and a small network that is trained on them (`CycleTransport`)."""
