"""One command, one file: `configure` names its options, `run` does it."""
