"""What a prediction is worth and what may be said of it: metrics, the real reference, ceilings, intervals, verdicts."""
