"""`cycseq compare --data PREPARED.h5ad --models Autoencoder,VAE,GAN --out OUT`."""

from argparse import Namespace
from pathlib import Path
from typing import Literal

from cycseq.benchmarking.settings import CompareSettings
from cycseq.commands.parser import Parser, settings_of
from cycseq.commands.terminal import say, table

GENERATION = ("pearson2_mean", "pearson_delta", "zero_fraction_error", "mean_variance_error", "edistance", "c2st_auc")
"""Metrics of generated cells that are printed."""


def configure(parser: Parser, _words: list[str]) -> None:
    parser.add_argument("--data", required=True, type=Path, help="Data that cycseq prepare wrote, or counts.")
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        help="Folder of runs, tables, figures and page; fitted models in it are kept.",
    )
    parser.add_argument(
        "--map",
        type=Literal["pca", "umap"],
        default="pca",
        help="How latent spaces are drawn; umap needs the extra umap.",
    )
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace runs with other settings.")
    parser.add_settings(CompareSettings)


def run(options: Namespace) -> None:
    """Fit what is missing, score, draw, write the page, print the tables."""
    from cycseq.benchmarking.compare import compare
    from cycseq.benchmarking.families import FAMILIES, summary
    from cycseq.commands.cells import say_reading
    from cycseq.formats.read import read
    from cycseq.show.report.comparison_page import sentences, write_comparison

    data = read(options.data).load("cycseq compare")
    say_reading(options.data, data)
    result = compare(
        data,
        settings_of(CompareSettings, options),
        options.out,
        data_path=options.data.resolve(),
        command=options.typed,
        overwrite=options.overwrite,
    )
    page = write_comparison(result, latent_map=options.map)
    values = summary(result.metrics)
    for family, metrics, models in (
        ("reconstruction", FAMILIES["reconstruction"], result.reconstructed),
        ("generation", GENERATION, result.generated),
    ):
        rows = [(model, *(float(values[model, f"{family}/{metric}"]) for metric in metrics)) for model in models]
        table(["model", *metrics], rows, title=f"{family} of the test cells")
    say(sentences(result))
    say(f"wrote {options.out}: metrics.csv ({len(result.metrics):,} values), differences.csv, figures, {page.name}")
