"""Effects of several studies as one bank: all genes, each study's contexts its own, one unit of dose."""

from __future__ import annotations

import json
from collections.abc import Sequence

import anndata as ad
import numpy as np
import pandas as pd

from cycseq.data.condition import Condition, treatment_name
from cycseq.data.effects import Effects
from cycseq.data.gene_names import MIN_GENES, why_genes_differ
from cycseq.data.studies import STUDY, studies_of
from cycseq.data.treatments import UNITS, Dose, parse_dose, usual_unit
from cycseq.errors import DataError, count_of, join_names

MIN_SHARED = 0.05  # share of a study's genes that the others must have as well


def join_studies(inputs: Sequence[Effects], names: Sequence[str]) -> Effects:
    """Effects of several studies in one table.

    Genes are the union, in the order in which the inputs name them: a gene that a study did not measure is NaN there, with
    unknown standard error, never 0. Contexts are named ``study/context``, because the same cell line in two laboratories is
    two contexts. obs `study` names the input; studies of an input that is a bank already keep their names. Doses are written
    in the one unit that most of them have.

    Parameters
    ----------
    inputs
        On one scale. A single one is returned as it is.
    names
        What each is called, none twice.

    Raises
    ------
    DataError
        If scales differ, a study shares hardly any gene with the others, two have one name, or doses are in units that
        measure different things.

    Examples
    --------
    >>> import cycseq, numpy as np
    >>> genes = [f"G{i}" for i in range(12)]
    >>> one, other = (
    ...     cycseq.Effects.from_arrays(np.ones((1, 12)), [cycseq.Condition("K562", name)], genes, scale="z")
    ...     for name in ("KLF1", "GATA1")
    ... )
    >>> bank = cycseq.join_studies([one, other], ["adamson", "replogle"])
    >>> [str(condition) for condition in bank.conditions()]
    ['adamson/K562:KLF1', 'replogle/K562:GATA1']
    """
    if len(inputs) == 1:
        return inputs[0]
    twice = [name for name in names if list(names).count(name) > 1]
    if twice:
        raise DataError(f"two studies are called {twice[0]!r}, as their files are: name the files otherwise.")
    if len({effects.scale for effects in inputs}) > 1:
        which = ", ".join(f"{name} holds {effects.scale} values" for name, effects in zip(names, inputs, strict=True))
        raise DataError(f"a bank has one scale, but {which}: join those of one scale, or give each side its own bank.")
    _check_genes(inputs, names)
    inputs = _in_one_unit(inputs, names)
    genes = list(dict.fromkeys(gene for effects in inputs for gene in effects.genes))
    aligned = [effects.with_genes(genes) for effects in inputs]
    conditions = []
    for effects, name in zip(aligned, names, strict=True):
        named = studies_of(effects)
        of_study = (c.context if c.context in named else f"{name}/{c.context}" for c in effects.conditions())
        conditions += [c._replace(context=context) for c, context in zip(effects.conditions(), of_study, strict=True)]

    def of_layer(effects: Effects, name: str) -> np.ndarray:
        return effects.adata.layers.get(name, np.full_like(effects.effect, np.nan))

    layers = sorted({layer for effects in aligned for layer in effects.adata.layers})
    origin = [{"name": name, **effects.provenance()} for effects, name in zip(aligned, names, strict=True)]
    bank = Effects.from_arrays(
        np.concatenate([effects.effect for effects in aligned]),
        conditions,
        genes,
        scale=inputs[0].scale,
        layers={layer: np.concatenate([of_layer(effects, layer) for effects in aligned]) for layer in layers},
        n_cells=np.concatenate([effects.adata.obs["n_cells"].to_numpy(dtype=float) for effects in aligned]).tolist(),
        uns={"studies": json.dumps(origin)},
        notes=_notes(inputs, names, genes),
    )
    _add_labels(bank.adata, aligned, names)
    return bank


