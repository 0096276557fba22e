import pickle

import pytest

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'cycseq[networks]'")

from torch import nn  # noqa: E402
from torch.nn.utils.parametrizations import spectral_norm  # noqa: E402

from cycseq.models.networks.blocks.autoencoder import AutoencoderNet  # noqa: E402
from cycseq.models.networks.blocks.batch import Batch, Sizes  # noqa: E402
from cycseq.models.networks.blocks.blocks import Dropout, Labels, SpectralLinear, TokenAttention  # noqa: E402
from cycseq.models.networks.blocks.gan import GanNet  # noqa: E402
from cycseq.models.networks.blocks.losses import frozen, gradient_penalty  # noqa: E402

SIZES = Sizes(genes=12, parts=4, contexts=3, batches=2)


def batch(parts: list[list[int]]) -> Batch:
    n = len(parts)
    return Batch(
        torch.rand(n, 12), torch.tensor(parts), torch.ones(n).long(), torch.zeros(n).long(), torch.full((n,), 1e4)
    )


def test_a_combination_is_the_sum_of_its_parts_and_control_is_nothing():
    labels = Labels(SIZES, 5).eval()
    one, two, both, swapped, control = labels(batch([[1, 0], [2, 0], [1, 2], [2, 1], [0, 0]]))[:, :5]
    assert torch.allclose(one + two, both)
    assert torch.equal(both, swapped)
    assert not control.any()


def test_some_contexts_are_opened_while_training():
    labels = Labels(SIZES, 5, open_share=0.5)
    many = batch([[1, 0]] * 400)
    opened = (labels(many)[:, 5:] == labels.context.weight[0]).all(dim=1).float().mean()
    assert 0.4 < opened < 0.6
    assert not (labels.eval()(many)[:, 5:] == labels.context.weight[0]).all(dim=1).any()


@pytest.mark.parametrize(("tokens", "learns"), [(1, False), (4, True)])
def test_attention_over_one_token_has_nothing_to_attend_to(tokens, learns):
    torch.manual_seed(0)
    attention = TokenAttention(16, tokens=tokens, heads=2)
    with torch.no_grad():
        attention.strength.fill_(1.0)
    attention(torch.randn(8, 16)).square().sum().backward()
    queries_and_keys = attention.attention.in_proj_weight.grad[: 2 * 16 // tokens]
    assert bool(queries_and_keys.abs().max() > 1e-4) == learns  # rounding leaves 1e-6


def test_the_published_autoencoder_has_its_597_thousand_parameters():
    net = AutoencoderNet(
        Sizes(1000, 2, 2, 2),
        hidden=(256, 128),
        latent=64,
        variational=False,
        conditional=False,
        likelihood="mse",
        dropout=(0.2, 0.1),
        shortcut=False,
    )
    assert sum(p.numel() for p in net.parameters()) == 597_288


def test_dropout_keeps_expected_values_and_does_nothing_in_evaluation():
    torch.manual_seed(0)
    layer, x = Dropout(0.2), torch.ones(999, 501, requires_grad=True)
    y = layer(x)
    off = y == 0
    assert abs(float(off.float().mean()) - 0.2) < 3e-3
    assert abs(float(y.mean()) - 1.0) < 3e-3
    assert torch.allclose(y[~off], torch.tensor(256 / 205))
    # masks are drawn afresh, for every value by itself
    again = layer(x) == 0
    assert abs(float((off & again).float().mean()) - 0.04) < 3e-3
    assert abs(float((off[:, 1:] & off[:, :-1]).float().mean()) - 0.04) < 3e-3
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())
    assert torch.equal(layer.eval()(x), x)


def test_a_spectral_layer_and_the_gradient_of_its_gradient_are_torchs():
    torch.manual_seed(0)
    ours, plain = SpectralLinear(9, 5).double(), nn.Linear(9, 5).double()
    plain.load_state_dict({"weight": ours.weight, "bias": ours.bias})
    theirs = spectral_norm(plain)
    found = theirs.parametrizations["weight"][0]
    found._u.copy_(ours.u)
    found._v.copy_(ours.v)
    x, other = torch.randn(2, 7, 9, dtype=torch.float64)
    for layer in (ours, theirs):
        torch.manual_seed(1)
        critic = nn.Sequential(layer, nn.Tanh())
        (critic(x).square().sum() + gradient_penalty(lambda y, c=critic: c(y).sum(dim=1), x, other)).backward()
    assert torch.allclose(ours.weight.grad, theirs.parametrizations["weight"].original.grad)
    assert torch.allclose(ours.bias.grad, theirs.bias.grad)
    assert torch.allclose(ours.eval()(x), theirs.eval()(x))
    for _ in range(50):
        ours.train()(x)
    largest = float(torch.linalg.matrix_norm(ours.weight, ord=2))
    assert torch.allclose(ours.eval()(x), x @ ours.weight.T / largest + ours.bias)


def test_a_critic_can_be_handed_to_another_process():
    net = GanNet(SIZES, (8,), (8, 4), noise=3, conditional=True, gated=True)
    many = batch([[1, 0], [1, 2]])
    net.critic(many.x, net.critic.labels_of(many))  # moves what spectral normalisation remembers
    handed = pickle.loads(pickle.dumps(net)).eval()
    assert torch.equal(
        handed.critic(many.x, handed.critic.labels_of(many)), net.eval().critic(many.x, net.critic.labels_of(many))
    )


def test_an_opponents_weights_get_no_gradient():
    net, opponent = nn.Linear(3, 3), nn.Linear(3, 1)
    with frozen(opponent):
        loss = opponent(net(torch.ones(2, 3))).sum()
    loss.backward()
    assert net.weight.grad is not None
    assert opponent.weight.grad is None
    assert all(p.requires_grad for p in opponent.parameters())
