"""What a fuzz target is, and what must hold whatever bytes it is given."""

from __future__ import annotations

import contextlib
import io
import resource
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import scipy.sparse as sp

from cycseq.data.dataset import PerturbationData
from cycseq.data.scale import SCALES
from cycseq.errors import CycseqError
from cycseq.formats.inspect import inspect_file
from cycseq.formats.read import read
from cycseq.formats.settings import ReadSettings
from cycseq.matrix.arrays import load

T = TypeVar("T")
SHARED_MEMORY = Path("/dev/shm")
LONGEST = 4000
"""Characters of the longest error message."""
MOST = 700 << 20
"""Bytes of memory that an input may take: what it may unpack to (256 MiB), and copies of that."""


@dataclass(frozen=True)
class Target:
    """One family of formats."""

    name: str
    run: Callable[[bytes, Path], None]
    """Reads the bytes, in an empty folder; raises if anything but a sound result or a `CycseqError` came of it."""
    seeds: Callable[[], Sequence[bytes]]
    """Valid inputs to start from."""


class Take:
    """Choices out of bytes, from the front; zeros when they are used up."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def raw(self, n: int) -> bytes:
        """The next n bytes, or what there is."""
        found = self._data[self._at : self._at + n]
        self._at += n
        return found

    def rest(self) -> bytes:
        """All that is left."""
        return self.raw(len(self._data))

    def below(self, n: int) -> int:
        """A number from 0 to n - 1."""
        return int.from_bytes(self.raw(1 if n <= 256 else 4), "little") % max(1, n)

    def one_of(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.below(len(options))]

    def number(self) -> int:
        """A whole number, small or absurd."""
        return self.one_of(
            [0, 1, -1, 2, 3, 7, 255, 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1, -(2**63), self.below(1 << 16)]
        )

    def text(self) -> str:
        """A short text: a telling one, or any."""
        return self.one_of(WORDS) if self.below(4) else self.raw(self.below(12)).decode("utf-8", "replace")


WORDS = (
    *(
        "control",
        "ctrl",
        "G1",
        "G2",
        "G1+G2",
        "G2+ctrl",
        "A_B",
        "",
        "nan",
        "none",
        "*",
        "doublet",
        "+",
        "G1+",
        "NT",
        "b0",
        "x",
    ),
    *(
        "perturbation",
        "condition",
        "context",
        "cell_type",
        "batch",
        "donor",
        "nperts",
        "dose_value",
        "X",
        "obs",
        "var",
        "raw",
    ),
    *(
        "a\x1b[31mb",
        "a\x00b",
        "a\nb",
        "../../x",
        "/etc/passwd",
        "<script>",
        "$\\x$",
        "\u202e",
        "é" * 40,
        "1e5",
        "True",
        "\ud800",
    ),
)


class _Unheard(io.StringIO):
    """Where warnings go; the fuzzer's alarm for slow inputs, which asks for a file, has the process's own."""

    def fileno(self) -> int:
        return sys.__stderr__.fileno() if sys.__stderr__ is not None else 2


def attempt(
    call: Callable[..., T], *args: Any, note: Callable[[str], None] = lambda _: None, **settings: Any
) -> T | None:
    """What the call returns; None where it refused in one plain line, which ``note`` is given."""
    before = largest()
    with warnings.catch_warnings(), contextlib.redirect_stderr(_Unheard()):
        warnings.simplefilter("ignore")
        try:
            return call(*args, **settings)
        except CycseqError as err:
            message = str(err)
            assert "\n" not in message, "an error of several lines"
            assert 0 < len(message) < LONGEST, f"an error of {len(message)} characters"
            note(message)
            return None
        finally:
            assert largest() - before < MOST, f"it took {largest() - before:,} bytes of memory"


def largest() -> int:
    """Bytes of memory that the process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << (0 if sys.platform == "darwin" else 10)


def read_soundly(
    path: Path, settings: ReadSettings, *, inspected: bool = False, note: Callable[[str], None] = lambda _: None
) -> PerturbationData | None:
    """Read a file; what comes of it must be what the door promises."""
    data = attempt(read, path, settings, note=note)
    if data is not None:
        check_sound(data)
    if inspected:
        found = attempt(inspect_file, path, settings)
        assert found is None or found.text()
        assert found is None or data is None or not (found.ready and found.problems)
    return data


def check_sound(data: PerturbationData) -> None:
    """Labels, names, scale and values as `PerturbationData` promises them."""
    adata = data.adata
    x = load(data.x)
    assert data.scale in SCALES
    assert adata.n_obs
    assert adata.n_vars
    assert adata.obs_names.is_unique
    assert adata.var_names.is_unique
    assert x.dtype == np.float32
    assert x.shape == adata.shape
    if sp.issparse(x):
        sp.csr_matrix((x.data, x.indices, x.indptr), shape=x.shape).check_format(full_check=True)
        assert x.has_canonical_format
    stored = x.data if sp.issparse(x) else x
    assert np.isfinite(stored).all()
    for condition in data.conditions():
        assert condition.context
        assert condition.perturbation
    assert data.moments.n_cells.sum() == data.n_cells
    assert len(data.fingerprint()) == 32
    attempt(data.provenance)
    attempt(data.take, np.arange(0, data.n_cells, 2))
    attempt(data.with_genes, data.genes[::-1])


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder, in memory where there is such a place."""
    within = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="cycseq-fuzz-", dir=within) as folder:
        yield Path(folder)
