"""What may be said of scores: intervals, comparisons with baselines and controls, verdicts."""
