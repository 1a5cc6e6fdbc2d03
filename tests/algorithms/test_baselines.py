"""Baselines: values by hand, and the regression of a value function against least squares."""

import pytest
import torch
from torch import Tensor

from ganlm_core import sampling
from ganlm_core.algorithms.baselines import BUCKETS, Learned, _features, make_baseline
from ganlm_core.protocol import EOS, mask_of
from tests.tiny import SHAPE, TinyGenerator, TinyOneShot, make_batch


def drawn_with(mask: Tensor) -> sampling.Draws:
    """Return drawn sequences with this mask and even probabilities."""
    zeros = torch.zeros(mask.shape)
    return sampling.Draws(zeros.long(), mask, zeros, torch.zeros(*mask.shape, SHAPE.vocabulary).log_softmax(dim=-1))


def test_without_a_baseline_it_is_zero() -> None:
    mask = torch.ones(2, 3, dtype=torch.bool)
    assert not make_baseline("none", 0.9)(drawn_with(mask), torch.ones(2, 3)).any()


def test_the_moving_average_is_of_past_batches_and_in_the_state_dict() -> None:
    """0.9 of the old average and 0.1 of the new mean, divided by the weights so far: 0.4 / 0.1, then 0.76 / 0.19."""
    baseline, drawn = make_baseline("moving-average", 0.9), drawn_with(torch.ones(2, 3, dtype=torch.bool))
    expected = [baseline(drawn, torch.full((2, 3), value)).max().item() for value in (4.0, 4.0, 1.0)]
    assert expected == pytest.approx([0.0, 4.0, 4.0])
    assert baseline.state_dict()["average"].item() == pytest.approx(0.9 * 0.76 + 0.1)


def test_the_leave_one_out_baseline_compares_samples_of_the_same_noise_vector() -> None:
    """Two noise vectors with three samples each: the baseline is the mean of the other two samples that reach there."""
    returns = torch.tensor([[1.0], [10.0], [2.0], [20.0], [6.0], [60.0]]).expand(-1, 2)
    mask = torch.ones(6, 2, dtype=torch.bool)
    mask[4, 1] = mask[1, 1] = mask[3, 1] = False
    expected = make_baseline("leave-one-out", 0.9, samples=3)(drawn_with(mask), returns)
    assert expected[:, 0].tolist() == [4.0, 40.0, 3.5, 35.0, 1.5, 15.0]
    assert expected[mask[:, 1], 1].tolist() == [2.0, 1.0, 0.0]


def test_a_baseline_of_the_same_length_neither_pays_nor_fines_a_length() -> None:
    mask = torch.tensor([[1, 1, 0], [1, 1, 0], [1, 1, 1], [1, 1, 1], [1, 0, 0]]).bool()
    returns = torch.tensor([5.0, 7.0, 1.0, 2.0, 9.0])[:, None].expand(5, 3)
    expected = make_baseline("same-length", 0.9)(drawn_with(mask), returns)
    assert expected[:, 0].tolist() == [7.0, 5.0, 2.0, 1.0, 9.0]


def draws_of(generator: TinyGenerator | TinyOneShot, rows: int = 64, samples: int = 1) -> sampling.Draws:
    batch = make_batch(rows=rows)
    return sampling.draws(generator, batch, samples)


def test_a_value_function_knows_nothing_of_a_token_and_what_follows() -> None:
    """Another token at position 1 leaves the features of positions 0 and 1 as they are, and changes those of 2."""
    torch.manual_seed(0)
    generator, noise = TinyGenerator(), torch.randn(1, SHAPE.noise)
    one, other = (torch.tensor([[3, second, 4]]) for second in (3, 5))
    found = []
    for tokens in (one, other):
        distributions = sampling.log_probabilities(generator(noise, tokens))
        found.append(_features(sampling.Draws(tokens, mask_of(tokens), torch.zeros(1, 3), distributions)))
    assert found[0][:, :2].equal(found[1][:, :2])
    assert not found[0][:, 2].equal(found[1][:, 2])


def test_a_value_function_is_the_least_squares_fit_of_past_batches() -> None:
    torch.manual_seed(1)
    generator = TinyGenerator()
    baseline, past = Learned(decay=0.5), []
    for _ in range(3):
        drawn = draws_of(generator)
        returns = torch.randn(drawn.mask.shape)
        expected = baseline(drawn, returns)
        past.append((_features(drawn)[drawn.mask], returns[drawn.mask]))
    weights = torch.tensor([0.5, 1.0]).sqrt()  # of the two batches before the last
    seen = torch.cat([weight * features for weight, (features, _) in zip(weights, past, strict=False)]).double()
    paid = torch.cat([weight * returns for weight, (_, returns) in zip(weights, past, strict=False)]).double()
    ridge = 1e-3 * seen.square().sum(dim=0).mean()
    padded = torch.cat([seen, ridge.sqrt() * torch.eye(seen.shape[1])])
    fitted = torch.linalg.lstsq(padded, torch.cat([paid, torch.zeros(seen.shape[1])])[:, None]).solution
    wanted = (_features(drawn) @ fitted.float()).squeeze(-1)
    torch.testing.assert_close(expected, wanted.detach(), atol=1e-4, rtol=1e-3)


def test_a_value_function_finds_what_the_next_words_tell() -> None:
    """The return is the probability of <eos> at the token, so the regression can be exact."""
    torch.manual_seed(2)
    generator, baseline = TinyGenerator(), Learned(decay=0.9)
    errors = []
    for _ in range(20):
        drawn = draws_of(generator)
        returns = drawn.distributions[..., EOS].exp().detach()
        errors.append((baseline(drawn, returns) - returns)[drawn.mask].square().mean().item())
    assert errors[-1] < 0.02 * errors[0]


def test_a_value_function_of_a_generator_that_writes_all_positions_at_once() -> None:
    """The samples of a noise vector have the same next-word probabilities: row i belongs to row i % B."""
    torch.manual_seed(3)
    drawn = draws_of(TinyOneShot(), rows=4, samples=3)
    features = _features(drawn)[..., :BUCKETS]
    assert features.shape[0] == 12
    assert features[5].equal(features[1])
    assert not features[5].equal(features[0])


def test_the_classes_of_words_keep_all_probability() -> None:
    """A vocabulary that is no multiple of BUCKETS."""
    words = 2 * BUCKETS + 3
    log_p = torch.randn(2, 3, words).log_softmax(dim=-1)
    tokens = torch.full((2, 3), 4)
    found = _features(sampling.Draws(tokens, tokens > 0, torch.zeros(2, 3), log_p))[..., :BUCKETS]
    torch.testing.assert_close(found.sum(dim=-1), torch.ones(2, 3))
    torch.testing.assert_close(found[0, 0, 1], log_p[0, 0, [1, BUCKETS + 1, 2 * BUCKETS + 1]].exp().sum())


def test_the_state_of_a_value_function_is_in_its_state_dict() -> None:
    torch.manual_seed(4)
    generator, one, other = TinyGenerator(), Learned(0.9), Learned(0.9)
    drawn = draws_of(generator)
    one(drawn, torch.randn(drawn.mask.shape))
    other.load_state_dict(one.state_dict())
    returns = torch.zeros(drawn.mask.shape)
    assert other(drawn, returns).equal(one(drawn, returns))
