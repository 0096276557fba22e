"""The pieces of a prediction that a command writes, and the tables beside them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pandas as pd

from cycseq.commands.cells import read_cells, read_controls, read_data, reading_of
from cycseq.commands.terminal import say
from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.either import Data
from cycseq.data.posterior import all_changes
from cycseq.errors import SettingsError
from cycseq.formats.effects.kind import is_effects
from cycseq.run.folder import Run
from cycseq.run.pairs import pairs_of
from cycseq.run.settings import CellForm, Form

NOT_WITH: dict[Form, tuple[str, ...]] = {
    "cells": (),
    "counts": ("genes_out", "perturbed"),
    "effects": ("pairs", "genes_out", "perturbed"),
}
"""Options that are refused, by what is predicted."""

CELLS = 500
"""Of each condition, where nothing is said."""


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


def check_form(form: Form, options: Namespace) -> None:
    """Raise `SettingsError` for an option that does not go with what is predicted."""
    for name in NOT_WITH[form]:
        if getattr(options, name) is not None:
            msg = f"--{name.replace('_', '-')} goes with predicted cells, and {form} are predicted: leave it out, or use --as cells."
            raise SettingsError(msg)
    if options.aim is not None and form != "counts":
        msg = (
            f"--aim sets the amplitude of predicted counts, and {form} are predicted: leave it out, or use --as counts."
        )
        raise SettingsError(msg)
    if options.direction == "reverse" and form != "cells":
        msg = f"--direction reverse turns cells into control cells, and {form} are predicted: leave it out, or use --as cells."
        raise SettingsError(msg)


def predicted_pieces(opened: Run, form: CellForm, options: Namespace) -> Iterable[PerturbationData]:
    """The cells that were asked for, in either direction."""
    if options.direction == "forward" and options.perturbed is not None:
        msg = "--perturbed cells need --direction reverse: use it, or give control cells with --controls."
        raise SettingsError(msg)
    controls = None if options.controls is None else read_controls(options.controls, options)
    perturbed = None if options.perturbed is None else read_cells(options.perturbed, options)
    arguments = {"controls": controls, "n_cells": options.cells or CELLS, "seed": options.seed}
    if options.direction == "reverse":
        return [opened.restore(options.conditions, perturbed=perturbed, **arguments)]
    return opened.predictions(options.conditions, form=form, aim=options.aim, **arguments)


def write_effects(opened: Run, options: Namespace) -> None:
    """Predict effects and write them."""
    controls: Data | None = None
    if options.controls is not None:
        effects_given = is_effects(options.controls, reading_of(options))
        controls = (read_data if effects_given else read_controls)(options.controls, options)
    effects = opened.predict_effects(options.conditions, controls=controls, seed=options.seed)
    effects.write(options.out, overwrite=options.overwrite)
    conditions = effects.conditions()
    names = ", ".join(map(str, conditions[:8])) + (", ..." if len(conditions) > 8 else "")
    with_sd = ", with standard deviations" if effects.layer("sd") is not None else ""
    unknown = int((~effects.measured).sum())
    say(
        f"wrote {options.out}: effects of {len(conditions):,} conditions x {len(effects.genes):,} genes, {effects.scale}{with_sd} ({names})"
    )
    if unknown:
        say(f"note: {unknown:,} values are missing (NaN): no training condition measured these genes")
