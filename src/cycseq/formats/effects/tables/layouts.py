"""How tools for differential expression name their columns, and on which scale their effects are: one line each."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable
from dataclasses import dataclass

from cycseq.data.usual_names import BATCH_NAMES, DOSES, METADATA_NAMES, TIMES
from cycseq.errors import DataError, unknown_name
from cycseq.formats.effects.names import CONTEXTS, ERRORS, ORIGINS, PERTURBATIONS
from cycseq.formats.settings import ReadSettings
from cycseq.formats.treatments import DOSE_UNITS, TIME_UNITS

LOG2, NATURAL = "log2 fold change", "natural log fold change"


@dataclass(frozen=True)
class Layout:
    """Columns by which the table of a tool is known, in lower case."""

    tool: str
    columns: frozenset[str]
    value: str  # the column of effects
    scale: str
    """What they are, in words that `cycseq.formats.effects.scales.scale_in_text` understands; empty where it depends."""


LAYOUTS = (
    Layout("scanpy's rank_genes_groups", frozenset({"names", "logfoldchanges"}), "logfoldchanges", LOG2),
    Layout("Seurat's FindMarkers", frozenset({"avg_log2fc", "pct.1", "pct.2"}), "avg_log2fc", LOG2),
    Layout("FindMarkers of Seurat before version 4", frozenset({"avg_logfc", "pct.1", "pct.2"}), "avg_logfc", NATURAL),
    Layout("DESeq2", frozenset({"log2foldchange", "basemean"}), "log2foldchange", LOG2),
    Layout("limma", frozenset({"logfc", "aveexpr"}), "logfc", LOG2),
    Layout("edgeR", frozenset({"logfc", "logcpm"}), "logfc", LOG2),
    Layout("pertpy's Statsmodels", frozenset({"variable", "log_fc", "adj_p_value", "t_value"}), "log_fc", ""),
    Layout("pertpy", frozenset({"variable", "log_fc", "adj_p_value"}), "log_fc", LOG2),
)
"""Long tables, one row for each gene of a comparison. The first that fits counts.

Sources: `scanpy.get.rank_genes_groups_df` (log2); Seurat 2 and 3 take natural logarithms, from version 4 on base 2; DESeq2's
`results`; limma's `topTable`; edgeR's `topTags`; pertpy's `tl.PyDESeq2`, `tl.EdgeR`, `tl.WilcoxonTest` and `tl.TTest` (log2),
and `tl.Statsmodels`, whose coefficient is on the scale of the data.
"""
WIDE_LAYOUTS = (
    Layout("OP3's de_train", frozenset({"cell_type", "sm_name", "sm_lincs_id", "smiles"}), "", "signed -log10 p"),
)
"""Wide tables, one row for each condition and one column for each gene."""

VALUES = (
    "log2fc", "log2_fc", "log2foldchange", "log2_fold_change", "log2foldchanges", "avg_log2fc", "log_fold_change",
    "logfoldchange", "logfoldchanges", "logfc", "log_fc", "lfc", "ln_fc", "lnfc", "log10fc", "avg_logfc", "effect", "effect_size",
    "delta", "z", "z_score", "zscore", "z-score", "modz", "t_statistic", "rank",
)  # fmt: skip
"""Columns of effects, in lower case, of long tables of no tool that is known; the name may tell the scale."""
GENES = (
    "names", "variable", "gene_symbol", "symbol", "hgnc_symbol", "gene_name", "genename", "external_gene_name", "feature",
    "primerid", "gene", "genes", "gene_id", "geneid", "gene_ids", "ensembl", "ensembl_gene_id", "ensembl_id", "id",
)  # fmt: skip
"""Columns of measured genes. `gene` stands late: where another is there it may be the perturbed one."""
ROW_NAMES = ("", "unnamed: 0", "index", "rn", "rowname", "row.names")
"""What stands above the names of rows, which are genes in tables that R wrote."""
P_VALUES = frozenset(
    ("p_val", "p_value", "pvalue", "pvals", "pval", "p.value", "p_val_adj", "adj_p_value", "padj", "pvals_adj", "adj.p.val", "fdr",
     "qvalue", "q_value")
)  # fmt: skip
GROUPS = ("group", "cluster", "contrast", "comparison", "ident")
"""Columns that name what was compared, where no usual one names the perturbation."""
LABELS = tuple(
    dict.fromkeys((*PERTURBATIONS, *CONTEXTS, *BATCH_NAMES, *ORIGINS, *DOSES, *DOSE_UNITS, *TIMES, *TIME_UNITS))
)
"""Columns that tell one condition from another."""
NO_GENES = METADATA_NAMES.union(LABELS)
"""Columns of a wide table that are labels by their names."""


@dataclass(frozen=True)
class LongColumns:
    """Where a long table has what."""

    gene: str
    value: str
    se: str | None  # standard errors of `value`; None where another column than the usual one was named
    scale: str  # what the values are, in words
    tool: str  # empty where no tool is known


def long_columns(columns: Iterable[str], settings: ReadSettings) -> LongColumns | None:
    """The columns of a long table, one row for each gene of a condition; None where it is no such table.

    The setting `layer` names the column of effects, `perturbation_key` and `context_key` columns that are not those of genes.
    Raises `DataError` if the column that was named is not there.

    Examples
    --------
    >>> long_columns(["", "baseMean", "log2FoldChange", "lfcSE", "padj"], ReadSettings())
    LongColumns(gene='', value='log2FoldChange', se='lfcSE', scale='log2 fold change', tool='DESeq2')
    """
    columns = list(columns)
    by_name = {column.casefold(): column for column in reversed(columns)}
    layout = layout_of(columns, LAYOUTS)
    keys = {settings.perturbation_key, settings.context_key}
    genes = [by_name[name] for name in GENES if name in by_name and by_name[name] not in keys]
    if not genes and columns and columns[0].casefold() in ROW_NAMES:
        genes = [columns[0]]
    names = (*([layout.value] if layout else []), *VALUES)
    value = usual = next((by_name[name] for name in names if name in by_name), None)
    if settings.layer is not None and genes and (value is not None or settings.layer in columns):
        if settings.layer not in columns:
            raise unknown_name(settings.layer, "column", columns, DataError)
        value = settings.layer
    if value is None or not genes:
        return None
    compared = any(name in by_name and by_name[name] != genes[0] for name in (*PERTURBATIONS, *GROUPS))
    if layout is None and not compared and not P_VALUES & set(by_name) and settings.kind != "effects":
        return None
    of_layout = layout is not None and value == by_name[layout.value]
    se = None if usual not in (None, value) else next((by_name[name] for name in ERRORS if name in by_name), None)
    scale, tool = (layout.scale, layout.tool) if layout is not None and of_layout else (value, "")
    return LongColumns(genes[0], value, se, scale, tool)


def layout_of(columns: Iterable[str], layouts: Iterable[Layout]) -> Layout | None:
    """The first layout all of whose columns are there."""
    there = {column.casefold() for column in columns}
    return next((layout for layout in layouts if layout.columns <= there), None)


def named_columns(columns: Container[str], settings: ReadSettings) -> list[str]:
    """Those of the columns that settings name as labels."""
    keys = (settings.perturbation_key, settings.context_key, settings.batch_key, settings.dose_key, settings.time_key)
    return [key for key in (*keys, *settings.label_columns) if key is not None and key in columns]


def labels_by_name(columns: Collection[str], settings: ReadSettings) -> set[str]:
    """The columns of a wide table that are no genes, by their names."""
    return {column for column in columns if column.casefold() in NO_GENES} | {*named_columns(columns, settings)}
