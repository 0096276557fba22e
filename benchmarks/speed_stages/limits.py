"""What this machine can do at best, in the same run: memory bandwidth as STREAM measures it, and matrix products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from speed_stages.measure import Form, together

COPIED = 1 << 28
"""Bytes of one array: far beyond any cache."""
SIDE = 2048
"""Rows and columns of the multiplied matrices."""
LOGARITHMS = 1 << 22


@dataclass(frozen=True)
class Limits:
    """Best of all rounds, one thread."""

    copy: float
    """Bytes read and written in a second, from one array to another (McCalpin 1995, STREAM copy)."""
    flops: float
    """Float32 multiplications and additions in a second, in a product of two large matrices."""
    bf16_flops: float
    """The same in bfloat16."""
    logs: float
    """Float32 log1p in a second, NumPy, in cache."""


def measured(rounds: int) -> Limits:
    """All of them, taking turns."""
    found = together(Form("limits", "limits", "forms", {"rounds": rounds}))
    best = {name: min(one.cpu for one in taken) for name, taken in found.items()}
    operations = 2.0 * SIDE**3
    return Limits(
        copy=2 * COPIED / best["copy"],
        flops=operations / best["float32"],
        bf16_flops=operations / 64 / best["bf16"],
        logs=LOGARITHMS / best["log1p"],
    )


def forms(rounds: int) -> Callable[[], object]:
    """What `measured` times."""
    import numpy as np
    import torch

    from speed_stages.child import turns

    source, target = np.ones(COPIED // 8), np.zeros(COPIED // 8)
    a, b = torch.randn(2, SIDE, SIDE)
    low = torch.randn(2, SIDE // 4, SIDE // 4).bfloat16()
    x = np.random.default_rng(0).random(1 << 16, dtype=np.float32)
    out = np.empty_like(x)

    def log1p() -> None:
        for _ in range(LOGARITHMS // len(x)):
            np.log1p(x, out=out)

    work = {
        "copy": lambda: np.copyto(target, source),
        "float32": lambda: torch.mm(a, b),
        "bf16": lambda: torch.mm(low[0], low[1]),
        "log1p": log1p,
    }
    return lambda: turns(work, rounds)
