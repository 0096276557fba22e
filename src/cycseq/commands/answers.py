"""`cycseq predict --out FOLDER/`: the folder of an answer, and what the terminal is told of it."""

from argparse import Namespace
from typing import Any

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
from cycseq.run.answer.from_run import predict_from_run
from cycseq.run.answer.predict import FITS, Answer, predict
from cycseq.run.answer.words import summary
from cycseq.run.folder import Run
from cycseq.show.interpretation.pathways import read_gmt
from cycseq.show.report.answer_page import CELLS, GENES, PAGE, write_answer

OF_RUNS = ("as", "pairs", "genes_out", "perturbed")  # options that go with a file of predictions alone


def write_folder(options: Namespace) -> None:
    """Predict from a run, or fit on everything and predict, and write the folder."""
    _check(options)
    gene_sets = None if options.gmt is None else read_gmt(options.gmt)
    answer = _from_data(options) if options.run is None else _from_run(options)
    write_answer(
        answer,
        options.out,
        gene_sets=gene_sets,
        data_path=None if options.data is None else options.data.resolve(),
        command=options.typed,
        overwrite=options.overwrite,
    )
    say(summary(answer))
    sure = int((answer.genes["lfsr"] <= SURE).sum())
    files = ", ".join([GENES, *([] if answer.cells is None else [CELLS]), PAGE])
    say(
        f"wrote {options.out}: {files}; {len(answer.genes):,} rows (gene and condition), {sure:,} with an lfsr of at most {SURE}"
    )


def _from_data(options: Namespace) -> Answer:
    data = read_data(options.data, options)
    if not isinstance(data, Effects):
        refuse_scaled(data)
    model = (
        None if options.model is None else settings_of(model_class(short_name(options.model)), options, prefix="model.")
    )
    return predict(
        data,
        options.conditions,
        model=None if model is None else model.name,
        settings=None if model is None else model.settings(),
        leave_out=FITS if options.leave_out is None else options.leave_out,
        **_shared(options),
    )


def _from_run(options: Namespace) -> Answer:
    run = Run.open(options.run, memory=options.memory)
    if run.broken:
        say(f"note: {run.broken}")
    return predict_from_run(run, options.conditions, leave_out=options.leave_out or 0, **_shared(options))


def _shared(options: Namespace) -> dict[str, Any]:
    controls = None if options.controls is None else read_controls(options.controls, options)
    return {"controls": controls, "n_cells": options.cells, "seed": options.seed}


def _check(options: Namespace) -> None:
    """Raise for options that have no meaning here, and for an output that cannot be a folder."""
    if options.run is None and options.conditions == ["test"]:
        raise SettingsError(
            "name what to predict: --conditions CONTEXT:PERTURBATION, or missing for everything that was not measured."
        )
    for name in OF_RUNS:
        if getattr(options, name) is not None:
            msg = f"--{name.replace('_', '-')} needs --run and an --out that is a file: leave it out, because a folder contains {GENES}, {CELLS} and {PAGE}."
            raise SettingsError(msg)
    if options.direction == "reverse":
        msg = "--direction reverse needs --run: first fit a model that translates both ways (cycseq fit)."
        raise SettingsError(msg)
    if options.out.suffix in {".h5ad", ".zarr", ".csv", ".html"}:
        raise FileError(f"--out {options.out} must be a folder here: {GENES}, {CELLS} and {PAGE} are written into it.")
    check_output(options.out, overwrite=options.overwrite)
