"""Results from the workers of a Dask cluster, some of which may be lost on the way.

Dask would queue many tasks on a worker, and blame them all where it dies. So a worker gets one task at a time, and the
data once, before its first; a task whose worker is gone is computed by another.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any
from uuid import uuid4

from cycseq.benchmarking.result import Result
from cycseq.benchmarking.work import Failure, Unit, compute_tasks, failure, prepare_split, write_result
from cycseq.data.either import Data
from cycseq.errors import CycseqError
from cycseq.run.parts import Parts
from cycseq.score.reference import Reference

MAX_DEATHS = 3  # a task that so many workers died of is not tried again
SECONDS_WITHOUT_WORKERS = 300  # so long a cluster may be without any worker: a queue or a watchdog may start new ones
SETTLING = 1.0
"""Seconds that a new worker is left alone: Dask starts none in place of one that dies in its first moment."""
SECONDS_TO_FETCH = 300  # so long a result may take from its worker to here
KEPT = "Finished results are kept: run the same command again."


def compute_on_cluster(data: Data, units: Sequence[Unit], client: Any) -> Iterator[list[Failure]]:
    """Compute units of one task each, write what comes back, and yield what broke of each, as they end."""
    crew, waiting, deaths = _Crew(client, data), list(units), Counter[str]()
    try:
        while waiting or crew.running:
            crew.set_to_work(waiting)
            for unit, outcome in crew.collect():
                (task,) = unit.tasks
                if outcome is not None:
                    yield write_result(task, outcome)
                    continue
                deaths[task.path.name] += 1
                if deaths[task.path.name] < MAX_DEATHS:
                    waiting.append(unit)
                    continue
                reason = f"{MAX_DEATHS} workers that computed it were ended, most often for want of memory"
                yield [failure(unit, task, f"{reason}: give them more, or choose fewer cells or genes")]
    except OSError as err:
        if err.errno is not None:  # a file here, and not the cluster
            raise
        raise CycseqError(f"the Dask scheduler is gone ({' '.join(str(err).split())[:120]}). {KEPT}") from err
    finally:
        if client.status == "running":
            crew.dismiss()


class _Crew:
    """The workers that the cluster has at each moment, and what each does."""

    def __init__(self, client: Any, data: Data) -> None:
        self.client, self.data, self.token = client, data, uuid4().hex
        self.running: dict[str, tuple[Any, Unit]] = {}
        """What each worker computes: the future and the unit."""
        self.cells_of: dict[str, Any] = {}
        """The data on each worker."""
        self.split_of: dict[str, str] = {}
        """The split whose real side each worker has at hand."""
        self.first_seen = dict.fromkeys(client.nthreads(), 0.0)
        """When each worker was seen first; those that were there from the start need no time to settle."""
        self.last_seen = time.monotonic()
        self.wake = threading.Event()

    def set_to_work(self, waiting: list[Unit]) -> None:
        """Give every idle worker a unit, of the split that it has at hand where there is one."""
        now, workers = time.monotonic(), self._workers()
        if now > self.last_seen + SECONDS_WITHOUT_WORKERS:
            raise CycseqError(f"the Dask cluster has had no worker for {SECONDS_WITHOUT_WORKERS} s: start some. {KEPT}")
        idle = [
            a for a in sorted(workers) if a not in self.running and now >= self.first_seen.setdefault(a, now) + SETTLING
        ]
        for address in idle[: len(waiting)]:
            if address not in self.cells_of:
                with suppress(OSError, ValueError):  # it went away just now
                    self.cells_of[address] = self.client.scatter(self.data, workers=[address], hash=False)
            if address in self.cells_of:
                unit = waiting.pop(self._next(waiting, address))
                self.split_of[address] = unit.split.name
                cells = self.cells_of[address]
                future = self.client.submit(_on_worker, cells, unit, self.token, workers=[address], pure=False)
                future.add_done_callback(lambda _: self.wake.set())
                self.running[address] = future, unit

    def collect(self) -> list[tuple[Unit, Result | Failure | None]]:
        """What has ended within a second: units with their outcome, or None where the worker was lost."""
        self.wake.wait(timeout=1.0)
        self.wake.clear()
        workers, outcomes = self._workers(), list[tuple[Unit, Result | Failure | None]]()
        for address, (future, unit) in list(self.running.items()):
            if address in workers and not future.done():
                continue
            del self.running[address]
            outcome = None
            if address in workers and future.status == "error":
                raise _explain(future.exception())
            if address in workers:
                with suppress(CancelledError, TimeoutError):
                    (outcome,) = future.result(timeout=SECONDS_TO_FETCH)
            if outcome is None:
                self.cells_of.pop(address, None)
            outcomes.append((unit, outcome))
        return outcomes

    def dismiss(self) -> None:
        """Let go of the data, and of what the workers have at hand."""
        self.client.cancel([*(future for future, _ in self.running.values()), *self.cells_of.values()])
        self.client.run(_forget)

    def _workers(self) -> set[str]:
        workers = set(self.client.nthreads())
        if workers:
            self.last_seen = time.monotonic()
        return workers

    def _next(self, waiting: Sequence[Unit], address: str) -> int:
        """The place of a unit of the split at hand; else of one that nobody works on; else the first."""
        names = [unit.split.name for unit in waiting]
        others = {unit.split.name for _, unit in self.running.values()}
        if self.split_of.get(address) in names:
            return names.index(self.split_of[address])
        return next((i for i, name in enumerate(names) if name not in others), 0)


def _explain(err: BaseException) -> BaseException:
    """What kept a worker from even beginning with a split."""
    if not isinstance(err, OSError):
        return err
    error = CycseqError(
        f"a worker cannot read the data ({err}): they must lie under the same path there, or use no --memory. {KEPT}"
    )
    error.__cause__ = err
    return error


_AT_HAND: dict[str, tuple[Reference, Parts]] = {}  # on a worker: the real side of the split that it computed last
_TURN = threading.Lock()
"""On a worker of several threads: models draw from one random state, so that only one is fitted at a time."""


def _forget() -> None:
    _AT_HAND.clear()


def _on_worker(data: Data, unit: Unit, token: str) -> list[Result | Failure]:
    key = f"{token} {unit.split.name}"
    with _TURN:
        if key not in _AT_HAND:
            _AT_HAND.clear()
            _AT_HAND[key] = prepare_split(data, unit)
        return list(compute_tasks(*_AT_HAND[key], unit))
