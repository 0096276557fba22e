"""`cycseq predict --data FILE`: the folder of an answer, and what the terminal is told of it."""

from __future__ import annotations

from argparse import Namespace

from cycseq.commands.cells import read_controls, read_data
from cycseq.commands.options import short_name
from cycseq.commands.parser import settings_of
from cycseq.commands.terminal import say
from cycseq.data.effects import Effects
from cycseq.errors import FileError, SettingsError
from cycseq.io.files import check_output
from cycseq.models import model_class
from cycseq.preparation.prepare import refuse_scaled
from cycseq.run.answer.check import SURE
from cycseq.run.answer.predict import predict
from cycseq.run.answer.words import summary
from cycseq.show.interpretation.pathways import read_gmt
from cycseq.show.report.answer_page import CELLS, GENES, PAGE, write_answer

OF_RUNS = ("as", "pairs", "genes_out", "perturbed")
"""Options that go with --run alone."""


def predict_without_split(options: Namespace) -> None:
    """Read, fit on everything, predict, write the folder."""
    _check(options)
    gene_sets = None if options.gmt is None else read_gmt(options.gmt)
    data = read_data(options.data, options)
    if not isinstance(data, Effects):
        refuse_scaled(data)
    model = (
        None if options.model is None else settings_of(model_class(short_name(options.model)), options, prefix="model.")
    )
    answer = predict(
        data,
        options.conditions,
        model=None if model is None else model.name,
        settings=None if model is None else model.settings(),
        controls=None if options.controls is None else read_controls(options.controls, options),
        n_cells=options.cells,
        leave_out=options.leave_out,
        seed=options.seed,
    )
    write_answer(
        answer,
        options.out,
        gene_sets=gene_sets,
        data_path=options.data.resolve(),
        command=options.typed,
        overwrite=options.overwrite,
    )
    say(summary(answer))
    sure = int((answer.genes["lfsr"] <= SURE).sum())
    files = ", ".join([GENES, *([] if answer.cells is None else [CELLS]), PAGE])
    say(
        f"wrote {options.out}: {files}; {len(answer.genes):,} rows (gene and condition), {sure:,} with an lfsr of at most {SURE}"
    )


def _check(options: Namespace) -> None:
    """Raise for options that have no meaning here, and for an output that cannot be a folder."""
    if options.conditions == ["test"]:
        msg = "say what to predict: --conditions CONTEXT:PERTURBATION, or missing for all that was not measured."
        raise SettingsError(msg)
    for name in OF_RUNS:
        if getattr(options, name) is not None:
            msg = (
                f"--{name.replace('_', '-')} goes with --run: leave it out, as --out holds {GENES}, {CELLS} and {PAGE}."
            )
            raise SettingsError(msg)
    if options.direction == "reverse":
        msg = "--direction reverse goes with --run: fit a model that translates both ways first (cycseq fit)."
        raise SettingsError(msg)
    if options.out.suffix in {".h5ad", ".zarr", ".csv", ".html"}:
        msg = f"--out {options.out} must be a folder here: {GENES}, {CELLS} and {PAGE} are written into it."
        raise FileError(msg)
    check_output(options.out, overwrite=options.overwrite)
