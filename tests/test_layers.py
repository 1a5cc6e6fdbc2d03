import warnings

import pytest
import torch

from ganlm_core.layers import (
    Dropout,
    NoiseLinear,
    NoisyEmbedding,
    StatefulGenerator,
    TokenEmbedding,
    hide,
    max_over_time,
    output_layer,
    without_dropout,
)
from ganlm_core.protocol import Shape

MASK = torch.tensor([[True, True, False], [False, False, False]])
STATES = torch.tensor([[[-1.0, 2.0], [-3.0, 1.0], [9.0, 9.0]], [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]])


def test_a_relaxed_token_is_the_mean_of_the_embeddings() -> None:
    embedding = TokenEmbedding(3, 2)
    mixed = embedding(torch.tensor([[0.25, 0.75, 0.0]]))
    torch.testing.assert_close(mixed[0], 0.25 * embedding.weight[0] + 0.75 * embedding.weight[1])


def test_ids_and_their_one_hots_have_the_same_embedding() -> None:
    embedding, ids = TokenEmbedding(3, 2), torch.tensor([[2, 0]])
    torch.testing.assert_close(embedding(ids), embedding(torch.nn.functional.one_hot(ids, 3).float()))


def test_blurred_vectors_lie_between_two_words_in_training_only() -> None:
    torch.manual_seed(0)
    embedding = NoisyEmbedding(6, 6, blur=0.5)
    torch.nn.init.eye_(embedding.weight)
    ids = torch.full((400, 5), 4)
    blurred = embedding(ids)
    torch.testing.assert_close(blurred.sum(dim=-1), torch.ones(400, 5))
    assert 0.5 <= blurred[..., 4].min() < 0.52
    assert (blurred[..., 3:] > 0).flatten(0, 1).any(dim=0).all()
    assert not blurred[..., :3].any(), "no token moves towards <pad>, <bos> or <eos>"
    assert not torch.equal(embedding(ids), blurred)
    exact = TokenEmbedding.forward(embedding, ids)
    with torch.no_grad():
        assert torch.equal(embedding(ids), exact)
    assert torch.equal(embedding.eval()(ids), exact)


def test_a_label_is_not_blurred_and_no_word_moves_towards_one() -> None:
    torch.manual_seed(0)
    embedding = NoisyEmbedding(8, 8, blur=0.5, labels=2)
    torch.nn.init.eye_(embedding.weight)
    ids = torch.tensor([[6, 4, 5]]).expand(400, -1)
    for tokens in (ids, torch.nn.functional.one_hot(ids, 8).float()):
        blurred = embedding(tokens)
        assert blurred[:, 0].equal(torch.eye(8)[6].expand(400, -1))
        assert blurred[:, 1, 4].mean() < 0.9 and not blurred[:, 1:, 6:].any()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_dropout_drops_its_share_and_keeps_the_mean(share: float) -> None:
    torch.manual_seed(0)
    states = torch.ones(401, 501, requires_grad=True)
    dropped = Dropout(share)(states)
    kept = dropped != 0
    assert (~kept).float().mean().item() == pytest.approx(share, abs=0.004)
    assert dropped[kept].unique().tolist() == [pytest.approx(1 / (1 - share), rel=1e-4 / (1 - share))]
    dropped.sum().backward()
    assert states.grad is not None and states.grad.equal(dropped)
    both = (kept[:, 1:] & kept[:, :-1]).float().mean().item()
    assert both == pytest.approx((1 - share) ** 2, abs=0.006), "units that share a random number are independent"


def test_dropout_is_off_in_evaluation_and_for_extreme_shares() -> None:
    states = torch.randn(5, 3)
    assert Dropout(0.5).eval()(states).equal(states)
    assert Dropout(0.0)(states).equal(states)
    assert not Dropout(1.0)(states).any()
    assert Dropout(0.5)(states[:0]).shape == (0, 3)


def test_without_noise_the_state_is_a_learned_constant() -> None:
    with warnings.catch_warnings(action="error"):
        layer = NoiseLinear(0, 4)
    assert layer(torch.zeros(2, 0)).tolist() == [[0.0] * 4] * 2
    layer(torch.zeros(2, 0)).sum().backward()
    assert layer.bias.grad is not None
    assert layer.bias.grad.tolist() == [2.0] * 4


def test_the_prior_dominates_at_the_start() -> None:
    """States of size one in each unit move no logit by more than half a nat or so: 0.02 * sqrt(256) = 0.32."""
    torch.manual_seed(0)
    logits = output_layer(256, 1000)(torch.randn(8, 256))
    assert 0.28 < logits.std() < 0.36


def test_hide_puts_zeros_where_the_mask_is_false() -> None:
    assert hide(STATES, MASK).tolist() == [[[-1, 2], [-3, 1], [0, 0]], [[0, 0], [0, 0], [0, 0]]]


def test_max_over_time_uses_the_mask_and_is_zero_for_an_empty_one() -> None:
    assert max_over_time(STATES, MASK).tolist() == [[-1, 2], [0, 0]]


def test_max_over_time_of_an_empty_mask_has_a_finite_gradient() -> None:
    states = STATES.clone().requires_grad_()
    max_over_time(states, MASK).sum().backward()
    assert states.grad is not None
    assert states.grad.tolist() == [[[1, 1], [0, 0], [0, 0]], [[0, 0], [0, 0], [0, 0]]]


def test_a_stateful_generator_says_what_forward_needs() -> None:
    with pytest.raises(ValueError) as error:
        StatefulGenerator(Shape(5, 3, 0))(torch.zeros(1, 0))
    assert str(error.value) == (
        "an autoregressive generator needs the tokens so far; to draw some, use sampling.sample"
    )


def test_dropout_is_off_in_every_layer_of_torch_and_nothing_else_changes() -> None:
    lstm = torch.nn.LSTM(2, 2, num_layers=2, dropout=0.5)
    attention = torch.nn.MultiheadAttention(2, 1, dropout=0.5)
    dropout, norm = torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(2)
    network = torch.nn.ModuleList([lstm, attention, dropout, norm])
    states = torch.randn(5, 5, 2)

    def answers() -> list[torch.Tensor]:
        return [lstm(states)[0], attention(states, states, states)[0], dropout(states)]

    torch.manual_seed(0)
    with pytest.raises(KeyboardInterrupt), without_dropout(network):
        assert all(once.equal(twice) for once, twice in zip(answers(), answers(), strict=True))
        assert lstm.training and norm.training
        raise KeyboardInterrupt
    assert not any(once.equal(twice) for once, twice in zip(answers(), answers(), strict=True))
    assert network.eval() and not dropout.training
    with without_dropout(network):
        pass
    assert not dropout.training
