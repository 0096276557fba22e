"""`repeat_run`: fit a run again in another folder, and check that everything reproduces."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file

from cycseq.data.dataset import DATA_ENDINGS, Condition, PerturbationData
from cycseq.errors import DataError, FileError, FitBrokeOffError, ModelError
from cycseq.formats.read import read
from cycseq.matrix.arrays import to_dense
from cycseq.models import build_model
from cycseq.models.saved import DESCRIPTION, TENSORS, read_description
from cycseq.preparation.merge import join
from cycseq.run.facts import HISTORY, MODEL, PREDICTIONS
from cycseq.run.facts import METRICS as SCORES
from cycseq.run.fitting import fit_run
from cycseq.run.folder import Run
from cycseq.run.pairs import SOURCE_PERTURBATION
from cycseq.run.record import differing
from cycseq.run.scoring import evaluate_prediction
from cycseq.score.metrics import METRICS
from cycseq.score.settings import EvaluateSettings
from cycseq.split.controls import GIVEN

COMPARED_CELLS = 100  # cells of each test condition that two models predict where their numbers differ
NOT_COMPARABLE = "not comparable: other conditions, cells or columns"


@dataclass(frozen=True)
class Check:
    """One thing that was made twice."""

    what: str  # its name in the folder
    same: bool | None  # None where it could not be made again
    result: str  # how much it differs, or why it could not be made again


@dataclass(frozen=True)
class Repetition:
    """What was made again, and whether it is the same."""

    folder: Path  # where it was made again
    differing: dict[str, tuple[str, str]]  # versions and facts of the machine that differ, by name: then and now
    checks: tuple[Check, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return all(one.same is not False for one in self.checks)


def repeat_run(folder: Path, out: Path, *, data_path: Path | None = None, overwrite: bool = False) -> Repetition:
    """Fit again what a run folder says (data, split, model, settings, seed), and compare with what it holds.

    `data_path` is where the data lie now, if not where they were. Raises `FileError` if the run is damaged, its data are gone, or
    ``out`` is the run itself, and `DataError` if the data have changed.
    """
    run = Run.open(folder)
    if out.resolve() == folder.resolve():
        raise FileError(f"{out} is the run that is to be repeated: name another folder with --out.")
    data = run.as_written(data_path, "say with --data FILE where the same data lie")
    facts = run.facts
    model = build_model(facts["model"], facts["settings"])
    try:
        again = fit_run(
            data,
            run.split,
            model,
            out,
            facts["seed"],
            data_path=data_path or Path(facts["data"]["path"]),
            command=run.repeat_command(out),
            overwrite=overwrite,
        )
    except FitBrokeOffError:
        if not run.broken:
            raise
        again = Run.open(out)  # it broke as it did then
    checks = [*_models(run, again, data)]
    if (history := run.history()) is not None:
        now = again.history()
        checks.append(compare_tables(HISTORY, history, pd.DataFrame() if now is None else now))
    checks += _predictions(run, again, data)
    return Repetition(out, differing(run.environment, again.environment), tuple(checks))


def compare_tables(name: str, before: pd.DataFrame, again: pd.DataFrame) -> Check:
    """Two tables of the same rows in the same order: texts equal, numbers equal or how far apart."""
    if list(before.columns) != list(again.columns) or len(before) != len(again):
        return Check(name, same=False, result=NOT_COMPARABLE)
    numbers = [column for column in before.columns if pd.api.types.is_numeric_dtype(before[column])]
    texts = [column for column in before.columns if column not in numbers]
    if not before[texts].astype(str).equals(again[texts].astype(str)):
        return Check(name, same=False, result="other text")
    return _spread(name, before[numbers].to_numpy(dtype=float), again[numbers].to_numpy(dtype=float))


def _models(run: Run, again: Run, data: PerturbationData) -> Iterator[Check]:
    before, now = (one.folder / MODEL for one in (run, again))
    name = f"{MODEL}/{TENSORS}"
    if (before / TENSORS).read_bytes() == (now / TENSORS).read_bytes():
        yield Check(name, same=True, result="same bytes")
    else:
        old, new = load_file(before / TENSORS), load_file(now / TENSORS)
        shapes = [{k: v.shape for k, v in arrays.items()} for arrays in (old, new)]
        difference = NOT_COMPARABLE
        if shapes[0] == shapes[1]:
            numbers = [np.concatenate([arrays[k].ravel() for k in sorted(old)]) for arrays in (old, new)]
            difference = f"{_spread(name, *numbers).result} in its numbers"
        with suppress(ModelError):  # it may refuse its own test conditions
            cells = [one.predict(controls=data, n_cells=COMPARED_CELLS) for one in (run, again)]
            difference += (
                f", {_spread(name, to_dense(cells[0].x), to_dense(cells[1].x)).result} in predicted test cells"
            )
        yield Check(name, same=False, result=difference)
    old, new = read_description(before), read_description(now)
    changed = [key for key in old if key != "versions" and old[key] != new[key]]
    yield Check(f"{MODEL}/{DESCRIPTION}", same=not changed, result=f"other {', '.join(changed)}" if changed else "same")


def _predictions(run: Run, again: Run, data: PerturbationData) -> Iterator[Check]:
    """Predictions of the run that this run's own cells were enough for, and the scores of one of them."""
    table = run.metrics()
    scores: Check | None = None
    for path in sorted((run.folder / PREDICTIONS).glob("*")):
        if path.suffix not in DATA_ENDINGS:
            continue
        name = f"{PREDICTIONS}/{path.name}"
        before = read(path)
        if before.provenance().get("controls") == GIVEN:
            yield Check(
                name, same=None, result="it was made from cells that the run does not know: --controls, --perturbed"
            )
            continue
        now = _predict_again(again, before)
        check = _compare_cells(name, before, now)
        yield check
        if table is not None and (scores is None or not scores.same):
            scores = _compare_scores(run, table, now, data)
            if not scores.same and check.same:  # the same cells have the same scores: they were asked for otherwise
                scores = None
    if table is not None:
        why = "none of the predictions kept in the run has these scores with the usual settings"
        yield scores or Check(SCORES, same=None, result=why)


