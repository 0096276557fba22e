"""The command line: `cycseq COMMAND ...`. Each command is one file in `cycseq.commands`, imported when it is called."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version

from cycseq.errors import CycseqError, unknown_name

COMMANDS = {
    "inspect": "Say what a file holds, what is missing, and what to type to mend it.",
    "prepare": "Turn counts from any file into checked log1p data: QC, normalisation, genes, ComBat, metacells.",
    "split": "Hold out contexts, perturbations or combinations, or check a split for leakage.",
    "fit": "Fit one model on the training part of a split; the run folder says how it came about.",
    "predict": "Predict single cells of conditions from control cells.",
    "evaluate": "Compare predicted with real cells: all metrics, two h5ad files in, a table out.",
    "benchmark": "Models x splits x seeds: one table with baselines, ceiling and intervals, and a report.",
    "report": "Write a benchmark or run as one self-contained HTML page.",
    "simulate": "Simulate a perturbation experiment whose truth is known.",
    "demo": "Run everything once on simulated data and open the report.",
    "list": "List the models, metrics, splits or simulated worlds.",
}
SUCCESS, BAD_INPUT, INTERRUPTED = 0, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv
        The words after ``cycseq``; None takes them from the process.

    Returns
    -------
    int
        0 if all went well, 2 if the input or a setting was at fault, 130 if interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(words)
    except CycseqError as err:
        return _fail(str(err))
    except KeyboardInterrupt:
        sys.stderr.write("cycseq: interrupted; nothing half-written was left.\n")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SUCCESS
    except OSError as err:
        return _fail(f"{err.filename or 'a file'}: {err.strerror or err}")


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in {"-h", "--help", "help"}:
        sys.stdout.write(_overview())
        return SUCCESS
    if words[0] in {"--version", "-V"}:
        sys.stdout.write(f"cycseq {version('cycseq')}\n")
        return SUCCESS
    name, *options = words
    if name not in COMMANDS:
        raise unknown_name(name, "command", COMMANDS)
    warnings.filterwarnings("ignore", module=r"(anndata|zarr|sklearn|inmoose|illico)\b.*")
    from cycseq.commands.parser import parse

    command = import_module(f"cycseq.commands.{name}")
    settings = parse(name, COMMANDS[name], command.configure, options)
    if settings is None:
        return SUCCESS
    return int(command.run(settings) or SUCCESS)


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {does}" for name, does in COMMANDS.items()]
    return "\n".join(
        [
            "usage: cycseq COMMAND [OPTIONS]",
            "",
            "Predict how single cells respond to perturbations where they were never measured,",
            "and say how far to trust it.",
            "",
            *lines,
            "",
            "cycseq COMMAND --help shows a command's options. Start with: cycseq demo",
            "",
        ]
    )


def _fail(message: str) -> int:
    sys.stderr.write(f"cycseq: {' '.join(message.split())}\n")
    return BAD_INPUT


if __name__ == "__main__":
    raise SystemExit(main())
