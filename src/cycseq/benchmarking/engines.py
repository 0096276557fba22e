"""Who computes the missing results where one process does not do it all: several of this machine, or workers of a Dask cluster.

An engine takes units of work and yields the failures of each as they end; what was computed is written by then.
"""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from cycseq.benchmarking.on_cluster import compute_on_cluster
from cycseq.benchmarking.work import Failure, Unit, compute
from cycseq.data.either import Data
from cycseq.errors import CycseqError
from cycseq.io.progress import track
from cycseq.matrix.cluster import cluster

PROGRESS = "Models on splits"  # what a progress bar calls the work
WATCH = "cycseq-watch"  # name of the thread that looks whether the starter lives


def compute_in_parallel(data: Data, units: Sequence[Unit], jobs: int, scheduler: str | None) -> tuple[Failure, ...]:
    """Compute and write every result of the units; failures are returned.

    Without a scheduler, the processes (`jobs`) of this machine share one copy of the cells; the workers of a scheduler need not
    see the folder of the tables. Raises `CycseqError` if the processes or the cluster were ended from outside; what had been
    computed is kept.
    """
    with cluster(scheduler if units else None, jobs=jobs) as client:
        if client is not None:
            shares = [share for unit in units for share in _share_out(unit, len(unit.tasks))]
            engine = compute_on_cluster(data, shares, client)
        else:
            shares = [share for unit in units for share in _share_out(unit, -(-jobs // len(units)))]
            several = min(jobs, len(shares)) > 1
            engine = _compute_in_processes(data, shares, jobs) if several else (compute(data, unit) for unit in shares)
        return tuple(f for failures in track(engine, PROGRESS, len(shares)) for f in failures)


def _share_out(unit: Unit, n_shares_at_most: int) -> list[Unit]:
    """The unit in so many parts, or in fewer where it has fewer tasks: no part is empty."""
    n_shares = min(n_shares_at_most, len(unit.tasks))
    return [replace(unit, tasks=unit.tasks[i::n_shares]) for i in range(n_shares)]


def _compute_in_processes(data: Data, units: Sequence[Unit], jobs: int) -> Iterator[list[Failure]]:
    """On processes that read one copy of the cells (joblib maps large arrays from a file)."""
    from joblib import Parallel, delayed  # type: ignore[import-untyped]
    from joblib.externals.loky.process_executor import TerminatedWorkerError  # type: ignore[import-untyped]

    workers = Parallel(n_jobs=min(jobs, len(units)), return_as="generator_unordered", mmap_mode="c")
    try:
        yield from workers(delayed(_compute_on_worker)(os.getpid(), data, unit) for unit in units)
    except TerminatedWorkerError as err:
        raise CycseqError(
            f"a process of the benchmark was killed, most often because memory ran out: use fewer than --jobs "
            f"{jobs}. Finished results are kept."
        ) from err


def _compute_on_worker(starter: int, data: Data, unit: Unit) -> list[Failure]:
    """`compute`, on a process that ends itself within a second where the one that started it was killed."""

    def watch() -> None:
        while os.getppid() == starter:
            time.sleep(1.0)
        os._exit(1)

    if all(thread.name != WATCH for thread in threading.enumerate()):  # a process serves several units
        threading.Thread(target=watch, name=WATCH, daemon=True).start()
    return compute(data, unit)
