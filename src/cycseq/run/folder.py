"""`Run`: one fitted model in its folder, ready to predict. The folder's files are listed in `cycseq.run.fitted`."""

from collections.abc import Iterator, Sequence

import numpy as np

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.effects import Effects
from cycseq.data.either import Data
from cycseq.errors import ModelError, SettingsError, check_at_least
from cycseq.io.untrusted import as_file_error
from cycseq.models.base import Restores
from cycseq.models.saved import AGAIN
from cycseq.preparation.prepare import as_log1p
from cycseq.run import predicting
from cycseq.run.aim import learn_amplitude
from cycseq.run.counts import counts_in_pieces, predict_counts
from cycseq.run.effects import predict_effects
from cycseq.run.facts import MODEL
from cycseq.run.fitted import FittedRun
from cycseq.run.record import with_record
from cycseq.run.settings import Aim, CellForm


class Run(FittedRun):
    """One fitted model in its folder. `fit_run` makes it, `Run.open` finds it again.

    Examples
    --------
    >>> import cycseq
    >>> data = cycseq.read("cells.h5ad")
    >>> (split,) = cycseq.make_splits(data, cycseq.SplitSettings(context="Line3"))
    >>> from pathlib import Path
    >>> model = cycseq.build_model("NoChange")
    >>> run = cycseq.fit_run(data, split, model, Path("run"), data_path=Path("cells.h5ad"), overwrite=True)
    >>> cycseq.Run.open(Path("run")).model.name
    'NoChange'
    """

    def predict_effects(
        self, conditions: Sequence[Condition | str] | str = "test", *, controls: Data | None = None, seed: int = 0
    ) -> Effects:
        """Predicted effects of whole conditions, with the record of how they came about in ``uns["cycseq"]``.

        Parameters
        ----------
        conditions
            What to predict, as in `predict`.
        controls
            Control cells, or effects with the controls' rows, of the contexts asked for; None takes those of the run's own data.
        seed
            For a model of cells, whose predicted cells are summarized: as in `predict`.

        Returns
        -------
        Effects
            ``X``: the effect; layer `sd` where the model knows it.

        Raises
        ------
        ModelError
            If the model cannot know a condition, or a context has no control cells where these are needed.
        """
        return predict_effects(self, conditions, controls, seed)

    def predict(
        self,
        conditions: Sequence[Condition | str] | str = "test",
        *,
        form: CellForm = "cells",
        aim: Aim | None = None,
        controls: PerturbationData | None = None,
        n_cells: int | None = None,
        seed: int = 0,
    ) -> PerturbationData:
        """Predicted cells, with the record of how they came about in `uns["cycseq"]`.

        Parameters
        ----------
        conditions
            What to predict, as ``"NK:stim"`` or `Condition`; ``"test"`` is every test condition of the run's split.
        form
            ``"cells"``: log1p, as the model makes them. ``"counts"``: whole numbers, sparse. Control cells of which counts are taken
            away, or to which some are added, so that the sum over the cells of a condition has the pooled profile that the predicted
            effects ask for; the same for every model.
        aim
            Of counts: multiply the effects by an amplitude that is learned, for this aim, by leaving out training contexts
            (`learn_amplitude`); the record says which. None leaves the effects as they are.
        controls
            Data with control cells of the contexts asked for, log1p or counts; perturbed cells among them are left out
            unseen.
            None reads those of the run's own data. Counts are drawn from counts, or from log1p values that they can be recovered from.
        n_cells, seed
            As in `Model.predict`.

        Raises
        ------
        ModelError
            If the model cannot know a condition, or a context has no control cells.
        DataError
            If counts are to be drawn, and those of the control cells cannot be recovered.
        """
        request = predicting.check_request(self, conditions, controls, seed)
        amplitude = self._amplitude(form, aim, n_cells, seed)
        if form == "cells":
            return predicting.predict_cells(self, request, n_cells, seed)
        return predict_counts(self, request, n_cells, seed, amplitude=amplitude)

    def predictions(
        self,
        conditions: Sequence[Condition | str] | str = "test",
        *,
        form: CellForm = "cells",
        aim: Aim | None = None,
        controls: PerturbationData | None = None,
        n_cells: int | None = None,
        seed: int = 0,
    ) -> Iterator[PerturbationData]:
        """As `predict`, in pieces that fit into the memory of the run: one, or else some conditions of a context each.

        A cell is predicted the same in pieces as in one; `cycseq.formats.pieces.write_predictions` puts them together.
        """
        request = predicting.check_request(self, conditions, controls, seed)
        amplitude = self._amplitude(form, aim, n_cells, seed)
        if form == "cells":
            return predicting.predict_in_pieces(self, request, n_cells, seed)
        return counts_in_pieces(self, request, n_cells, seed, amplitude=amplitude)

    def _amplitude(self, form: CellForm, aim: Aim | None, n_cells: int | None, seed: int) -> float:
        if aim is None:
            return 1.0
        if form == "cells":
            msg = "an aim sets the amplitude of predicted counts: ask for these (--as counts), or leave it out (--aim)."
            raise SettingsError(msg)
        return learn_amplitude(self, aim, n_cells=n_cells, seed=seed)[0]

    def restore(
        self,
        conditions: Sequence[Condition | str] | str = "test",
        *,
        perturbed: PerturbationData | None = None,
        controls: PerturbationData | None = None,
        n_cells: int | None = None,
        seed: int = 0,
    ) -> PerturbationData:
        """Perturbed cells translated back to control cells (direction reverse), with the record as of `predict`.

        obs `source_cell` says from which cell each was made, and `source_perturbation` what had been done to it.

        Parameters
        ----------
        conditions
            Whose cells, named as in `predict`.
        perturbed
            Data with cells of these conditions, log1p or counts; None reads the run's own data.
        controls
            Control cells of their contexts, where a model needs them; None takes those among `perturbed`.
        n_cells
            Cells of each condition at most, drawn at random; None takes all.
        seed
            Fixes which are drawn.

        Raises
        ------
        ModelError
            If the model translates one way only, or does not know a perturbation.
        DataError
            If there are no cells of a condition.
        """
        check_at_least(0, seed=seed)
        model = self.model
        if not isinstance(model, Restores):
            msg = f"{model.name} predicts perturbed cells from control cells, not the reverse: CycSeq does both."
            raise ModelError(msg)
        cells = perturbed if perturbed is not None else self.as_written()
        rows = []
        for condition in predicting.parse_conditions(self, conditions, cells.contexts):
            rng = np.random.default_rng([seed, *str(condition).encode()])
            rows.append(np.sort(rng.permutation(cells.rows(condition))[:n_cells]))
        source_cells = as_log1p(cells.take(np.concatenate(rows))).load(model.name)
        own_cells = perturbed is not None or controls is not None
        if own_cells:
            beside = (cells if controls is None else controls).controls(source_cells.contexts)
        else:
            beside = predicting.model_controls(self, cells, set(source_cells.contexts))
        with as_file_error(self.folder / MODEL, AGAIN):
            restored = model.restored(source_cells, as_log1p(beside).load(model.name), seed=seed)
        record = with_record(restored, model, self.split, seed, own_cells=own_cells)
        names = source_cells.adata.obs["perturbation"].astype(str)
        record.adata.obs["source_perturbation"] = names.loc[record.adata.obs["source_cell"]].to_numpy()
        return record
