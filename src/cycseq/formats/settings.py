"""How files are read, and how the first CycSeq's data sets become one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from cycseq.data.settings import ObsKeys, OtherControls, SaidEffectScale, SaidScale
from cycseq.errors import SettingsError

Orientation = Literal["cells-by-genes", "genes-by-cells"]
CORPUS = (
    "jost2020", "nk_cropseq", "norman2019_raw", "replogle2022_k562_counts", "replogle2022_rpe1_counts", "pancancer",
)  # fmt: skip
"""Counts, or what becomes log1p alike; the first CycSeq took Replogle's standardised values, which cannot be joined to counts."""


@dataclass(frozen=True)
class ReadSettings:
    """How a file is to be read; all that is left out is found, and printed."""

    perturbation_key: str | None = None
    """obs column of the perturbation of each cell."""
    context_key: str | None = None
    """obs column of the cell line or cell type."""
    batch_key: str | None = None
    """obs column of the batch, donor or replicate."""
    control: str | list[str] | tuple[str, ...] | None = None
    """Label of the control cells; several joined by commas are one control together, and each may be a pattern
    ('non-targeting*'); `none` where the file has no control cells."""
    other_controls: OtherControls = "leave-out"
    """What becomes of cells with a label that looks like a control and is not named by --control: leave-out, or keep
    (as a perturbation)."""
    guide_suffix: str | None = None
    """What labels of guides end in, as a regular expression ('_g\\d+'), or `auto`: guides of one gene become one
    perturbation. Left out, each label is a perturbation of its own."""
    split_by: str | None = None
    """obs column, such as the time, each level of which becomes a context of its own (`K562_time_24`) with its own
    controls; times are pooled otherwise."""
    scale: SaidScale | SaidEffectScale | None = None
    """What the values are: `counts`; `log1p`, the natural logarithm of 1 + counts per 10,000 (or per another total, to be
    taken as they are); `log2`, the same to base 2; `normalised`, counts of equal totals without a logarithm; `scaled`,
    standardised genes. Of effects: `log1p` (differences of log1p means), `log_pseudobulk`, `log_fold_change` (natural),
    `log2_fold_change`, `z` or `rank`. Found from the values if left out."""
    layer: str | None = None
    """Take the values from this layer instead of X; `raw` takes `.raw`, `obsm/NAME` takes predictions
    that lie there (real cells are read from X then)."""
    context_name: str | None = None
    """Context of all cells where no column names one; the file's name if left out."""
    make_unique: bool = False
    """Give duplicated cells and genes a suffix instead of refusing them."""
    drop_unlabelled: bool = False
    """Leave out cells without a perturbation or context instead of refusing them."""
    drop_empty: bool = False
    """Leave out cells whose values are all zero instead of refusing them."""
    orientation: Orientation | None = None
    """Whether the rows of a CSV or NPY file are cells or genes."""
    labels_file: Path | None = None
    """CSV with one row per cell and obs columns, for files that hold values only; GEO's `cell_identities` is one."""
    label_columns: tuple[str, ...] = ()
    """Columns of a CSV of cells that are labels, not genes, though they hold numbers; usual names need not be said."""
    genes_file: Path | None = None
    """Names of the genes, one per line, for NPY and NPZ files, and for h5ad whose genes are only numbered."""
    kind: Literal["cells", "effects"] | None = None
    """Whether the rows are cells (or samples), or effects of whole conditions: differences to controls. Found if left out."""
    doses: Literal["separate", "pool"] | None = None
    """Whether doses and times of a perturbation are conditions of their own. Cells are pooled if left out; effects, and what
    `cycseq summarize` makes of cells, are separate where there are several."""
    dose_key: str | None = None
    """obs column of the dose: numbers with units ('10 uM'), or names of levels."""
    dose_unit: str | None = None
    """Unit of doses that are bare numbers: nM, uM, ug/mL, mg/kg, Gy and the like."""
    time_key: str | None = None
    """obs column of the time; bare numbers are hours."""

    memory: str | None = None
    """Memory for cells and what is computed from them, for example 4GiB, beside the interpreter and its libraries: values
    of an h5ad or zarr file that take more than a quarter of it stay in the file and are read in parts. All of the machine's
    memory if left out."""

    def keys(self) -> ObsKeys:
        """The obs columns that were given."""
        columns = (self.perturbation_key, self.context_key, self.batch_key, self.control)
        return ObsKeys(*columns, self.other_controls, self.guide_suffix, self.split_by)


READING = tuple(field.name for field in fields(ReadSettings))  # Names of the options that say how data are read


def refuse_reading(options: Iterable[str]) -> None:
    """Raise `SettingsError` where options of reading are given for data that were read already, on which they would do nothing."""
    if names := list(options):
        msg = f"{', '.join(names)} would do nothing here, because these data were read already: give {'it' if len(names) == 1 else 'them'} to cycseq.read."
        raise SettingsError(msg)


@dataclass(frozen=True)
class CorpusSettings:
    """How the first CycSeq's data sets become one (`cycseq datasets fetch cycseq`)."""

    datasets: tuple[str, ...] = CORPUS
    """Names of the data sets, separated by commas."""
    genes: int = 2000
    """How many highly variable genes to keep of those that all data sets have; perturbed genes are kept besides."""
    combat: bool = True
    """Shift batches onto each other with ComBat, fitted on control cells."""
    metacells: bool = True
    """Average cells of a condition to metacells, as CycSeq does."""
    metacell_cells: int = 50
    """Cells in a metacell."""
    metacell_draws: int = 50
    """Metacells of each condition."""
    seed: int = 0
    """Fixes the draws of metacells."""
