"""Files -> `Effects`."""

from __future__ import annotations

from pathlib import Path

import anndata as ad

from cycseq.data.effects import Effects
from cycseq.formats.effects.anndata_files import load_anndata, read_ours, written_by_cycseq
from cycseq.formats.effects.from_table import effects_of_table
from cycseq.formats.effects.tables.files import fits_table, load_table
from cycseq.formats.load import default_context
from cycseq.formats.readers.base import FileContents
from cycseq.formats.settings import ReadSettings
from cycseq.io.special_files import refuse_special


def read_effects(source: Path | str | ad.AnnData, settings: ReadSettings | None = None) -> Effects:
    """Read a table of effects: what perturbations change, in rows of conditions.

    Parameters
    ----------
    source
        An h5ad or zarr file; a text or Parquet table, wide (a row for each condition, a column for each gene) or long (a row
        for each gene of a condition), such as scanpy, Seurat, DESeq2, limma, edgeR and pertpy write; GCT; or an AnnData of
        conditions x genes.
    settings
        What is not to be found: `scale`, `layer`, `perturbation_key`, `context_key`, `dose_key`, `dose_unit`, `time_key`,
        `doses` and others.

    Returns
    -------
    Effects
        One row for each condition: rows of one condition are replaced by their mean. Its `notes` say what was found and
        chosen. ``obs["dose_value"]`` holds the number of each dose; other columns are kept where a condition has one value.

    Raises
    ------
    FileError
        If the file is missing, damaged, or of no known format.
    DataError
        If labels, doses, scale or values are not what they must be; the message names the cure.
    MissingPackageError
        If a Parquet file is given and PyArrow is not installed.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import cycseq, pandas as pd
    >>> tested = {"gene": ["MYC", "TP53"] * 2, "target_gene": ["KLF1", "KLF1", "GATA1", "GATA1"]}
    >>> table = pd.DataFrame(tested | {"log2FoldChange": [-1.0, 0.5, None, 2.0], "lfcSE": [0.2, 0.1, None, 0.3]})
    >>> with TemporaryDirectory() as folder:
    ...     table.to_csv(Path(folder, "k562.csv"), index=False)
    ...     effects = cycseq.read_effects(Path(folder, "k562.csv"))
    >>> [str(condition) for condition in effects.conditions()], effects.genes
    (['k562:KLF1', 'k562:GATA1'], ['MYC', 'TP53'])
    >>> effects.scale, effects.effect.astype(float).round(3).tolist()
    ('log_fold_change', [[-0.693, 0.347], [nan, 1.386]])
    """
    settings = settings or ReadSettings()
    context, where = settings.context_name or default_context(source), settings.layer or ""
    if isinstance(source, ad.AnnData):
        contents, where = FileContents(source.to_memory() if source.isbacked else source), ""
    elif fits_table(path := refuse_special(Path(source))):
        contents, where = load_table(path, settings)
    else:
        contents = load_anndata(path, settings)
    if written_by_cycseq(contents.adata) and settings.layer is None:
        return read_ours(contents.adata)
    return effects_of_table(contents, settings, context, where)
