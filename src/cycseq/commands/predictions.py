"""The pieces of a prediction that a command writes, and the tables beside them."""

from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence

import pandas as pd

from cycseq.commands.cells import read_cells, read_controls, read_data, reading_of
from cycseq.commands.terminal import say
from cycseq.data.dataset import DATA_ENDINGS, Condition, PerturbationData
from cycseq.data.either import Data
from cycseq.data.posterior import all_changes
from cycseq.errors import SettingsError, count_of
from cycseq.formats.effects.kind import is_effects
from cycseq.formats.pieces import write_predictions
from cycseq.io.files import check_output, write_text
from cycseq.run.answer.check import SURE
from cycseq.run.folder import Run
from cycseq.run.pairs import pairs_of
from cycseq.run.settings import CellForm, Form

NOT_WITH: dict[Form, tuple[str, ...]] = {
    "cells": (),
    "counts": ("genes_out", "perturbed"),
    "effects": ("pairs", "genes_out", "perturbed"),
}
"""Options that are refused, by what is predicted."""

CELLS = 500  # of each condition, where nothing is said


def write_file(options: Namespace) -> None:
    """Predict from a run and write one file, with the tables that were asked for."""
    check_output(options.out, overwrite=options.overwrite, endings=DATA_ENDINGS)
    for table in (options.genes_out, options.pairs):
        if table is not None:
            check_output(table, overwrite=options.overwrite, endings=(".csv",))
    opened = Run.open(options.run, memory=options.memory)
    if opened.broken:
        say(f"note: {opened.broken}")
    form: Form = getattr(options, "as") or ("effects" if opened.of_effects else "cells")
    check_form(form, options)
    if form == "effects":
        write_effects(opened, options)
    else:
        write_cells(opened, form, options)


def write_cells(opened: Run, form: CellForm, options: Namespace) -> None:
    """Predict cells and write them, with the tables beside them that were asked for."""
    conditions: list[Condition] = []
    genes, pairs = list[pd.DataFrame](), list[pd.DataFrame]()

    def pieces() -> Iterator[PerturbationData]:
        for piece in predict_pieces(opened, form, options):
            conditions.extend(piece.conditions())
            if options.genes_out is not None:
                genes.append(all_changes(piece))
            if options.pairs is not None:
                pairs.append(pairs_of(piece))
            yield piece

    written = write_predictions(pieces(), options.out, overwrite=options.overwrite)
    scale = written.uns["cycseq"]["scale"]
    say(
        f"wrote {options.out}: {written.n_obs:,} predicted cells x {written.n_vars:,} genes, {scale} ({_first(conditions)})"
    )
    if options.aim is not None:
        say(
            f"effects are multiplied by {written.uns['cycseq']['amplitude']:g}, the amplitude that is best for held-out training contexts (--aim {options.aim})"
        )
    if pairs:
        table = pd.concat(pairs)
        write_text(options.pairs, table.to_csv(index=False), overwrite=options.overwrite)
        say(f"wrote {options.pairs}: {len(table):,} pseudo-pairs of a predicted cell and the cell it was made from")
    if genes:
        table = pd.concat(genes)
        write_text(options.genes_out, table.to_csv(index=False, float_format="%.5g"), overwrite=options.overwrite)
        informative = table["informative"].astype(bool)
        say(
            f"wrote {options.genes_out}: {len(table):,} rows (gene and condition), {int(((table['lfsr'] <= SURE) & informative).sum()):,} with a "
            f"local false sign rate (lfsr) of at most {SURE}; nothing is known of {int((~informative).sum()):,}"
        )


def check_form(form: Form, options: Namespace) -> None:
    """Raise `SettingsError` for an option that does not go with what is predicted."""
    for name in NOT_WITH[form]:
        if getattr(options, name) is not None:
            msg = f"--{name.replace('_', '-')} needs predicted cells, but {form} are predicted: leave it out, or use --as cells."
            raise SettingsError(msg)
    if options.aim is not None and form != "counts":
        raise SettingsError(
            f"--aim sets the amplitude of predicted counts, and {form} are predicted: leave it out, or use --as counts."
        )
    if options.direction == "reverse" and form != "cells":
        msg = f"--direction reverse turns cells into control cells, and {form} are predicted: leave it out, or use --as cells."
        raise SettingsError(msg)


def predict_pieces(opened: Run, form: CellForm, options: Namespace) -> Iterable[PerturbationData]:
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
    with_sd = ", with standard deviations" if effects.layer("sd") is not None else ""
    unknown = int((~effects.measured).sum())
    say(
        f"wrote {options.out}: effects of {count_of(len(conditions), 'condition')} x {len(effects.genes):,} genes, {effects.scale}{with_sd} ({_first(conditions)})"
    )
    if unknown:
        say(f"note: {unknown:,} values are missing (NaN): no training condition measured these genes")


def _first(conditions: Sequence[Condition]) -> str:
    """The first conditions by name."""
    return ", ".join(map(str, conditions[:8])) + (", ..." if len(conditions) > 8 else "")