def _predict_again(again: Run, before: PerturbationData) -> PerturbationData:
    """The same cells predicted anew, from the run's own data: its split says which control cells its model is given."""
    obs = before.adata.obs
    reverse = SOURCE_PERTURBATION in obs
    perturbations = obs[SOURCE_PERTURBATION if reverse else "perturbation"].astype(str)
    conditions = Counter(map(Condition, obs["context"].astype(str), perturbations))  # in the order of the cells
    seed = int(before.provenance()["seed"])
    if reverse:
        return again.restore(list(conditions), n_cells=max(conditions.values()), seed=seed)
    parts = [
        again.predict([c for c in conditions if conditions[c] == n], n_cells=n, seed=seed)
        for n in dict.fromkeys(conditions.values())
    ]
    return reduce(join, parts)


def _compare_cells(name: str, before: PerturbationData, now: PerturbationData) -> Check:
    if before.conditions() != now.conditions() or before.genes != now.genes or before.n_cells != now.n_cells:
        return Check(name, same=False, result=NOT_COMPARABLE)
    pairs = [(before.cells(c), now.cells(c)) for c in before.conditions()]
    return _spread(name, *(np.concatenate(cells) for cells in zip(*pairs, strict=True)))


def _compare_scores(run: Run, table: pd.DataFrame, predicted: PerturbationData, data: PerturbationData) -> Check:
    """The table, and what `cycseq evaluate` says of the repeated cells, with --split or without."""
    keys = ["context", "perturbation", "metric"]
    before = table[table["metric"].isin(METRICS)]
    settings = EvaluateSettings(metrics=",".join(before["metric"].unique()))
    check = Check(SCORES, same=False, result=NOT_COMPARABLE)
    for split in (None, run.split):
        with suppress(DataError):  # where the prediction alone does not say what it was trained on
            now = evaluate_prediction(predicted, data, split=split, settings=settings)
            pairs = before.merge(now, on=keys, suffixes=("", "_now"), how="left")
            if len(pairs) == len(before):
                check = _spread(SCORES, *(pairs[name].to_numpy(dtype=float) for name in ("value", "value_now")))
            if check.same:
                break
    return check


def _spread(name: str, before: np.ndarray, now: np.ndarray) -> Check:
    """Numbers that are to be equal, NaN where NaN was."""
    if before.shape != now.shape or (np.isnan(before) != np.isnan(now)).any():
        return Check(name, same=False, result=NOT_COMPARABLE)
    if not before.size:
        return Check(name, same=True, result="same")
    apart = float(np.nanmax(np.abs(before.astype(np.float64) - now), initial=0.0))
    return Check(name, same=apart == 0.0, result="same" if apart == 0.0 else f"largest difference {apart:.3g}")
