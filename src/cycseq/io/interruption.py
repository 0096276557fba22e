"""Ctrl-C and SIGTERM: each is an exception, and is remembered whatever becomes of that exception on its way up."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class _Signals:
    """What came, what of it was not raised yet, and whether signals wait until a block ends."""

    received: list[int] = field(default_factory=list)
    pending: list[int] = field(default_factory=list)
    postponed: bool = False


_signals = _Signals()


class Terminated(KeyboardInterrupt):
    """SIGTERM was sent: a cluster's scheduler, a container or the system asks the process to end."""


@contextmanager
def catch_signals() -> Iterator[list[int]]:
    """Ctrl-C raises `KeyboardInterrupt`, and SIGTERM `Terminated`, in the main thread while the block runs.

    Yielded is the list of the signals that came, in order. A library may turn the exception into another one, as compiled modules
    do where they are imported: the list still says what happened.
    """
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
            if signal.getsignal(number) == usual:  # what is ignored stays ignored
                before[number] = signal.signal(number, _raise)
    try:
        yield _signals.received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if before:
            _signals.received.clear()


@contextmanager
def postpone_signals(*, postponed: bool = True) -> Iterator[None]:
    """A signal that comes while the block runs is raised when it ends: nothing is cut off between its lines.

    With ``postponed=False``, inside such a block, signals are raised at once again.
    """
    if threading.current_thread() is not threading.main_thread():  # signals are raised in the main thread alone
        yield
        return
    before, _signals.postponed = _signals.postponed, postponed
    try:
        _raise_pending()
        yield
    finally:
        _signals.postponed = before
        _raise_pending()


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
    _signals.received.append(number)
    _signals.pending.append(number)
    _raise_pending()


def _raise_pending() -> None:
    if _signals.pending and not _signals.postponed:
        number = _signals.pending[0]
        _signals.pending.clear()
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt
