"""A prediction in one call: fit on all that was measured, predict what was not, and say how far to trust it."""
