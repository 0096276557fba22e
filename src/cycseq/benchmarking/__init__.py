"""Models x splits x seeds: one table, computed once, resumed where it was interrupted."""

from cycseq.benchmarking.result import BenchmarkResult, open_benchmark
from cycseq.benchmarking.settings import BenchmarkSettings
from cycseq.benchmarking.table import benchmark

__all__ = ["BenchmarkResult", "BenchmarkSettings", "benchmark", "open_benchmark"]
