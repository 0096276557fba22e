"""The pieces of a prediction that a command writes, and the tables beside them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pandas as pd

from cycseq.commands.cells import read_cells
from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.posterior import all_changes
from cycseq.errors import SettingsError
from cycseq.run.folder import Run
from cycseq.run.pairs import pairs_of


@dataclass
class Tables:
    """What is written beside the predicted cells, piece by piece."""

    conditions: list[Condition] = field(default_factory=list)
    genes: list[pd.DataFrame] = field(default_factory=list)
    pairs: list[pd.DataFrame] = field(default_factory=list)

    def noted(self, pieces: Iterable[PerturbationData], options: Namespace) -> Iterator[PerturbationData]:
        """The same pieces, of which the tables that were asked for are made."""
        for piece in pieces:
            self.conditions += piece.conditions()
            if options.genes_out is not None:
                self.genes.append(all_changes(piece))
            if options.pairs is not None:
                self.pairs.append(pairs_of(piece))
            yield piece


def predicted_pieces(opened: Run, options: Namespace) -> Iterable[PerturbationData]:
    """The cells that were asked for, in either direction."""
    if options.direction == "forward" and options.perturbed is not None:
        msg = "--perturbed cells are where --direction reverse starts from: say that, or give control cells with --controls."
        raise SettingsError(msg)
    controls, perturbed = (
        None if path is None else read_cells(path, options) for path in (options.controls, options.perturbed)
    )
    told = {"controls": controls, "n_cells": options.cells, "seed": options.seed}
    if options.direction == "reverse":
        return [opened.restore(options.conditions, perturbed=perturbed, **told)]
    return opened.predictions(options.conditions, **told)
