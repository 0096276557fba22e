"""One training step of CycSeq, as it is and as published, at the published sizes, taking turns.

Both forms have layers of 1,024, 512 and 256, latents of 128, the same cells and the same labels. The published form has
a vector of zeros and ones over all genes for the perturbed one, in the generators and in the critics, a gradient penalty
in every step, a plain Adam, and one SciPy regression for every cell of every step, whose only use was a number on the
progress bar: it is kept here as part of the published step. (It is run on control and perturbed cells, which costs what
control and restored cells cost.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from speed_stages.measure import Form, Row, rows, together

HIDDEN, LATENT = (1024, 512, 256), 128
FULL = {"genes": 2_000, "batch": 1_024, "perturbations": 2_000, "rounds": 2}
QUICK = {"genes": 60, "batch": 16, "perturbations": 10, "rounds": 1}


def stage(size: dict[str, int]) -> tuple[list[Row], dict[str, Any]]:
    """Lines of the table: four steps each, as every fourth of the mended form has a gradient penalty."""
    found = together(Form("cycseq_step", "cycseq_step", "forms", size))
    what = f"batch {size['batch']:,}, {size['genes']:,} genes, {size['perturbations']:,} perturbations, 4 steps"
    return rows("cycseq-step", what, found, {name: "peer" if name == "published" else "ours" for name in found}), {}


def forms(genes: int, batch: int, perturbations: int, rounds: int) -> Callable[[], dict[str, Any]]:
    """What `stage` times."""
    from cycseq.models.networks.cycseq import CycSeq
    from cycseq.models.networks.training.memory import keep_memory
    from speed_stages.child import turns
    from speed_stages.steps import PRECISIONS, made_up

    data, every = made_up(6 * batch, genes, perturbations), CycSeq().penalty_every
    work = {f"mended{name}": steps(data, batch, faithful=False, low=low) for name, low in PRECISIONS.items()}
    work["published"] = steps(data, batch, faithful=True, low=False)

    def several(step: Callable[[int], None]) -> Callable[[], None]:
        return lambda: [step(i) for i in range(every)] and None

    def taken() -> dict[str, Any]:
        with keep_memory():  # as training does, for both forms
            return turns({name: several(step) for name, step in work.items()}, rounds)

    return taken


def steps(data: Any, batch_size: int, *, faithful: bool, low: bool) -> Callable[[int], None]:
    """A step of either form."""
    import numpy as np
    import torch

    from cycseq.models.networks.batches import Feeder, Vocabulary, encode
    from cycseq.models.networks.cycseq import CycSeq
    from speed_stages.steps import DEVICE, Plainly

    vocabulary = Vocabulary.of(data)
    cells = encode(data, vocabulary)
    model = CycSeq(faithful=faithful, hidden=HIDDEN, latent=LATENT)
    torch.manual_seed(0)
    net = model.build(vocabulary.sizes(len(data.genes))).to(DEVICE)
    rows_ = np.flatnonzero(cells.parts.any(axis=1))
    feeder, plainly = Feeder(cells, rows_, batch_size, 0, with_controls=True), Plainly(model.optimisers(net))

    def step(i: int) -> None:
        plainly.step_of_epoch = i
        batch = feeder.batch(0, i % feeder.n_steps).to(DEVICE)
        with torch.autocast(DEVICE.type, dtype=torch.bfloat16, enabled=low):
            model.step(net, batch, plainly)
        if faithful:
            regressions(batch)

    return step


def regressions(batch: Any) -> float:
    """The published progress bar's number."""
    import numpy as np
    from scipy.stats import linregress

    pairs = zip(batch.control.cpu().numpy(), batch.x.cpu().numpy(), strict=True)
    return float(np.mean([linregress(a, b)[2] ** 2 for a, b in pairs]))
