"""Settings of a model chosen by nested validation: the test part of a split takes no part."""

from cycseq.tuning.result import TuneResult
from cycseq.tuning.search import tune
from cycseq.tuning.settings import TuneSettings

__all__ = ["TuneResult", "TuneSettings", "tune"]
