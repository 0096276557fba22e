"""A Dask cluster to compute on: one that runs already, or worker processes of this machine; for as long as a block lasts.

    with cluster("local", jobs=2, memory=4 << 30):
        total = dask_array.sum().compute()      # runs on the two worker processes

    with cluster(settings.scheduler, jobs=settings.jobs) as client:
        ...                                     # no scheduler: client is None, and dask computes in this process

While the block lasts, the cluster is Dask's default, so that whatever computes Dask arrays needs to know nothing of it.
Files that workers are to read or to write must lie where the workers see them under the same path.
"""

from __future__ import annotations

import asyncio
import json
import logging
import platform
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cycseq.errors import MissingPackageError, SettingsError, check_at_least

LOCAL = "local"  # stands for worker processes on this machine
SECONDS = 5  # time in which a scheduler must answer
SECONDS_FOR_WORKERS = 30  # time in which a worker must be there: workers may just be starting
SAME_EVERYWHERE = ("cycseq", "anndata", "numpy", "pandas", "scipy", "scikit-learn", "torch")
"""Packages that results depend on: workers without them, or with another version, are refused."""


@contextmanager
def cluster(scheduler: str | None, *, jobs: int = 1, memory: int | None = None) -> Iterator[Any]:
    """A `distributed.Client` of the cluster, Dask's default while the block lasts; None where no scheduler is named.

    The scheduler is ``"tcp://host:port"`` of a running one, the JSON file that ``dask scheduler --scheduler-file`` wrote, or
    ``"local"``, which starts so many worker processes of one thread each; they end with the block, also where this process is
    killed, and may take so many bytes of memory together: near it their results go to disk, beyond it a worker is ended and begun
    anew (None lets each take its share of the machine's). A running cluster has its own workers and limits. Raises
    `MissingPackageError` if the package ``distributed`` is not installed, and `SettingsError` if nobody answers at the address, the
    cluster has no workers, or its workers have other versions.
    """
    if scheduler is None:
        yield None
        return
    check_at_least(1, jobs=jobs)
    try:
        import dask
        from distributed import Client, LocalCluster
    except ModuleNotFoundError as err:
        msg = "--scheduler needs dask and distributed, which are not installed: pip install 'cycseq[scale]'."
        raise MissingPackageError(msg) from err
    with _silence_logs():
        if scheduler == LOCAL:
            with (
                dask.config.set({"distributed.deploy.lost-worker-timeout": "1h"}),  # 15 s: less than a busy start takes
                LocalCluster(
                    n_workers=jobs,
                    threads_per_worker=1,
                    processes=True,
                    memory_limit="auto" if memory is None else memory // jobs,
                    dashboard_address=None,
                    silence_logs=logging.CRITICAL,
                ) as local_cluster,
                Client(local_cluster) as client,
            ):
                yield client
            return
        with Client(_check_scheduler(scheduler), timeout=SECONDS) as client:
            _check_workers(client, scheduler)
            yield client


def _check_scheduler(scheduler: str) -> str:
    """The address of the scheduler, if one answers there; `SettingsError` if not.

    A client that fails to connect is never quite closed, so that one message is exchanged before there is one.
    """
    from distributed import Security
    from distributed.comm.core import connect

    async def hello(address: str) -> None:
        comm = await connect(address, timeout=SECONDS, **Security().get_connection_args("client"))
        await comm.close()

    try:
        path = Path(scheduler)
        address = str(json.loads(path.read_text(encoding="utf-8"))["address"]) if path.is_file() else scheduler
        with ThreadPoolExecutor(1) as own_thread:  # a notebook has a running event loop in its own
            own_thread.submit(asyncio.run, hello(address)).result()
    except (OSError, ValueError, KeyError, TypeError, MemoryError) as err:  # no scheduler may answer with anything
        why = " ".join(str(err).split())[:120]
        raise SettingsError(
            f"no Dask scheduler answers at --scheduler {scheduler} ({why}): give the address that dask scheduler printed, "
            f"such as tcp://host:8786, or --scheduler {LOCAL}."
        ) from err
    return address


def _check_workers(client: Any, scheduler: str) -> None:
    """Raise `SettingsError` if there are no workers, or workers that would compute something else."""
    try:
        client.wait_for_workers(1, timeout=SECONDS_FOR_WORKERS)
    except TimeoutError as err:
        msg = f"the Dask cluster at {scheduler} has no workers: start some with dask worker {scheduler} --nthreads 1."
        raise SettingsError(msg) from err
    here = {"python": ".".join(platform.python_version_tuple()[:2])}
    there = {"python": client.run(platform.python_version)}
    for name in SAME_EVERYWHERE:
        with suppress(PackageNotFoundError):  # what an extra brings may be absent here, and is then not needed there
            here[name] = version(name)
            there[name] = client.run(version, name, on_error="return")
    for name, expected in here.items():
        for worker, answer in there[name].items():
            state = "lacks it" if isinstance(answer, Exception) else f"has {answer}"
            if state != f"has {expected}" and not (name == "python" and str(answer).startswith(f"{expected}.")):
                raise SettingsError(
                    f"the worker {worker} {state}, but {name} is {expected} here: results depend on it, so install the same "
                    f"there (pip install -c constraints.txt) and start the worker again."
                )


@contextmanager
def _silence_logs() -> Iterator[None]:
    """What distributed logs of lost and restarted workers tells a user nothing that he can fix; we say what he can."""
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
