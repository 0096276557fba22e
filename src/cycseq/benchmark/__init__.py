"""Models x splits x seeds: one table, computed once, resumed where it was interrupted."""

from cycseq.benchmark.settings import BenchmarkSettings
from cycseq.benchmark.table import BenchmarkResult, benchmark, open_benchmark

__all__ = ["BenchmarkResult", "BenchmarkSettings", "benchmark", "open_benchmark"]
