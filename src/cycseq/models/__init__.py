"""All models, by name."""
