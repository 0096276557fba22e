"""Genes that differ between the cells of a condition and control cells."""

import numpy as np
import pandas as pd

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.posterior import CONDITIONS, changes
from cycseq.data.usual_names import CONTROL
from cycseq.score.metrics.population import Population, adjusted_p
from cycseq.score.metrics.ranks import false_discovery_rate

MOST_CELLS = 500
"""Cells of the condition that are tested, and ten times as many controls: p-values depend on how many there are."""


def differential(
    data: PerturbationData,
    condition: Condition,
    control: PerturbationData | None = None,
    *,
    max_cells: int = MOST_CELLS,
    seed: int = 0,
) -> pd.DataFrame:
    """Delta and adjusted p-value of every gene: real or predicted cells against control cells.

    Cells of a model with a posterior (`ConditionKriging`) are not tested: p is that of delta being of the other sign,
    twice the local false sign rate of the posterior. All other cells are, by Wilcoxon's rank-sum test. Then p depends on how
    many cells were predicted, and a model that shifts control cells has filled their zeros, which the test takes for a
    difference in every gene: read such p-values with `zero_fraction_error` beside them.

    Parameters
    ----------
    data
        Real or predicted cells, log1p.
    condition
        Whose cells are tested.
    control
        Control cells of the context; None takes those among `data`. Their genes are put into the order of `data`.
    max_cells
        So many cells of the condition are drawn at most, and ten times as many controls.
    seed
        Fixes which.

    Returns
    -------
    Indexed by gene: `delta` (mean minus control mean, over all cells, log1p units) and `p_adjusted` (two-sided,
    Benjamini-Hochberg over the genes).

    Raises
    ------
    DataError
        If the condition or control cells of its context are absent, or genes are missing.

    Examples
    --------
    >>> import cycseq
    >>> data = cycseq.read("cells.h5ad")
    >>> table = cycseq.differential(data, data.conditions()[0])
    >>> table.shape, list(table.columns)
    ((60, 2), ['delta', 'p_adjusted'])
    """
    data = data.require("log1p", "differential")
    if CONDITIONS in data.adata.uns:
        believed = changes(data, condition).loc[data.genes]
        p_adjusted = false_discovery_rate(np.clip(2.0 * believed["lfsr"].to_numpy(dtype=np.float64), 0.0, 1.0))
        return pd.DataFrame({"delta": believed["effect"].astype(np.float64), "p_adjusted": p_adjusted})
    control = (data if control is None else control).require("log1p", "differential (control)").with_genes(data.genes)
    unperturbed = Condition(condition.context, CONTROL)
    cells, controls = (
        Population.of(side.x, [side.rows(one)], most, [[seed, *str(one).encode()]])
        for side, one, most in ((data, condition, max_cells), (control, unperturbed, 10 * max_cells))
    )
    return pd.DataFrame(
        {
            "delta": (cells.mean[0] - controls.mean[0]).astype(np.float64),
            "p_adjusted": adjusted_p(cells, controls, [0])[0],
        },
        index=pd.Index(data.genes, name="gene"),
    )
