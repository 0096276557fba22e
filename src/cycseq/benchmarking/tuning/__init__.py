"""Settings of a model chosen by nested validation: the test part of a split takes no part."""

from cycseq.errors import MissingPackageError

try:
    import optuna  # noqa: F401  before the files that take names from it, so that one line says what is missing
except ModuleNotFoundError as err:
    missing = "cycseq tune needs optuna, which is not installed: pip install 'cycseq[networks]'."
    raise MissingPackageError(missing) from err

from cycseq.benchmarking.tuning.result import TuneResult
from cycseq.benchmarking.tuning.search import tune
from cycseq.benchmarking.tuning.settings import TuneSettings

__all__ = ["TuneResult", "TuneSettings", "tune"]
