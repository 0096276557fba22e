"""Which measured responses count for a condition, against hand-made weights."""

import numpy as np

from cycseq.data.dataset import Condition
from cycseq.knowledge.nearness import response_weights

KNOWN = [Condition("A", "G1"), Condition("B", "G1"), Condition("B", "G2"), Condition("A", "G3+G4")]
PLACES = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], dtype=np.float32)


def weights(perturbation: str, nearness: float) -> np.ndarray | None:
    here = np.array([0.0, 1.0], dtype=np.float32)
    return response_weights(Condition("D", perturbation), KNOWN, ("A", "B", "C"), PLACES, here, nearness=nearness)


def test_near_contexts_count_more():
    far = np.exp(-2.0 * (2.0 - 1.0) / 4.0)  # squared distances 1 and 2 from here; 1, 4 and 5 between places
    np.testing.assert_allclose(weights("G1", 2.0), [1 / (1 + far), far / (1 + far), 0.0, 0.0], rtol=1e-6)
    np.testing.assert_allclose(weights("G1", 0.0), [0.5, 0.5, 0.0, 0.0])


def test_parts_of_a_new_combination_are_summed():
    np.testing.assert_allclose(weights("G1+G2", 0.0), [0.5, 0.5, 1.0, 0.0])


def test_a_part_known_in_combinations_only_cannot_be_added():
    assert weights("G1+G3", 2.0) is None
    np.testing.assert_allclose(weights("G3+G4", 2.0), [0.0, 0.0, 0.0, 1.0])
