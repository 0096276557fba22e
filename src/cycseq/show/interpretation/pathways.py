"""Which pathways move in a response: gene sets from a GMT file, and a competitive rank test of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int
from scipy.stats import norm

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.gene_names import why_genes_differ
from cycseq.data.posterior import CONDITIONS, changes
from cycseq.errors import DataError, FileError
from cycseq.io.files import require_file
from cycseq.matrix.arrays import Profile
from cycseq.preparation.pseudobulk import control_means
from cycseq.score.metrics.ranks import false_discovery_rate, mean_ranks
from cycseq.show.interpretation.settings import PathwaySettings

COLUMNS = ("context", "perturbation", "pathway", "n_genes", "mean_delta", "z", "p", "p_adjusted", "leading_genes")
LEADING = 5  # genes that are named for each set
GeneSets = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class _Response:
    """What the genes of a condition are ranked by, and how much they move."""

    condition: Condition
    statistic: Profile
    delta: Profile


@dataclass(frozen=True)
class _Sets:
    """Gene sets as a table of members."""

    names: np.ndarray
    genes: np.ndarray
    members: sp.csr_array  # sets x genes of the data, 1 where a gene is in a set

    @classmethod
    def of(cls, sets: Mapping[str, Sequence[str]], genes: pd.Index) -> Self:
        """Genes that the data lack are left out, and each counts once."""
        place = {gene: i for i, gene in enumerate(genes)}
        columns = [sorted({place[gene] for gene in of_set if gene in place}) for of_set in sets.values()]
        ends = np.cumsum([0, *map(len, columns)])
        flat = np.fromiter(chain.from_iterable(columns), dtype=np.int64, count=ends[-1])
        members = sp.csr_array((np.ones(len(flat)), flat, ends), shape=(len(columns), len(genes)))
        return cls(np.array(list(sets), dtype=object), genes.to_numpy(dtype=object), members)


def read_gmt(path: Path | str) -> GeneSets:
    r"""Gene sets by name, from a GMT file: a line each of name, description and genes, separated by tabs.

    Genes that a line names twice count once.

    Raises
    ------
    FileError
        If the file is absent, is not text, a line has no gene, or two lines have one name.

    Examples
    --------
    >>> import cycseq
    >>> from pathlib import Path
    >>> _ = Path("sets.gmt").write_text("a set\tits description\tG0001\tG0002\n")
    >>> cycseq.read_gmt(Path("sets.gmt"))
    {'a set': ('G0001', 'G0002')}
    """
    path = Path(path)
    try:
        lines = require_file(path).read_text(encoding="utf-8").splitlines()
    except (UnicodeDecodeError, OSError) as err:
        msg = f"{path} is not a GMT file: expected text, a line of name, description and genes, separated by tabs."
        raise FileError(msg) from err
    sets: GeneSets = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, *rest = (word.strip() for word in line.split("\t"))
        genes = tuple(dict.fromkeys(gene for gene in rest[1:] if gene))  # the first is the description
        if not genes or not name:
            msg = f"{path}, line {number}: expected name, description and genes separated by tabs, found {line[:40]!r}."
            raise FileError(msg)
        if name in sets:
            raise FileError(f"{path}, line {number}: a second set is called {name!r}. Give each set its own name.")
        sets[name] = genes
    if not sets:
        raise FileError(f"{path} holds no gene set.")
    return sets


def pathway_scores(
    predicted: PerturbationData,
    sets: Mapping[str, Sequence[str]],
    control: PerturbationData | None = None,
    *,
    settings: PathwaySettings | None = None,
) -> pd.DataFrame:
    """Every gene set in the response of every condition: does it move more than the other genes?

    Genes are ranked by their statistic: the posterior mean over its standard deviation where the model says them
    (`ConditionKriging`), else delta. The genes that a condition perturbs are left out. The test is the competitive rank
    test of CAMERA (Wu and Smyth 2012, Nucleic Acids Research 40, e133), two-sided, with a preset correlation of the
    genes of a set; p-values are adjusted by Benjamini and Hochberg over the sets of a condition.

    Parameters
    ----------
    predicted
        Predicted (or real) cells, log1p.
    sets
        Genes by name of the set, of `read_gmt`.
    control
        Control cells of the contexts, log1p, for models without a posterior; None takes those among `predicted`.
    settings
        Which sets are tested, and how.

    Returns
    -------
    Columns `COLUMNS`, the smallest p first in each condition. `mean_delta` is over the set's genes, log1p units; `z`
    is positive where the set moves up; `leading_genes` are the five that move most in its direction.

    Raises
    ------
    DataError
        If no set has enough genes in the data, there are no control cells where they are needed, or cells are not log1p.

    Examples
    --------
    >>> import cycseq
    >>> data = cycseq.read("cells.h5ad")
    >>> sets = {"first": data.genes[:20], "last": data.genes[-20:]}
    >>> sorted(set(cycseq.pathway_scores(data, sets)["pathway"]))
    ['first', 'last']
    """
    settings = settings or PathwaySettings()
    predicted = predicted.require("log1p", "pathway reading")
    places = predicted.adata.var_names
    table = _Sets.of(sets, places)
    if table.members.sum(axis=1).max(initial=0) < settings.fewest:
        named = sorted({gene for genes in sets.values() for gene in genes}) or ["none"]
        raise DataError(
            f"no gene set has {settings.fewest} genes among those of the data: the data have {places[0]}, ...; the sets "
            f"{named[0]}, .... {why_genes_differ(list(places), named)} A smaller --fewest takes smaller sets."
        )
    tables = []
    for response in _responses(predicted, control):
        ranked = np.ones(len(places), dtype=bool)
        ranked[predicted.targets(response.condition)] = False
        tables.append(_tested(response, ranked, table, settings))
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)]


def set_deltas(
    data: PerturbationData, scores: pd.DataFrame, sets: Mapping[str, Sequence[str]]
) -> Float[np.ndarray, "rows"]:
    """For every row of `pathway_scores`, the mean delta of the set in other cells (real ones); NaN where not measured."""
    measured = {c.condition: c.delta for c in _responses(data.require("log1p", "pathway reading (real)"), None)}
    table = _Sets.of({name: sets[name] for name in scores["pathway"].unique()}, data.adata.var_names)
    place = {name: i for i, name in enumerate(table.names)}
    means = np.full(len(scores), np.nan)
    labels = pd.MultiIndex.from_frame(scores[["context", "perturbation"]])
    row_of, conditions = pd.factorize(labels)
    for number, (context, perturbation) in enumerate(conditions):
        rows = np.flatnonzero(row_of == number)
        condition = Condition(context, perturbation)
        if condition in measured:
            counted = np.ones(len(table.genes), dtype=np.float64)
            counted[data.targets(condition)] = 0.0
            here = table.members[[place[name] for name in scores["pathway"].iloc[rows]]]
            with np.errstate(invalid="ignore"):  # a set of which no gene is left has no mean
                means[rows] = (here @ (measured[condition] * counted)) / (here @ counted)
    return means


def rank_test(
    rank_sum: Float[np.ndarray, "sets"],
    size: Int[np.ndarray, "sets"],
    ranks: Float[np.ndarray, "genes"],
    correlation: float,
) -> tuple[Float[np.ndarray, "sets"], Float[np.ndarray, "sets"]]:
    """The z (positive: higher ranks) and two-sided p of every set of genes among all, its members correlated.

    The variance of the rank sum is that of Wu and Smyth 2012, section "Accounting for inter-gene correlation" (as in limma's
    rankSumTestWithCorrelation), with correction for ties and continuity. Ties have their mean rank; `correlation` is that of the
    ranks of any two genes of a set.
    """
    n, n1 = len(ranks), np.asarray(size, dtype=np.float64)
    n2 = n - n1
    variance = n1 * n2 * (n + 1) / 12
    if correlation > 0:
        correlated = (
            np.arcsin(1.0) * n1 * n2
            + np.arcsin(0.5) * n1 * n2 * (n2 - 1)
            + np.arcsin(correlation / 2) * n1 * (n1 - 1) * n2 * (n2 - 1)
            + np.arcsin((correlation + 1) / 2) * n1 * (n1 - 1) * n2
        ) / (2 * np.pi)
        variance = np.where(n1 > 1, correlated, variance)
    ties = np.unique(ranks, return_counts=True)[1].astype(np.float64)
    variance = variance * (1 - (ties * (ties**2 - 1)).sum() / (n * (n**2 - 1.0)))
    off = np.asarray(rank_sum, dtype=np.float64) - n1 * (n1 + 1) / 2 - n1 * n2 / 2
    spread = np.sqrt(np.where(variance > 0, variance, 1.0))
    z = np.where(variance > 0, np.sign(off) * np.maximum(np.abs(off) - 0.5, 0.0) / spread, 0.0)
    return z, np.where(variance > 0, 2 * norm.sf(np.abs(z)), 1.0)


def _responses(data: PerturbationData, control: PerturbationData | None) -> list[_Response]:
    """Statistic and delta of every perturbed condition."""
    conditions = [condition for condition in data.conditions() if not condition.is_control]
    if CONDITIONS in data.adata.uns:
        responses = []
        for condition in conditions:
            table = changes(data, condition).loc[data.genes]
            delta, sd = table["effect"].to_numpy(), table["sd"].to_numpy()
            responses.append(_Response(condition, delta / np.maximum(sd, np.finfo(np.float32).tiny), delta))
        return responses
    control = (data if control is None else control).require("log1p", "pathway reading (control)")
    means = control_means(control.with_genes(data.genes))
    for condition in conditions:
        if condition.context not in means:
            msg = f"no control cells of {condition.context} to compare {condition} with: give them with --real FILE."
            raise DataError(msg)
    rows = {condition: i for i, condition in enumerate(data.conditions())}
    deltas = [(c, (data.moments.mean[rows[c]] - means[c.context]).astype(np.float32)) for c in conditions]
    return [_Response(condition, delta, delta) for condition, delta in deltas]


def _tested(
    response: _Response, ranked: Bool[np.ndarray, "genes"], sets: _Sets, settings: PathwaySettings
) -> pd.DataFrame:
    size = (sets.members @ ranked.astype(np.float64)).astype(np.int64)
    tested = np.flatnonzero((size >= settings.fewest) & (size <= min(settings.most, int(ranked.sum()) - 1)))
    members, size = sets.members[tested], size[tested]
    ranks = np.zeros(len(ranked))
    ranks[ranked] = mean_ranks(response.statistic[ranked])
    z, p = rank_test(members @ ranks, size, ranks[ranked], settings.correlation)
    delta = np.where(ranked, response.delta, 0.0).astype(np.float64)
    table = pd.DataFrame(
        {
            "context": response.condition.context,
            "perturbation": response.condition.perturbation,
            "pathway": sets.names[tested],
            "n_genes": size,
            "mean_delta": (members @ delta) / size,
            "z": z,
            "p": p,
            "p_adjusted": false_discovery_rate(p),
            "leading_genes": _leading(response.delta, ranked, z, members, sets.genes),
        }
    )
    return table.sort_values(["p", "pathway"], kind="stable")


def _leading(
    delta: Profile, ranked: Bool[np.ndarray, "genes"], z: np.ndarray, members: sp.csr_array, genes: np.ndarray
) -> list[str]:
    """The genes of every set that move most in its direction, joined by semicolons."""
    row, gene = np.repeat(np.arange(members.shape[0]), np.diff(members.indptr)), members.indices
    inside = ranked[gene]
    row, gene = row[inside], gene[inside]
    direction = np.where(z == 0, 1.0, np.sign(z))
    order = np.lexsort((gene, -direction[row] * delta[gene], row))
    row, gene = row[order], gene[order]
    ends = np.searchsorted(row, np.arange(members.shape[0] + 1))
    return [";".join(genes[gene[start : min(start + LEADING, end)]]) for start, end in pairwise(ends)]
