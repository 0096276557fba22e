"""CycSeq with each of its mendings switched off in turn, on contexts that were held out.

    python benchmarks/cycseq_ablations.py [simulated|kang ...] [--held NK,B] [--seeds 1] [--genes 2000]

Simulated: four lines, 12 perturbations, 500 genes, Line1 held out. Kang: variable genes chosen without the stimulated
cells of the type that is held out. A mending without a setting of its own is switched off by putting the published piece
into its place. Scores are means over the held-out conditions. Nothing is tuned here: every variant has the settings of
`CycSeq` otherwise.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pandas as pd
import torch

import cycseq
from cycseq.data.dataset import PerturbationData
from cycseq.models.networks.blocks import blocks
from cycseq.models.networks.blocks import cycseq as nets

KANG = Path(__file__).resolve().parents[2] / "shared" / "data" / "kang2018_pbmc_ifnb.h5ad"
METRICS = ("mse_ratio", "pearson_delta")
HELD = {"simulated": ("Line1",), "kang": ("NK", "B")}


def anew(
    activation: Callable[[torch.Tensor], torch.Tensor],
) -> Callable[[nets.Translator, nets.Batch], nets.Translated]:
    """A translator's forward pass whose cells are made anew from the latents, as published."""

    def forward(self: nets.Translator, batch: nets.Batch) -> nets.Translated:
        mean, log_variance = self.encode(batch)
        z = nets.sampled(mean, log_variance) if self.training else mean
        hidden = self.decoder(torch.cat([z, self.labels(batch)], dim=1))
        output = activation(self.expression(hidden).float())
        return nets.Translated(output, output[:, :0], output[:, :0], nets.kl_to_standard(mean, log_variance))

    return forward


def one_token(self: blocks.TokenAttention, width: int, *, tokens: int, heads: int = 4) -> None:
    WHOLE(self, width, tokens=1, heads=heads)


WHOLE = blocks.TokenAttention.__init__
VARIANTS: dict[str, tuple[dict[str, object], Callable[[], object] | None]] = {
    "default": ({}, None),
    "cells made anew, bounded below": ({}, partial(patch.object, nets.Translator, "forward", anew(torch.relu))),
    "cells made anew, tanh": ({}, partial(patch.object, nets.Translator, "forward", anew(torch.tanh))),
    "attention over one token": ({}, partial(patch.object, blocks.TokenAttention, "__init__", one_token)),
    "no attention": ({"use_attention": False}, None),
    "no reader of labels": ({}, partial(patch, "cycseq.models.networks.cycseq.LABEL_SHARE", 0.0)),
    "no distance of means": ({"lambda_mean": 0.0}, None),
    "no critics": ({"lambda_gan": 0.0}, None),
    "no cycle and no reader": ({"lambda_cycle": 0.0}, None),
    "no KL divergence": ({"lambda_kl": 0.0}, None),
    "gradient penalty in every step": ({"penalty_every": 1}, None),
    "cycle of all cells": ({"cycle_share": 1.0}, None),
    "published form": ({"faithful": True}, None),
}
"""Settings, and what is put into the place of a piece of the network."""


def data_of(name: str, held: str, genes: int) -> PerturbationData:
    if name == "simulated":
        settings = cycseq.SimulateSettings(contexts=4, perturbations=12, cells=3_000, genes=500, seed=1)
        return cycseq.prepare([cycseq.simulate(settings)], cycseq.PrepareSettings(genes="all"))
    if not KANG.exists():
        msg = f"real data absent: {KANG.name} is not beside the project in ../shared/data"
        raise SystemExit(msg)
    return cycseq.prepare([cycseq.read(KANG)], cycseq.PrepareSettings(genes=genes, hold_out=(held,)))


def scored(model: str, settings: dict[str, object], data: PerturbationData, held: str, seed: int) -> dict[str, float]:
    (split,) = cycseq.make_splits(data, cycseq.SplitSettings(kind="unseen-context", context=held, seed=seed))
    parts = split.parts(data)
    started = time.process_time()
    fitted = cycseq.build_model(model, settings).fit(parts.train, parts.validation, seed=seed)
    seconds = time.process_time() - started
    controls = parts.train.controls([held])
    table = cycseq.evaluate(
        fitted.predict(controls, split.test, seed=seed),
        parts.test,
        controls,
        settings=cycseq.EvaluateSettings(metrics=METRICS),
    )
    return {**table.groupby("metric")["value"].mean().to_dict(), "seconds": seconds}


def rows_of(
    name: str, variants: list[str], contexts: tuple[str, ...], seeds: int, genes: int
) -> Iterator[dict[str, object]]:
    for held in contexts:
        data = data_of(name, held, genes)
        for seed in range(seeds):
            for model in ("ContextAdditive",) if seed == 0 else ():
                yield {"data": name, "held": held, "seed": seed, "variant": model} | scored(model, {}, data, held, seed)
            for variant in variants:
                settings, piece = VARIANTS[variant]
                with ExitStack() as stack:
                    if piece is not None:
                        stack.enter_context(piece())
                    found = scored("CycSeq", settings, data, held, seed)
                yield {"data": name, "held": held, "seed": seed, "variant": variant} | found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", default=["simulated", "kang"])
    parser.add_argument("--held", help="Contexts held out, separated by commas.")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--genes", type=int, default=2_000, help="Variable genes of Kang.")
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    options, rows = parser.parse_args(), []
    for name in options.data:
        contexts = tuple(options.held.split(",")) if options.held else HELD[name]
        for row in rows_of(name, options.variants, contexts, options.seeds, options.genes):
            rows.append(row)
            print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    table = pd.DataFrame(rows).groupby(["data", "variant", "held"], sort=False)[[*METRICS, "seconds"]].mean()
    print(table.unstack("held").round(3).to_string())


if __name__ == "__main__":
    main()
