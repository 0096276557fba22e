"""One self-contained HTML page for a benchmark or a run."""

from cycseq.report.page import Stratum, write_report

__all__ = ["Stratum", "write_report"]
