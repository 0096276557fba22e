import ctypes
import resource
import sys

import numpy as np
import pytest

from cycseq.training.memory import memory_kept

glibc = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt")


def pages_cleared() -> int:
    """Pages that the system hands out anew while 20 blocks of 16 MB are made, one after the other."""
    np.full(1 << 21, 1.0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.full(1 << 21, 1.0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(not glibc, reason="glibc's settings")
def test_freed_memory_is_kept_while_training_and_given_back_afterwards():
    with memory_kept():
        kept = pages_cleared()
    given_back = pages_cleared()
    assert kept < given_back / 2
