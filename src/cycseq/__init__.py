"""CycSeq: predict how single cells respond to perturbations, and say how far to trust it."""