def _add_labels(adata: ad.AnnData, inputs: Sequence[Effects], names: Sequence[str]) -> None:
    """`study`, and the columns of the inputs that a bank does not have yet."""
    parts = []
    for effects, name in zip(inputs, names, strict=True):
        studies = studies_of(effects)
        more = effects.adata.obs.drop(columns=[*adata.obs, STUDY], errors="ignore")
        parts.append(more.assign(**{STUDY: [studies.get(c.context, name) for c in effects.conditions()]}))
    labels = pd.concat(parts, ignore_index=True)
    for column in labels:
        numeric = pd.api.types.is_numeric_dtype(labels[column]) and not pd.api.types.is_bool_dtype(labels[column])
        texts = labels[column].astype(object).where(labels[column].notna(), "").astype(str)
        adata.obs[column] = labels[column].to_numpy(dtype=np.float64) if numeric else pd.Categorical(texts.to_numpy())


def _check_genes(inputs: Sequence[Effects], names: Sequence[str]) -> None:
    """Raise `DataError` for a study whose genes hardly any other has."""
    for i, (effects, name) in enumerate(zip(inputs, names, strict=True)):
        others = {gene for j, other in enumerate(inputs) if j != i for gene in other.genes}
        shared = len(others.intersection(effects.genes))
        fewest = min(len(effects.genes), len(others))
        if shared < min(MIN_GENES, fewest) or shared < MIN_SHARED * fewest:
            beside = inputs[1 if i == 0 else 0].genes
            raise DataError(
                f"{name} shares {shared:,} of its {len(effects.genes):,} genes with the other studies: it has "
                f"{join_names(effects.genes, 3)}; they have {join_names(beside, 3)}. {why_genes_differ(effects.genes, beside)}"
            )


def _in_one_unit(inputs: Sequence[Effects], names: Sequence[str]) -> list[Effects]:
    """The inputs with doses in the unit that most of them have; named levels stay."""
    doses: dict[str, tuple[Dose, str]] = {}
    every: list[Dose] = []
    for effects, name in zip(inputs, names, strict=True):
        for condition in effects.conditions():
            dose = parse_dose(condition.dose) if condition.dose else None
            if dose is not None and dose.unit in UNITS:
                doses.setdefault(dose.quantity, (dose, name))
                every.append(dose)
    if len(doses) > 1:
        (one, (a, first)), (other, (b, second)), *_ = doses.items()
        msg = (
            f"doses of one bank must measure one thing, but {first} has {a} ({one}) and {second} has {b} ({other}): make a bank of "
            "each, or leave doses out of one study with --doses pool."
        )
        raise DataError(msg, option="--doses pool")
    if len({dose.unit for dose in every}) < 2:
        return list(inputs)
    unit = usual_unit(every)
    return [_converted(effects, unit) for effects in inputs]


def _converted(effects: Effects, unit: str) -> Effects:
    adata = effects.adata.copy()
    texts = adata.obs["dose"].astype(str)
    parsed = [parse_dose(text) for text in texts]
    same = [dose.in_unit(unit) if dose is not None and dose.unit else None for dose in parsed]
    adata.obs["dose"] = pd.Categorical([text if d is None else str(d) for text, d in zip(texts, same, strict=True)])
    if "dose_value" in adata.obs:
        values = zip(adata.obs["dose_value"], same, strict=True)
        adata.obs["dose_value"] = [value if d is None else d.number for value, d in values]
    names = [
        Condition(c.context, treatment_name(c.agent, None if d is None else str(d), c.time) if d else c.perturbation)
        for c, d in zip(effects.conditions(), same, strict=True)
    ]
    adata.obs_names = [str(name) for name in names]
    return Effects(adata, effects.scale, effects.notes)


def _notes(inputs: Sequence[Effects], names: Sequence[str], genes: Sequence[str]) -> list[str]:
    where: dict[str, set[str]] = {}
    notes = []
    for effects, name in zip(inputs, names, strict=True):
        perturbed = effects.perturbed()
        for perturbation in perturbed.perturbations:
            where.setdefault(perturbation, set()).add(name)
        n_conditions, n_contexts = len(perturbed.conditions()), len(perturbed.contexts)
        notes.append(
            f"{name}: {count_of(n_conditions, 'condition')} in {count_of(n_contexts, 'context')}, {len(effects.genes):,} genes"
        )
    everywhere = set(genes).intersection(*(effects.genes for effects in inputs))
    several = sum(len(studies) > 1 for studies in where.values())
    return [
        *notes,
        f"{count_of(len(genes), 'gene')} in all, {len(everywhere):,} in every study; those that a study did not measure are NaN there",
        f"{several:,} of {count_of(len(where), 'perturbation')} are in two studies or more",
        "contexts are named study/context",
    ]
