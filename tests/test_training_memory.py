import ctypes
import resource
import sys
from pathlib import Path

import numpy as np
import pytest

from cycseq.models.networks.training.memory import keep_memory

glibc = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt")


def pages_cleared(n_blocks: int) -> int:
    """Pages that the system hands out anew while so many blocks of 16 MB are made and freed together, three times over."""
    before = 0
    for i in range(4):
        if i == 1:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        blocks = [np.full(1 << 21, 1.0) for _ in range(n_blocks)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def held() -> int:
    """Memory of this process in pages."""
    return int(Path("/proc/self/statm").read_text().split()[1])


@pytest.mark.skipif(not glibc, reason="glibc's settings")
def test_freed_memory_is_kept_while_training_and_given_back_afterwards():
    with keep_memory():
        kept, most = pages_cleared(16), held()
    assert held() < most - 50_000  # pages of 4 KiB; 16 blocks are 65,536
    assert kept < pages_cleared(16) / 2


@pytest.mark.skipif(not glibc, reason="glibc's settings")
def test_single_blocks_are_no_slower_afterwards():
    with keep_memory():
        pass
    assert pages_cleared(1) < 500  # three blocks of 4,096 pages each, which the system may clear several at a time
