"""Commands as processes that a test can kill: forked from a server that has imported everything, so that each is quick."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

NETWORKS = (
    "torch",
    "lightning.pytorch",
    "torch.utils.tensorboard",
    "cycseq.models.networks.vae",
    "cycseq.models.networks.training.loop",
)
IMPORTED = (
    *("cycseq.cli", "cycseq.commands.cells", "cycseq.commands.predictions", "cycseq.commands.repetition"),
    *(
        "cycseq.commands.scores",
        "cycseq.benchmarking.benchmark",
        "cycseq.formats.pieces",
        "cycseq.models.baselines.ridge",
    ),
    *(
        "cycseq.benchmarking.on_cluster",
        "cycseq.preparation.prepare",
        "cycseq.run.fitting",
        "cycseq.show.report.page",
        "cycseq.split.make",
    ),
    *("anndata.experimental", "rich.table", "zarr"),
)
CHANGES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate"}
"""Audit events before which a process can be killed: all that changes what is on the disk."""
STARTED = 60.0
"""Seconds that a process may take to begin, at most."""

server = multiprocessing.get_context("forkserver")
server.set_forkserver_preload([*IMPORTED, *NETWORKS])


@dataclass(frozen=True)
class Ill:
    """What befalls a process."""

    die_before: int = 0
    """Before which change on the disk it kills itself with SIGKILL, counted from 1; 0 never does."""
    largest: int = 0
    """No file may grow beyond so many bytes, as if the disk were full; 0 sets no limit."""
    plain_user: bool = False
    """Without the right of root to write where nobody may."""
    before: str = ""
    """Python that it runs before the command."""


class Typed:
    """A command as it is typed: a Python of its own, for what starts further processes."""

    def __init__(self, words: str, said: Path) -> None:
        with said.open("w") as out, said.with_suffix(".err").open("w") as err:
            typed = [sys.executable, "-m", "cycseq", *words.split()]
            self.process = subprocess.Popen(typed, stdout=out, stderr=err, start_new_session=True)
        self.pid = self.process.pid

    @property
    def exitcode(self) -> int | None:
        return self.process.poll()

    def join(self, timeout: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout)


def started(words: str, said: Path, **ill: Any) -> Any:
    """A process that runs a command in a group of its own, what it says in a file; it has begun when this returns.

    Parameters
    ----------
    words
        What would be typed after ``cycseq``.
    said
        For the standard output; the error stream goes beside it (`.err`), the number of changes too (`.changes`).
    ill
        What befalls it, as of `Ill`.
    """
    if "--jobs" in words:
        return Typed(words, said)
    begun = server.Event()
    alone = "--model.devices" not in words  # what starts processes of its own may be no daemon
    process = server.Process(target=_run, args=(words.split(), str(said), Ill(**ill), begun), daemon=alone)
    process.start()
    assert begun.wait(STARTED), "the process did not begin"
    return process


@contextlib.contextmanager
def forked_workers() -> Iterator[None]:
    """Dask's worker processes are forked from the server too: each begins at once, where a Python of its own takes seconds."""
    import dask

    forkserver.ensure_running()  # with our imports, before Dask asks for its own
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        yield


def run(words: str, said: Path, *, timeout: float = 120.0, **ill: Any) -> int:
    """The exit code of a command; minus the signal's number where it was killed."""
    process = started(words, said, **ill)
    process.join(timeout)
    assert process.exitcode is not None, f"{words} did not end"
    return int(process.exitcode)


def changes(said: Path) -> int:
    """How many changes on the disk the command made."""
    return int(said.with_suffix(".changes").read_text())


def killed_after(words: str, said: Path, seconds: float, number: int = signal.SIGKILL) -> int:
    """As `run`, with a signal to the whole group (as Ctrl-C sends it) after some seconds; SIGKILL to the process alone."""
    process = started(words, said)
    process.join(seconds)
    if process.exitcode is None:
        if number == signal.SIGKILL:
            os.kill(process.pid, number)
        else:
            os.killpg(process.pid, number)
    process.join(60.0)
    assert process.exitcode is not None, f"{words} did not end"
    return int(process.exitcode)


def leftovers(folder: Path) -> list[str]:
    """Temporary files: everything whose name begins with a dot, save the files of a zarr store."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob(".*") if not path.name.startswith(".z"))


def gone(pid: int, seconds: float = 10.0) -> bool:
    """Whether a process ends in this time."""
    for _ in range(int(seconds * 10)):
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.1)
    return False


def _give_up_root() -> None:
    """Drop the capabilities to pass over permissions (1 and 2: CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH)."""
    library = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable, twice
    assert library.capget(header, sets) == 0
    sets[0] &= ~0b110
    assert library.capset(header, sets) == 0


def _run(words: list[str], said: str, ill: Ill, begun: Any) -> None:
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for stream, name in ((1, said), (2, f"{Path(said).with_suffix('.err')}")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), stream)
    sys.stdout, sys.stderr = (os.fdopen(os.dup(stream), "w", buffering=1) for stream in (1, 2))
    seen = 0

    def look(event: str, args: tuple[Any, ...]) -> None:
        nonlocal seen
        writes = event != "open" or (isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        if event in CHANGES and writes and not str(args[0]).startswith(("/dev", "/proc", "/sys")):
            seen += 1
            if seen == ill.die_before:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.dont_write_bytecode = (
        True  # what Python compiles is no change of ours, and is cut off where files may not be large
    )

    from cycseq.cli import main
    from empty_figures import draw_nothing

    exec(ill.before, {})
    sys.addaudithook(look)
    if ill.plain_user and os.geteuid() == 0:
        _give_up_root()
    if ill.largest:
        resource.setrlimit(resource.RLIMIT_FSIZE, (ill.largest, ill.largest))
    try:
        with draw_nothing():
            begun.set()
            code = main(words)
    except KeyboardInterrupt:  # between the lines above
        code = 130
    if not ill.largest:
        Path(said).with_suffix(".changes").write_text(str(seen))
    sys.exit(code)
