"""`cycseq predict --data FILE --conditions NK:stim --out answer/`, `--run RUN --out answer/`, and `--run RUN --out PREDICTED.h5ad`."""

from argparse import Namespace
from pathlib import Path
from typing import Literal

from cycseq.commands.options import add_model_option
from cycseq.commands.parser import Parser
from cycseq.errors import SettingsError
from cycseq.formats.settings import ReadSettings
from cycseq.run.settings import Aim, Form

Direction = Literal["forward", "reverse"]


def configure(parser: Parser, words: list[str]) -> None:
    parser.add_argument(
        "--data",
        type=Path | None,
        help="Cells or effects: fit a model on all of them, and predict what was not measured. No split is needed.",
    )
    parser.add_argument("--run", type=Path | None, help="Instead of --data: folder that cycseq fit wrote.")
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        help="A folder: genes.csv, cells.h5ad and answer.html, the page of genes. With --run also a file: .h5ad or .zarr.",
    )
    parser.add_argument(
        "--conditions",
        type=list[str],
        default=["test"],
        help="CONTEXT:PERTURBATION, several separated by commas (names with commas: a JSON list). With --data, 'missing' is every perturbation in every context "
        "where it was not measured; with --run, 'test' is every test condition of its split.",
    )
    parser.add_argument(
        "--as",
        type=Form | None,
        help="Cells (log1p); counts (whole numbers, drawn from the control cells so that their sum has the predicted profile); or effects "
        "of whole conditions (X is the effect; layer sd, where the model knows it). A run on effects predicts "
        "effects, one on cells predicts cells, if left out.",
    )
    parser.add_argument(
        "--aim",
        type=Aim | None,
        help="With --as counts: scale the effects by an amplitude that is learned by holding out training contexts, for the score of the Virtual "
        "Cell Challenge, or for its error (mse) or retrieval (pds) alone. By default, effects are not scaled.",
    )
    parser.add_argument(
        "--cells",
        type=int | None,
        help="Cells of each condition; by default 500, and fewer with --data if there are many conditions.",
    )
    parser.add_argument(
        "--leave_out",
        type=int | None,
        help="With a folder: how often measured conditions are held out to measure how well they are predicted (one fit each). By default "
        "3 with --data, and 0 with --run.",
    )
    parser.add_argument(
        "--gmt", type=Path | None, help="With a folder: gene sets (.gmt) by which the page can be filtered."
    )
    parser.add_argument(
        "--controls",
        type=Path,
        help="Your own control cells, of contexts that are not in the data; by default those of the data.",
    )
    parser.add_argument(
        "--direction",
        type=Direction,
        default="forward",
        help="From control to perturbed cells, or in reverse: perturbed cells back to control, by a model that does both.",
    )
    parser.add_argument(
        "--perturbed",
        type=Path,
        help="With --direction reverse: your own perturbed cells, prepared or counts; by default those of the run's data.",
    )
    parser.add_argument(
        "--pairs",
        type=Path,
        help="Where to write the pseudo-pairs (.csv): predicted_cell, source_cell, context, perturbation.",
    )
    parser.add_argument(
        "--genes_out",
        type=Path,
        help="Where to write each gene's effect, interval and probabilities of its direction (.csv), from a model that knows its uncertainty.",
    )
    parser.add_argument("--seed", type=int, default=0, help="Random seed of the draw of control cells.")
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace the output if it exists.")
    add_model_option(parser, words, required=False)
    parser.add_settings(ReadSettings)


def run(options: Namespace) -> None:
    """Predict and write."""
    if (options.data is None) == (options.run is None):
        msg = "use --data FILE to fit on all of it and predict, or --run RUN to predict from a fitted model."
        raise SettingsError(msg)
    if options.data is not None or not options.out.suffix:
        from cycseq.commands.answers import write_folder

        write_folder(options)
    else:
        from cycseq.commands.predictions import write_file

        write_file(options)
