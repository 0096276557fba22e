"""One command, one file: `configure` names its options, `run` does it. Imported when it is called, not before."""

import warnings
from collections.abc import Sequence
from importlib import import_module

from cycseq.errors import unknown_name

COMMANDS = {
    "inspect": "Show what a file contains, what is missing, and what to type to fix it.",
    "prepare": "Turn counts from any file into checked log1p data: QC, normalisation, genes, ComBat, metacells.",
    "summarize": "Summarize cells or bulk samples as effects of conditions, which is all that models of means need.",
    "split": "Hold out contexts, perturbations or combinations, or check a split for leakage.",
    "fit": "Fit one model on the training part of a split; the run folder records everything about it.",
    "tune": "Choose a model's settings by nested validation, inside the training part of a split.",
    "predict": "Predict single cells of conditions from control cells.",
    "embed": "Place cells in a network's latent space (obsm), and score what it mixes and keeps.",
    "evaluate": "Compare predicted with real cells: all metrics, two h5ad files in, a table out.",
    "pathways": "Show which gene sets change in a predicted response.",
    "convert": "Write data or predictions in the format of another tool: GEARS, scPerturb, State, cell-eval and others.",
    "benchmark": "Models x splits x seeds: one table with baselines, ceiling and intervals, and a report.",
    "compare": "Compare what Autoencoder, VAE and GAN reconstruct and generate, beside a PCA.",
    "repeat": "Fit a run or compute a benchmark again from its folder, and compare the results.",
    "report": "Write a benchmark or run as one self-contained HTML page.",
    "datasets": "List the public data sets, describe one, or download and read it.",
    "knowledge": "List, download or add prior knowledge of genes and drugs, for --model.knowledge.",
    "suggest": "Suggest which conditions to measure next: the batch that reduces uncertainty most.",
    "simulate": "Simulate a perturbation experiment whose truth is known.",
    "demo": "Run everything once on simulated data and open the report.",
    "list": "List the models, metrics, splits, simulated worlds or other tools' layouts.",
    "completion": "Print a script for shell completion of commands, options and names.",
}
"""What `cycseq --help` lists; the order is that of a first session."""


def run_command(words: Sequence[str]) -> int:
    """Run one command; 0 if all went well.

    Raises `CycseqError` if the input or a setting is at fault.
    """
    name, *options = words
    if name not in COMMANDS:
        raise unknown_name(name, "command", COMMANDS)
    warnings.filterwarnings("ignore", module=r"(anndata|zarr|sklearn|inmoose)\b.*")
    from cycseq.commands.parser import parse

    command = import_module(f"cycseq.commands.{name}")
    settings = parse(name, COMMANDS[name], command.configure, options)
    return 0 if settings is None else int(command.run(settings) or 0)
