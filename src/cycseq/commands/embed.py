"""`cycseq embed --run RUN --data DATA.h5ad --out EMBEDDED.h5ad`."""

from argparse import Namespace
from pathlib import Path

from cycseq.commands.parser import Parser, settings_of
from cycseq.commands.terminal import say, table
from cycseq.io.files import check_output, write_text
from cycseq.run.settings import IntegrationSettings


def configure(parser: Parser, _words: list[str]) -> None:
    parser.add_argument("--run", required=True, type=Path, help="Folder that cycseq fit wrote.")
    parser.add_argument("--data", required=True, type=Path, help="Cells to embed: prepared, or counts.")
    parser.add_argument("--out", required=True, type=Path, help="Where to write: .h5ad or .zarr.")
    parser.add_argument(
        "--score",
        type=bool,
        default=False,
        help="Score the embedding beside PCA of the same size: does it mix batches, and keep conditions? Written beside --out as .scores.csv.",
    )
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace the outputs if they exist.")
    parser.add_settings(IntegrationSettings)


def run(options: Namespace) -> None:
    """Embed, score, write."""
    from cycseq.commands.cells import say_reading
    from cycseq.data.dataset import DATA_ENDINGS
    from cycseq.formats.read import read
    from cycseq.run.embedding import embed, score_embeddings
    from cycseq.run.folder import Run

    scores_path = options.out.with_suffix(".scores.csv")
    check_output(options.out, overwrite=options.overwrite, endings=DATA_ENDINGS)
    if options.score:
        check_output(scores_path, overwrite=options.overwrite)
    model_run = Run.open(options.run)
    if model_run.broken:
        say(f"note: {model_run.broken}")
    data = read(options.data).load("cycseq embed")
    say_reading(options.data, data)
    embedded = embed(model_run.model, data)
    names = tuple(name for name in embedded.adata.obsm if name.startswith(f"X_{model_run.model.name}"))
    scores = score_embeddings(embedded, names, settings_of(IntegrationSettings, options)) if options.score else None
    embedded.write(options.out, overwrite=options.overwrite)
    shapes = ", ".join(f"{name} ({embedded.adata.obsm[name].shape[1]})" for name in names)
    say(f"wrote {options.out}: {embedded.n_cells:,} cells with obsm {shapes}")
    if scores is None:
        return
    write_text(scores_path, scores.to_csv(index=False), overwrite=options.overwrite)
    shown = scores.pivot_table(index=["embedding", "units"], columns="metric", values="value", sort=False).reset_index()
    table(list(shown.columns), shown.itertuples(index=False), title="0 to 1, 1 is best")
    say(f"wrote {scores_path}: {len(scores)} scores")
