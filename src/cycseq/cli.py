"""The command line: `cycseq COMMAND ...`, its help, and its exit codes. The commands are in `cycseq.commands`."""

from __future__ import annotations

import os
import sys
from _thread import interrupt_main
from collections.abc import Sequence
from threading import Timer
from typing import Any

from cycseq.commands import COMMANDS, run_command
from cycseq.errors import CycseqError
from cycseq.io.interruption import catch_signals, report_signal

SUCCESS, BAD_INPUT = 0, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv
        The words after ``cycseq``; None takes them from the process.

    Returns
    -------
    int
        0 if all went well, 2 if the input or a setting was at fault, 130 if interrupted, 143 if ended by SIGTERM.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    usual_hook, sys.unraisablehook = sys.unraisablehook, _interrupted_later
    try:
        with catch_signals() as received:
            try:
                return _dispatch(words)
            except BaseException as err:
                if received or isinstance(err, KeyboardInterrupt):  # whatever a library made of it
                    return report_signal(received)
                if isinstance(err, BrokenPipeError):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                    return SUCCESS
                message = _in_words(err)
                if not message:
                    raise
                sys.stderr.write(f"cycseq: {' '.join(message.split())}\n")
                return BAD_INPUT
    finally:
        sys.unraisablehook = usual_hook


def _interrupted_later(ignored: Any) -> None:
    """Ctrl-C that Python noticed while it cleared an object away, where it can raise nothing: it comes again in a moment."""
    if not issubclass(ignored.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(ignored)
        return
    again = Timer(0.05, interrupt_main)
    again.daemon = True
    again.start()


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in {"-h", "--help", "help"}:
        sys.stdout.write(_overview())
        return SUCCESS
    if words[0] in {"--version", "-V"}:
        from importlib.metadata import version

        sys.stdout.write(f"cycseq {version('cycseq')}\n")
        return SUCCESS
    return run_command(words)


def _in_words(err: BaseException) -> str:
    """What the user has to fix; nothing of an error that only a developer can."""
    if isinstance(err, CycseqError):
        return str(err)
    if isinstance(err, MemoryError):
        return f"there is not enough memory ({err}): give fewer cells or genes, or --memory where the command has it."
    return f"{err.filename or 'a file'}: {err.strerror or err}" if isinstance(err, OSError) else ""


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


if __name__ == "__main__":
    raise SystemExit(main())
