"""A trained transport, and its form as arrays and facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import torch

from cycseq.data.dataset import Condition
from cycseq.errors import ModelError
from cycseq.models.counts.transport.pairs import Points
from cycseq.models.networks.batches import Vocabulary
from cycseq.models.networks.blocks.batch import OPEN, Batch, aligned
from cycseq.models.networks.blocks.transport import TransportNet

Way = Literal["perturb", "restore"]


@dataclass(frozen=True)
class Transport:
    """h and its inverse."""

    net: TransportNet
    vocabulary: Vocabulary
    facts: dict[str, Any]
    """What validation showed; `helps` says whether cells are more alike to real ones with it."""

    def change(self, way: Way, points: Points, condition: Condition) -> Points | None:
        """What cells at these points do beside the mean response: zero on average.

        None where the transport does not help, or never saw a part of the perturbation. A context that it never saw takes
        the place held open for such.
        """
        if not self.facts["helps"] or not set(condition.parts) <= set(self.vocabulary.parts):
            return None
        n, known = len(points), self.vocabulary.contexts
        context = known.index(condition.context) + 1 if condition.context in known else OPEN
        batch = Batch(
            x=aligned(points),
            parts=torch.from_numpy(self.vocabulary.places(condition)).expand(n, -1),
            context=torch.full((n,), context),
            batch=torch.full((n,), OPEN),
            total=torch.ones(n),
        )
        with torch.inference_mode():
            change = self.net(way, batch.x, batch).numpy()
        return np.asarray(change - change.mean(axis=0), dtype=np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        """The weights by name."""
        return {name: np.ascontiguousarray(tensor.numpy()) for name, tensor in self.net.state_dict().items()}

    def stored(self) -> dict[str, Any]:
        """All else, as JSON can hold it."""
        vocabulary = {"parts": list(self.vocabulary.parts), "contexts": list(self.vocabulary.contexts)}
        return {**self.facts, "vocabulary": vocabulary}

    @classmethod
    def restored(cls, arrays: Mapping[str, np.ndarray], stored: Mapping[str, Any], *, width: int, genes: int) -> Self:
        """What `arrays` and `stored` gave."""
        vocabulary = Vocabulary(tuple(stored["vocabulary"]["parts"]), tuple(stored["vocabulary"]["contexts"]), ())
        with torch.device("meta"):  # shapes without memory: a width that was altered may claim any size
            shapes = {
                name: own.shape for name, own in TransportNet(vocabulary.sizes(genes), width=width).state_dict().items()
            }
        if shapes != {name: array.shape for name, array in arrays.items()}:
            msg = "the weights do not fit CycleTransport: another version of cycseq saved them. Fit it again."
            raise ModelError(msg)
        with torch.random.fork_rng():
            net = TransportNet(vocabulary.sizes(genes), width=width)
        net.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
        return cls(net.eval(), vocabulary, {k: v for k, v in stored.items() if k != "vocabulary"})
