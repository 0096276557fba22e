"""All metrics, by name."""
