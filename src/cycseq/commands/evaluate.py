"""`cycseq evaluate --predicted PREDICTED.h5ad --real REAL.h5ad --out METRICS.csv`."""

from argparse import Namespace
from pathlib import Path

from cycseq.commands.parser import Parser, settings_of
from cycseq.data.settings import SaidScale
from cycseq.formats.settings import ReadSettings
from cycseq.io.files import check_output
from cycseq.score.settings import EvaluateSettings


def configure(parser: Parser, _words: list[str]) -> None:
    parser.add_argument(
        "--predicted", required=True, type=Path, help="Predicted cells: ours or another tool's, log1p or counts."
    )
    parser.add_argument("--real", required=True, type=Path, help="Real cells with their controls, log1p or counts.")
    parser.add_argument(
        "--out", required=True, type=Path, help="CSV: model, split, seed, context, perturbation, metric, value."
    )
    parser.add_argument(
        "--split", type=Path, help="The split that the model was fitted on, if the prediction does not record it."
    )
    parser.add_argument(
        "--pairs",
        type=bool,
        default=False,
        help="Compare each predicted cell with the true pair of its source cell too: real cells of cycseq simulate only.",
    )
    parser.add_argument(
        "--predicted_scale",
        type=SaidScale | None,
        help="Scale of the predicted cells, if it differs from that of the real ones (see --scale).",
    )
    parser.add_argument(
        "--challenge_scale",
        type=Path,
        help="JSON file with the challenge's scale for these real cells: read if it exists, otherwise computed and written (five times the work of a score).",
    )
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace the output if it exists.")
    parser.add_settings(EvaluateSettings)
    parser.add_settings(ReadSettings)


def run(options: Namespace) -> None:
    """Compare and write."""
    from cycseq.commands.evaluations import compare_cells, compare_effects
    from cycseq.formats.effects.kind import is_effects

    check_output(options.out, overwrite=options.overwrite)
    reading = settings_of(ReadSettings, options)
    in_own_file = options.predicted.suffix in {".h5ad", ".zarr"}  # beside cells, a table of text holds means of cells
    if is_effects(options.real, reading) or (in_own_file and is_effects(options.predicted, reading)):
        compare_effects(options)
    else:
        compare_cells(options)
