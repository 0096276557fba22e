"""One self-contained HTML page for a benchmark or a run."""

from cycseq.report.page import write_report

__all__ = ["write_report"]
