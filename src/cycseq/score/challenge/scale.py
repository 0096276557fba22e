"""The challenge's scale: the mean response as cells is 0, one half of the real cells predicting the other half is 1."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import scipy.sparse as sp

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.errors import DataError, FileError
from cycseq.io.files import text_of_path, write_text
from cycseq.io.untrusted import read_json, wrong_kinds
from cycseq.matrix.arrays import Codes, InMemory, take
from cycseq.matrix.groups import group_sums
from cycseq.score.ceiling import SPLIT_HALF
from cycseq.score.challenge.reference import CountReference, control_rows
from cycseq.score.challenge.rows import member_rows
from cycseq.score.metrics.challenge import CHALLENGE, METRICS
from cycseq.score.metrics.challenge.members import CountComparison, relative_error
from cycseq.score.metrics.challenge.profiles import ControlProfile, CountProfiles, load_groups

RULE = 3  # version of the challenge's rule
CONTROL_LABEL = "non-targeting"
"""The challenge's name of control cells; it decides where they stand among the conditions that are halved."""
MEAN_RESPONSE = "MeanResponse"  # names the rows of the baseline
SPLITS = 5
HIGHER_IS_BETTER = {metric.name: metric.direction == "higher" for metric in METRICS}
LIMITS = {"expr_mse_unbiased_capped_norm": (0.0, 1.0), "lfc_nmae": (-6.0, np.inf)}
"""Between what the rule holds a member's score."""
ANOTHER_FILE = "Name a file that is not there yet."


@dataclass
class ChallengeScale:
    """What the baseline and the halves score in every member, context by context; computed once, and kept."""

    ends: dict[str, dict[str, Any]] = field(default_factory=dict)
    """For each context: `real`, a hash of its real profiles, and for each member its `[baseline, replicate]`."""

    def complete(self, reference: CountReference, real: PerturbationData) -> None:
        """Compute the ends of one context, unless they are there for these very cells."""
        digest = blake2b(reference.real.bulk.tobytes() + reference.control.bulk.tobytes(), digest_size=8).hexdigest()
        if self.ends.get(reference.context, {}).get("real") != digest:
            rows = [member_rows(reference, baseline(reference, real)).assign(model=MEAN_RESPONSE, seed=0)]
            rows += [replicate(reference, real, split).assign(model=SPLIT_HALF, seed=split) for split in range(SPLITS)]
            self.ends |= ChallengeScale.of(pd.concat(rows)).ends
            self.ends[reference.context]["real"] = digest

    @classmethod
    def of(cls, table: pd.DataFrame) -> Self:
        """From the rows of ``MeanResponse`` and of ``SplitHalf``, whose seeds are the splits."""
        splits = table.groupby(["model", "context", "metric", "seed"])["value"].mean()
        means = splits.groupby(["model", "context", "metric"]).mean()
        ends: dict[str, dict[str, Any]] = {
            str(context): {
                str(m): [float(means[model, context, m]) for model in (MEAN_RESPONSE, SPLIT_HALF)]
                for m in means[MEAN_RESPONSE, context].index
            }
            for context in means[MEAN_RESPONSE].index.unique("context")
        }
        return cls(ends)

    def scores(self, table: pd.DataFrame) -> pd.DataFrame:
        """What a table of members is worth: context, metric, value, baseline, replicate and score, for each model.

        Parameters
        ----------
        table
            Rows as of `evaluate_counts`, of any number of models, of contexts that this scale has; other metrics are left out.

        Returns
        -------
        The value of a member is its mean over defined perturbations, and its score (value - baseline) / (replicate - baseline),
        held between 0 and 1 for `expr_mse_unbiased_capped_norm` and above -6 for `lfc_nmae`; NaN where halves of the real cells
        are no better than the baseline, so that there is no scale.
        """
        of_members = table[table["metric"].isin(CHALLENGE) & table["context"].isin(list(self.ends))]
        means = of_members.groupby(["model", "context", "metric"], sort=False)["value"].mean().reset_index()
        ends = [self.ends[c][m] for c, m in zip(means["context"], means["metric"], strict=True)]
        baseline, replicate = np.array(ends, dtype=np.float64).reshape(-1, 2).T
        with np.errstate(invalid="ignore", divide="ignore"):
            score = (means["value"] - baseline) / (replicate - baseline)
        direction = np.array([1.0 if HIGHER_IS_BETTER[str(m)] else -1.0 for m in means["metric"]])
        score = score.where(direction * (replicate - baseline) > 0)
        low, high = np.array([LIMITS.get(str(m), (-np.inf, np.inf)) for m in means["metric"]]).reshape(-1, 2).T
        return means.assign(baseline=baseline, replicate=replicate, score=score.clip(low, high))

    @classmethod
    def read(cls, path: Path) -> Self:
        """What `write` wrote, or an empty scale where there is no file; raises `FileError` for anything else."""
        if not path.exists():
            return cls()
        record = read_json(path, ANOTHER_FILE)
        ends = record.get("contexts")
        if record.get("rule") != RULE or not isinstance(ends, dict) or not all(map(_are_ends, ends.values())):
            raise FileError(f"{text_of_path(path)} is not a scale of rule {RULE} of the challenge. {ANOTHER_FILE}")
        return cls(ends)

    def write(self, path: Path) -> None:
        """Write as JSON, whole."""
        write_text(path, json.dumps({"rule": RULE, "contexts": self.ends}, indent=1), overwrite=True)


