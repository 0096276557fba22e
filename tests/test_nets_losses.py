import numpy as np
import pytest
from scipy import stats

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'cycseq[networks]'")

from cycseq.models.networks.blocks.likelihood import counts_of, nb_loss  # noqa: E402
from cycseq.models.networks.blocks.losses import (  # noqa: E402
    annealed,
    gradient_penalty,
    kl_to_standard,
    least_squares,
    mean_distance,
)


@pytest.fixture
def counts() -> np.ndarray:
    return np.random.default_rng(0).poisson(1.0, (20, 7)).astype(np.float32)


def test_negative_binomial_is_scipys(counts):
    rng = np.random.default_rng(1)
    mean, theta = np.exp(rng.normal(size=counts.shape)), np.exp(rng.normal(size=7))
    wanted = -stats.nbinom.logpmf(counts, theta, theta / (theta + mean)).mean()
    got = nb_loss(*(torch.tensor(a, dtype=torch.float64) for a in (counts, np.log(mean), np.log(theta))))
    assert float(got) == pytest.approx(wanted, rel=1e-6)


def test_zero_inflation_adds_zeros(counts):
    rng = np.random.default_rng(2)
    mean, theta, pi = np.exp(rng.normal(size=counts.shape)), np.exp(rng.normal(size=7)), rng.random(counts.shape)
    pmf = (1 - pi) * stats.nbinom.pmf(counts, theta, theta / (theta + mean)) + pi * (counts == 0)
    tensors = (
        torch.tensor(a, dtype=torch.float64) for a in (counts, np.log(mean), np.log(theta), np.log(pi / (1 - pi)))
    )
    assert float(nb_loss(*tensors)) == pytest.approx(-np.log(pmf).mean(), rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_zero_inflation_stays_a_number_far_out(dtype):
    """A zero where hundreds are expected, and logits that no float32 has the exponential of."""
    counts, theta = np.array([[0.0, 0.0, 400.0, 3.0]]), np.array([1e3, 1e3, 1e3, 0.1])
    mean, logit = np.array([[300.0, 300.0, 300.0, 1e-4]]), np.array([[-150.0, 150.0, 120.0, -120.0]])
    plain = stats.nbinom.logpmf(counts, theta, theta / (theta + mean)) - np.logaddexp(0.0, logit)
    wanted = -np.where(counts == 0, np.logaddexp(plain, -np.logaddexp(0.0, -logit)), plain).mean()
    tensors = [torch.tensor(a, dtype=dtype) for a in (counts, np.log(mean), np.log(theta), logit)]
    for tensor in tensors[1:]:
        tensor.requires_grad_()
    loss = nb_loss(*tensors)
    assert loss.item() == pytest.approx(wanted, rel=1e-9 if dtype == torch.float64 else 1e-4)
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(loss, tensors[1:]))


def test_counts_come_back_from_log1p():
    counts = np.random.default_rng(3).poisson(2.0, (5, 40)).astype(np.float32)
    total = counts.sum(axis=1) + 7
    x = np.log1p(counts / total[:, None] * 1e4).astype(np.float32)
    assert np.array_equal(counts_of(torch.from_numpy(x), torch.from_numpy(total)).numpy(), counts)


def test_kl_is_that_of_two_normals():
    mean, log_variance = torch.randn(6, 3), torch.randn(6, 3)
    posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    wanted = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum(dim=1).mean()
    assert float(kl_to_standard(mean, log_variance)) == pytest.approx(float(wanted), rel=1e-5)


def test_annealing_rises_over_the_first_half():
    assert [annealed(share, 0.1) for share in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([0.0, 0.05, 0.1, 0.1])


def test_gradient_penalty_of_a_linear_critic():
    slope = torch.tensor([3.0, 4.0], requires_grad=True)
    penalty = gradient_penalty(lambda x: x @ slope, torch.randn(5, 2), torch.randn(5, 2))
    assert float(penalty.detach()) == pytest.approx((5.0 - 1.0) ** 2)
    penalty.backward()
    assert slope.grad is not None
    assert least_squares(torch.tensor([1.0, 3.0]), 1.0) == pytest.approx(2.0)


@pytest.mark.parametrize("excess", [False, True])
def test_gradients_of_counts_are_those_of_the_plain_formula(excess):
    generator = torch.Generator().manual_seed(0)
    counts = torch.randint(0, 5, (7, 6), generator=generator).double()
    log_mean, logit = (torch.randn(7, 6, generator=generator).double().requires_grad_() for _ in range(2))
    log_dispersion = torch.randn(6, generator=generator).double().requires_grad_()
    law = torch.distributions.NegativeBinomial(
        total_count=log_dispersion.exp().expand(7, 6), logits=log_mean - log_dispersion, validate_args=False
    )
    plain = law.log_prob(counts)
    if excess:
        present = torch.nn.functional.logsigmoid(-logit) + plain
        both = torch.logaddexp(torch.nn.functional.logsigmoid(logit), present)
        plain = torch.where(counts == 0, both, present)
    inputs = [log_mean, log_dispersion, *([logit] if excess else [])]
    wanted = torch.autograd.grad(-plain.mean(), inputs)
    found = torch.autograd.grad(nb_loss(counts, log_mean, log_dispersion, logit if excess else None), inputs)
    for one, other in zip(found, wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-10)


def test_the_distance_of_means_is_that_of_pairs_of_cells_and_not_biased_by_few():
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    real, made, codes = drawn(6, 4), drawn(6, 4), torch.tensor([0, 1, 0, 2, 1, 0])
    wanted = 0.0
    for rows in ([0, 2, 5], [1, 4]):  # the group of one cell has no pairs
        pairs = [(i, j) for i in rows for j in rows if i != j]
        within = sum(float(real[i] @ real[j] + made[i] @ made[j]) for i, j in pairs) / len(pairs)
        wanted += len(rows) * (within - 2.0 * float(real[rows].mean(0) @ made[rows].mean(0)))
    got = mean_distance(real, made, codes, torch.tensor([3, 2, 1]))
    assert float(got) == pytest.approx(wanted / 5 / 4, rel=1e-9)
    assert float(mean_distance(real[:1], made[:1], torch.tensor([0]), torch.tensor([1]))) == 0.0

    twos, codes = (40_000, 3), torch.arange(20_000).repeat(2)
    cells, more, counts = drawn(*twos), drawn(*twos) + 0.5, torch.full((20_000,), 2)
    assert abs(float(mean_distance(cells, drawn(*twos), codes, counts))) < 0.05  # the plain distance is 1
    assert float(mean_distance(cells, more, codes, counts)) == pytest.approx(0.25, abs=0.05)
