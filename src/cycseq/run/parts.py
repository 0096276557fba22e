"""The parts of a split, ready to learn from: the one place where counts become log1p on the way."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from cycseq.data.condition import Condition
from cycseq.data.dataset import PerturbationData
from cycseq.data.effects import Effects
from cycseq.data.either import Data
from cycseq.data.studies import learn_amplitudes, may_have_amplitudes, with_amplitudes
from cycseq.errors import ModelError
from cycseq.models import models_of_means
from cycseq.models.base import Model
from cycseq.models.means import MeansModel
from cycseq.preparation.merge import join
from cycseq.preparation.prepare import as_log1p
from cycseq.preparation.settings import Response
from cycseq.split.base import EffectParts, Split, SplitParts
from cycseq.split.settings import Kind

Parts: TypeAlias = SplitParts | EffectParts
AMPLITUDES = "amplitudes"  # of a fitted model's facts: how strong effects come out in each study of its training data


def parts_of(split: Split, data: Data) -> Parts:
    """The split's parts, of cells as log1p; raises as `log1p_parts`."""
    return split.effect_parts(data) if isinstance(data, Effects) else log1p_parts(split, data)


def fit_parts(
    model: Model,
    parts: Parts,
    split: Split,
    *,
    seed: int,
    run: Path | None = None,
    task: Kind | None = None,
    summaries: dict[Response, Effects] | None = None,
) -> Model:
    """Fit a model on the training and validation parts; one of means is told what the split will ask of it, or else the `task`.

    `summaries` are those of these parts' cells, by the response that models of means learn: what is missing is added, so that
    models that are fitted on the same parts share them.

    Raises `ModelError` if the parts are effects and the model learns from cells, or it cannot learn from them.
    """
    task = split.task or task
    if isinstance(parts, EffectParts):
        return fit_on_effects(means_model(model), parts.learnt, task=task, seed=seed)
    if isinstance(model, MeansModel):
        summaries = {} if summaries is None else summaries
        if model.response not in summaries:
            summaries[model.response] = model.summarize(parts.train, parts.validation)
        return model.fit_effects(summaries[model.response], task=task, seed=seed)
    return model.fit(parts.train, parts.validation, seed=seed, run=run)


def fit_on_effects(model: MeansModel, train: Effects, *, task: Kind | None, seed: int) -> MeansModel:
    """Fit a model on effects; where they are of several studies, the amplitude of each is learned and taken off first.

    The amplitudes (`learn_amplitudes`, of training conditions alone) stand among the model's facts, and
    `predict_on_effects` puts them back.
    """
    if not may_have_amplitudes(train):
        return model.fit_effects(train, task=task, seed=seed)
    amplitudes = learn_amplitudes(train)
    fitted = model.fit_effects(with_amplitudes(train, amplitudes, inverse=True), task=task, seed=seed)
    fitted.learned.facts[AMPLITUDES] = amplitudes
    return fitted


def predict_on_effects(model: MeansModel, conditions: Sequence[Condition], controls: Effects | None) -> Effects:
    """What a model predicts, each study's effects at its own amplitude; arguments as of `MeansModel.predict_effects`."""
    return with_amplitudes(model.predict_effects(conditions, controls), model.learned.facts.get(AMPLITUDES, {}))


def means_model(model: Model) -> MeansModel:
    """The model, if it learns from effects; raises `ModelError` otherwise."""
    if not isinstance(model, MeansModel):
        msg = f"{model.name} learns from cells, and these are effects of whole conditions: choose {', '.join(models_of_means())}."
        raise ModelError(msg)
    return model


def log1p_parts(split: Split, data: PerturbationData) -> SplitParts:
    """The split's parts as log1p.

    The split knows its data by a hash of their values, so that counts are parted before they are normalised: the hash
    of counts is the same on every machine, which their logarithms need not be to the last bit. Raises `SplitError` if the split
    was made from other data, and `DataError` if the values are scaled.
    """
    parts = split.parts(data)
    validation, reference = (None if part is None else as_log1p(part) for part in (parts.validation, parts.reference))
    return SplitParts(as_log1p(parts.train), validation, as_log1p(parts.test), reference)


def learnt_from(parts: SplitParts) -> PerturbationData:
    """Training and validation cells together, with the controls: all that a model may have learnt from."""
    return join(parts.train, parts.validation)


def with_others(test: PerturbationData, training: PerturbationData) -> PerturbationData:
    """The test cells with the other real perturbations of their contexts, from which retrieval has to tell them."""
    contexts, tested = set(test.contexts), set(test.conditions())
    beside = [c for c in training.conditions() if c.context in contexts and not c.is_control and c not in tested]
    return join(test, training.subset(beside)) if beside else test