def _are_ends(ends: Any) -> bool:
    """Whether these are the ends of a context's members, as `ChallengeScale.complete` makes them."""
    if not isinstance(ends, dict) or wrong_kinds(ends, {"real": str, **dict.fromkeys(CHALLENGE, (list, float))}):
        return False
    return all(len(ends[member]) == len((MEAN_RESPONSE, SPLIT_HALF)) for member in CHALLENGE)


def baseline(reference: CountReference, real: PerturbationData) -> CountComparison:
    """The mean response as cells: control cells drawn anew, each gene times its mean over perturbations by that of controls.

    Every perturbation counts the same, and a gene leaves out those that target it. The seed is the rule's.
    """
    conditions = [Condition(reference.context, name) for name in reference.perturbations]
    rows = [real.rows(condition) for condition in conditions]
    controls = sp.csr_matrix(take(real.x, control_rows(real, reference.context)))
    control_mean = np.asarray(controls.mean(axis=0, dtype=np.float64)).ravel()
    codes = np.full(real.n_cells, -1)
    for i, of_condition in enumerate(rows):
        codes[of_condition] = i
    means = group_sums(real.x, codes, len(rows)) / np.array([len(r) for r in rows])[:, None]
    scored = ~reference.perturbed
    mean = np.divide((means * scored).sum(axis=0), scored.sum(axis=0), out=means.mean(axis=0), where=scored.any(axis=0))
    factor = np.divide(mean, control_mean, out=np.zeros_like(mean), where=control_mean > 0)
    rng = np.random.default_rng(0)
    drawn = [rng.integers(0, controls.shape[0], size=len(of_condition)) for of_condition in rows]

    def cells() -> Iterator[InMemory]:
        for of_condition in drawn:
            made = controls[of_condition]
            made.data = (made.data * factor[made.indices]).astype(np.float32)
            yield made

    return reference.beside(CountProfiles.of(cells(), len(drawn), reference.control), np.arange(len(drawn)))


def replicate(reference: CountReference, real: PerturbationData, split: int) -> pd.DataFrame:
    """The members of one half of the real cells, with its own controls, predicting the other half: rows as of `member_rows`.

    `lfc_nmae` compares the halves in the genes that all real cells call. The halves are those of the rule's seeds. Raises
    `DataError` if there are no two cells of any condition, or no two control cells.
    """
    rng = np.random.default_rng(np.random.SeedSequence(0).generate_state(SPLITS)[split])
    labels = {name: Condition(reference.context, name) for name in reference.perturbations}
    labels[CONTROL_LABEL] = Condition(reference.context, "control")
    halves: list[dict[str, Codes]] = [{}, {}]
    for label in sorted(labels):
        shuffled = rng.permutation(real.rows(labels[label]))
        n = len(shuffled) // 2
        halves[0][label], halves[1][label] = shuffled[:n], shuffled[n : 2 * n]
    places = np.array([i for i, name in enumerate(reference.perturbations) if len(halves[0][name])], dtype=np.int64)
    if not len(places) or not len(halves[0][CONTROL_LABEL]):
        lacking = "control cells" if len(places) else "cells of one perturbation"
        raise DataError(
            f"context {reference.context!r} has no two {lacking}, of which the challenge's scale makes two halves: leave the scale out "
            "(--challenge-scale, or the challenge's metrics), or give more cells."
        )
    controls = [ControlProfile.of(take(real.x, half[CONTROL_LABEL])) for half in halves]
    sides = [
        CountProfiles.of(load_groups(real.x, [half[reference.perturbations[i]] for i in places]), len(places), control)
        for half, control in zip(halves, controls, strict=True)
    ]
    halved = replace(
        reference,
        perturbations=tuple(reference.perturbations[i] for i in places),
        perturbed=reference.perturbed[places],
    )
    split_in_two = CountComparison(
        sides[0], np.arange(len(places)), sides[1], controls[0], halved.perturbed, halved.genes, controls[1]
    )
    rows = member_rows(halved, split_in_two)
    whole = reference.beside(reference.real.take(places), places)
    rows.loc[rows["metric"] == "lfc_nmae", "value"] = relative_error(sides[0].lfc, sides[1].lfc, whole)
    return rows
