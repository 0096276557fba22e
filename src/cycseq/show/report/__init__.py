"""One self-contained HTML page for a benchmark or a run."""
