"""The Virtual Cell Challenge 2026: its six members as metrics of counts."""

from cycseq.score.metrics.base import Metric
from cycseq.score.metrics.challenge import members

SOURCE = "Virtual Cell Challenge 2026, rule version 3; cell-eval2 0.20"

METRICS = (
    Metric(
        compute=members.pds_cosine,
        direction="higher",
        needs=("counts",),
        formula="1 - k / (n - 1), k the other real perturbations of the context whose log pseudobulk response has a larger cosine "
        "with the predicted one; ties half; the targets of all perturbations left out",
        source=SOURCE,
        caution="1/2 by chance and for no change; blind to size, so that any scaling of a response is free",
    ),
    Metric(
        compute=members.expr_mse_unbiased_capped_norm,
        direction="lower",
        needs=("counts",),
        formula="sum over perturbations of |b^ - b|^2 - credit - C, over the sum of |b - b0|^2 - C - C0; b = log(1 + 5e4 share) of "
        "summed counts, C its jackknife variance, the credit at most min(C^, C) and at most the spread of the b^",
        source=SOURCE,
        caution="1 for no change: a response of half its size often has less error than the right one",
    ),
    Metric(
        compute=members.direction_fidelity_yield,
        direction="higher",
        needs=("counts",),
        formula="called genes with the right sign / max(called genes, real calls); Wilcoxon, BH, alpha 0.05",
        source=SOURCE,
        caution="about 1/2 for as many calls as are real with random signs; 0 for cells like control cells",
    ),
    Metric(
        compute=members.direction_reach,
        direction="higher",
        needs=("counts",),
        formula="the longest prefix of the real calls, in the order of the prediction's p, with 0.9 right signs / real calls",
        source=SOURCE,
        caution="looks at the real calls alone: calling every gene costs nothing here",
    ),
    Metric(
        compute=members.sig_jaccard,
        direction="higher",
        needs=("counts",),
        formula="genes called on both sides / genes called on either; 1 where there are none",
        source=SOURCE,
        caution="rests on the number of calls: cells that vary too little call too many genes",
    ),
    Metric(
        compute=members.lfc_nmae,
        direction="lower",
        needs=("counts",),
        formula="sum |LFC^ - LFC| / sum |LFC| over the real calls, ten or more, LFC = log2 of the ratio of mean counts per million",
        source=SOURCE,
        caution="1 for no change: shrinking an uncertain fold change pays",
    ),
)
"""In the order of the rule."""

CHALLENGE: tuple[str, ...] = tuple(metric.name for metric in METRICS)
POOLED = "expr_mse_unbiased_capped_norm"
"""The member of a whole context; what it is for one perturbation is a share of it."""
