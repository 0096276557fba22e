"""`cycseq pathways --predicted PREDICTED.h5ad --gmt SETS.gmt --out PATHWAYS.csv`."""

from argparse import Namespace
from pathlib import Path

from cycseq.commands.options import add_plot_option, check_plot, write_plot
from cycseq.commands.parser import Parser, settings_of
from cycseq.commands.terminal import say, table
from cycseq.io.files import check_output, write_text
from cycseq.show.interpretation.settings import PathwaySettings

SHOWN = ("context", "perturbation", "pathway", "n_genes", "mean_delta", "z", "p_adjusted")
MIN_SHOWN = 5  # rows that are printed where none is significant
MAX_SHOWN = 12
ALPHA = 0.05


def configure(parser: Parser, _words: list[str]) -> None:
    parser.add_argument("--predicted", required=True, type=Path, help="Cells that cycseq predict wrote.")
    parser.add_argument(
        "--gmt", required=True, type=Path, help="Gene sets: a GMT file, with genes named as in the data."
    )
    parser.add_argument("--out", required=True, type=Path, help="Where to write the table: .csv.")
    parser.add_argument(
        "--real",
        type=Path,
        help="Real cells with controls, log1p or counts, for models without uncertainty; where they hold the condition, the set's real mean delta stands beside the predicted one.",
    )
    add_plot_option(parser)
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace the outputs if they exist.")
    parser.add_settings(PathwaySettings)


def run(options: Namespace) -> None:
    """Score, write, draw."""
    from cycseq.commands.cells import read_log1p
    from cycseq.show.interpretation.pathways import pathway_scores, read_gmt, set_deltas

    check_output(options.out, overwrite=options.overwrite, endings=(".csv",))
    check_plot(options.plot, overwrite=options.overwrite)
    sets = read_gmt(options.gmt)
    predicted = read_log1p(options.predicted)
    real = None if options.real is None else read_log1p(options.real)
    scores = pathway_scores(predicted, sets, real, settings=settings_of(PathwaySettings, options))
    if real is not None:
        scores.insert(5, "real_mean_delta", set_deltas(real, scores, sets))
    write_text(options.out, scores.to_csv(index=False, float_format="%.5g"), overwrite=options.overwrite)
    sure = scores[scores["p_adjusted"] < ALPHA]
    if sure.empty:
        say(f"no set has an adjusted p below {ALPHA}; the smallest p are:")
    shown = (scores if sure.empty else sure).sort_values("p", kind="stable")[list(SHOWN)]
    table(SHOWN, shown.head(MIN_SHOWN if sure.empty else MAX_SHOWN).itertuples(index=False))
    say(
        f"wrote {options.out}: {len(scores):,} rows (set and condition), {len(sure):,} with an adjusted p below {ALPHA}"
    )
    if options.plot is not None:
        from cycseq.show.plots import pathways

        n = min(12, scores["pathway"].nunique())
        conditions = len(scores[["context", "perturbation"]].drop_duplicates())
        width, height = (5.6, 0.9 + 0.26 * n) if conditions == 1 else (4.6 + 0.5 * conditions, 1.9 + 0.26 * n)
        write_plot(
            lambda ax: pathways(scores, n=n, ax=ax),
            options.plot,
            width=width,
            height=height,
            overwrite=options.overwrite,
        )
