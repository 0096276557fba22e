"""Which pathways move in a response: gene sets from a GMT file, and a competitive rank test of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.stats import false_discovery_control, norm, rankdata

from cycseq.arrays import Profile
from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.posterior import CONDITIONS, changes
from cycseq.data.pseudobulk import control_means
from cycseq.errors import DataError, FileError, SettingsError
from cycseq.files import existing_file

COLUMNS = ("context", "perturbation", "pathway", "n_genes", "mean_delta", "z", "p", "p_adjusted", "leading_genes")
GeneSets = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class _Response:
    """What the genes of a condition are ranked by, and how much they move."""

    condition: Condition
    statistic: Profile
    delta: Profile


@dataclass
class PathwaySettings:
    """How pathways are tested."""

    fewest: int = 5
    """Sets with fewer genes among those of the data are left out."""
    most: int = 1000
    """Sets with more genes among those of the data are left out."""
    correlation: float = 0.01
    """Assumed correlation of the ranks of genes of one set; 0 is Wilcoxon's test, which takes genes as independent."""

    def __post_init__(self) -> None:
        if not 1 <= self.fewest <= self.most:
            msg = f"sets of {self.fewest} to {self.most} genes make no sense: say --fewest 5 --most 1000."
            raise SettingsError(msg)
        if not 0 <= self.correlation < 1:
            msg = f"--correlation is {self.correlation:g}, but must be at least 0 and below 1."
            raise SettingsError(msg)


def read_gmt(path: Path) -> GeneSets:
    """Gene sets by name, from a GMT file: a line each of name, description and genes, separated by tabs.

    Genes that a line names twice count once.

    Raises
    ------
    FileError
        If the file is absent, is no text, a line has no gene, or two lines have one name.
    """
    try:
        lines = existing_file(path).read_text(encoding="utf-8").splitlines()
    except (UnicodeDecodeError, OSError) as err:
        msg = f"{path} is no GMT file: expected text, a line of name, description and genes, separated by tabs."
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
            msg = f"{path}, line {number}: a second set is called {name!r}. Give each set its own name."
            raise FileError(msg)
        sets[name] = genes
    if not sets:
        msg = f"{path} holds no gene set."
        raise FileError(msg)
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
    """
    settings = settings or PathwaySettings()
    predicted = predicted.require("log1p", "pathway reading")
    places = predicted.adata.var_names
    found = {name: np.sort(np.unique(places.get_indexer(list(genes)))) for name, genes in sets.items()}
    found = {name: columns[columns >= 0] for name, columns in found.items()}
    if max((len(columns) for columns in found.values()), default=0) < settings.fewest:
        given = next(iter(sets.values()), ("none",))
        msg = (
            f"no gene set has {settings.fewest} genes among those of the data: the data have {places[0]}, ...; the sets "
            f"{given[0]}, .... Name genes alike in both, or say a smaller --fewest."
        )
        raise DataError(msg)
    tables = []
    for response in _responses(predicted, control):
        kept = np.setdiff1d(np.arange(len(places)), predicted.targets(response.condition))
        tables.append(_tested(response, kept, found, list(places), settings))
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)]


def set_deltas(
    data: PerturbationData, scores: pd.DataFrame, sets: Mapping[str, Sequence[str]]
) -> Float[np.ndarray, "rows"]:
    """For every row of `pathway_scores`, the mean delta of the set in other cells (real ones); NaN where not measured.

    Parameters
    ----------
    data
        Real cells with controls, log1p.
    scores
        What `pathway_scores` returned.
    sets
        The same sets.
    """
    measured = {c.condition: c.delta for c in _responses(data.require("log1p", "pathway reading (real)"), None)}
    places = data.adata.var_names
    means = []
    for context, perturbation, name in zip(scores["context"], scores["perturbation"], scores["pathway"], strict=True):
        condition = Condition(context, perturbation)
        columns = np.setdiff1d(places.get_indexer(list(sets[name])), [-1, *data.targets(condition)])
        known = condition in measured and len(columns) > 0
        means.append(float(measured[condition][columns].mean()) if known else np.nan)
    return np.array(means, dtype=np.float64)


def rank_test(
    ranks: Float[np.ndarray, "genes"], members: Int[np.ndarray, "members"], correlation: float
) -> tuple[float, float]:
    """The z (positive: higher ranks) and two-sided p of the ranks of a set among all, its members correlated.

    The variance of the rank sum is that of Wu and Smyth 2012, section "Accounting for inter-gene correlation" (as in
    limma's rankSumTestWithCorrelation), with correction for ties and continuity.
    """
    n, n1 = len(ranks), len(members)
    n2 = n - n1
    u = float(ranks[members].sum()) - n1 * (n1 + 1) / 2
    variance = n1 * n2 * (n + 1) / 12
    if correlation > 0 and n1 > 1:
        variance = (
            np.arcsin(1.0) * n1 * n2
            + np.arcsin(0.5) * n1 * n2 * (n2 - 1)
            + np.arcsin(correlation / 2) * n1 * (n1 - 1) * n2 * (n2 - 1)
            + np.arcsin((correlation + 1) / 2) * n1 * (n1 - 1) * n2
        ) / (2 * np.pi)
    ties = np.unique(ranks, return_counts=True)[1].astype(np.float64)
    variance *= 1 - (ties * (ties**2 - 1)).sum() / (n * (n**2 - 1.0))
    if variance <= 0:
        return 0.0, 1.0
    off = u - n1 * n2 / 2
    z = float(np.sign(off) * max(abs(off) - 0.5, 0.0) / np.sqrt(variance))
    return z, float(2 * norm.sf(abs(z)))


def _responses(data: PerturbationData, control: PerturbationData | None) -> list[_Response]:
    """Statistic and delta of every perturbed condition."""
    conditions = [condition for condition in data.conditions() if not condition.is_control]
    if CONDITIONS in data.adata.uns:
        found = []
        for condition in conditions:
            table = changes(data, condition).loc[data.genes]
            delta, sd = table["effect"].to_numpy(), table["sd"].to_numpy()
            found.append(_Response(condition, delta / np.maximum(sd, np.finfo(np.float32).tiny), delta))
        return found
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
    response: _Response,
    kept: Int[np.ndarray, "kept"],
    sets: Mapping[str, np.ndarray],
    genes: list[str],
    settings: PathwaySettings,
) -> pd.DataFrame:
    ranks = np.full(len(genes), np.nan)
    ranks[kept] = rankdata(response.statistic[kept])
    delta, rows = response.delta, []
    for name, columns in sets.items():
        members = np.intersect1d(columns, kept)
        if not settings.fewest <= len(members) <= min(settings.most, len(kept) - 1):
            continue
        z, p = rank_test(ranks[kept], np.searchsorted(kept, members), settings.correlation)
        order = members[np.argsort(-np.sign(z or 1.0) * delta[members], kind="stable")]
        leading = ";".join(genes[i] for i in order[:5])
        rows.append(
            (*response.condition, name, len(members), float(delta[members].mean(dtype=np.float64)), z, p, leading)
        )
    table = pd.DataFrame(rows, columns=[name for name in COLUMNS if name != "p_adjusted"])
    table["p_adjusted"] = false_discovery_control(table["p"]) if len(table) else []
    return table.sort_values(["p", "pathway"], kind="stable")
