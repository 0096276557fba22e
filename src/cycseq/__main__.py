"""`cycseq` and `python -m cycseq`: signals are minded from the first moment, before anything else is imported."""

from __future__ import annotations

import signal

from cycseq.io.interruption import catch_signals, report_signal


def main() -> int:
    """Run the command that was typed; the exit code is that of `cycseq.cli.main`."""
    with catch_signals() as received:
        try:
            from cycseq.cli import main as run

            code = run()
        except BaseException:
            if not received:
                raise
            code = report_signal(received)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python, clearing up, would answer with a traceback
    return code


if __name__ == "__main__":
    raise SystemExit(main())
