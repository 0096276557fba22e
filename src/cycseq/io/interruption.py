"""Ctrl-C and SIGTERM: each is an exception, and is remembered whatever becomes of that exception on its way up."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_received: list[int] = []


class Terminated(KeyboardInterrupt):
    """SIGTERM was sent: a cluster's scheduler, a container or the system asks the process to end."""


@contextmanager
def catch_signals() -> Iterator[list[int]]:
    """Ctrl-C raises `KeyboardInterrupt`, and SIGTERM `Terminated`, in the main thread while the block runs.

    Yields
    ------
    list[int]
        The signals that came, in order. A library may turn the exception into another one, as compiled modules do
        where they are imported: the list still says what happened.
    """
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
            if signal.getsignal(number) == usual:  # what is ignored stays ignored
                before[number] = signal.signal(number, _raise)
    try:
        yield _received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if before:
            _received.clear()


def report_signal(received: list[int]) -> int:
    """Say in a line that the process was asked to end; the exit code: 130 after Ctrl-C, 143 after SIGTERM."""
    if threading.current_thread() is threading.main_thread():  # the process is ending: asked again, it says it once
        for minded in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(minded) is _raise:
                signal.signal(minded, signal.SIG_IGN)
    number = received[0] if received else int(signal.SIGINT)
    what = "ended by SIGTERM" if number == signal.SIGTERM else "interrupted"
    sys.stderr.write(f"cycseq: {what}; nothing half-written was left.\n")
    return 128 + number


def _raise(number: int, _frame: Any) -> None:
    _received.append(number)
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt
