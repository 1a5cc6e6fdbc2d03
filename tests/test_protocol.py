"""Sequences, masks and noise as the protocol defines them, worked by hand."""

import pytest
import torch

from ganlm_core.protocol import BOS, Batch, Shape, conditions_of, mask_of, masked_mean, per_sequence, shift

from .tiny import SHAPE, TinyGenerator, TinyOneShot, make_batch


def test_a_mask_is_true_up_to_and_including_the_first_eos() -> None:
    tokens = torch.tensor([[3, 2, 0, 0], [2, 0, 0, 0], [3, 4, 5, 3], [3, 2, 4, 2], [3, 4, 5, 2]])
    assert mask_of(tokens).int().tolist() == [[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 1]]


def test_inputs_are_the_tokens_one_position_later_after_bos() -> None:
    tokens = torch.tensor([[3, 4, 2, 0], [5, 3, 4, 5]])
    assert shift(tokens).tolist() == [[BOS, 3, 4, 2], [BOS, 5, 3, 4]]
    assert tokens.tolist() == [[3, 4, 2, 0], [5, 3, 4, 5]]


def test_a_masked_mean_uses_the_mask_and_is_zero_for_an_empty_one() -> None:
    values = torch.tensor([[1.0, 3.0, 100.0], [2.0, 4.0, 6.0], [7.0, 7.0, 7.0]])
    mask = torch.tensor([[True, True, False], [True, True, True], [False, False, False]])
    assert masked_mean(values, mask).tolist() == [2.0, 4.0, 0.0]
    assert per_sequence(values, mask).tolist() == [2.0, 4.0, 0.0]


def test_a_prompt_does_not_count_in_the_mean_of_its_sequence() -> None:
    """Prompts of 2, 0 and 1 tokens. The rows come twice, as samples of two draws do."""
    tokens = torch.tensor([[3, 4, 5, 2], [3, 2, 0, 0], [3, 4, 2, 0]])
    batch = Batch(tokens, mask_of(tokens), torch.zeros(3, 0), given=torch.tensor([2, 0, 1]))
    values = torch.tensor([[9.0, 9.0, 1.0, 3.0], [2.0, 4.0, 9.0, 9.0], [9.0, 5.0, 7.0, 9.0]]).repeat(2, 1)
    with conditions_of(batch):
        assert per_sequence(values, batch.mask.repeat(2, 1)).tolist() == [2.0, 3.0, 6.0] * 2


def test_values_per_sequence_stay_as_they_are() -> None:
    values = torch.tensor([1.0, 2.0])
    assert per_sequence(values, torch.zeros(2, 3, dtype=torch.bool)) is values


def test_forward_of_a_sequence_is_its_steps_in_order() -> None:
    torch.manual_seed(0)
    generator, noise, tokens = TinyGenerator(), torch.randn(1, SHAPE.noise), torch.tensor([[4, 3, 5]])
    first = 0.5 * noise @ generator.noise + generator.table[BOS]
    second = 0.5 * first + generator.table[4]
    third = 0.5 * second + generator.table[3]
    expected = torch.stack([first, second, third], dim=1).tanh()
    torch.testing.assert_close(generator(noise, tokens), expected)


def test_logits_depend_on_earlier_tokens_only() -> None:
    torch.manual_seed(1)
    generator, noise = TinyGenerator(), torch.randn(1, SHAPE.noise)
    one, other = (generator(noise, torch.tensor([tokens])) for tokens in ([3, 4, 5], [3, 5, 5]))
    assert one[:, :2].equal(other[:, :2])
    assert not one[:, 2].isclose(other[:, 2]).any()


def test_an_autoregressive_forward_without_tokens_says_what_to_use() -> None:
    with pytest.raises(ValueError) as caught:
        TinyGenerator()(torch.zeros(1, SHAPE.noise))
    assert str(caught.value) == (
        "an autoregressive generator needs the tokens so far; to draw some, use sampling.sample"
    )


def test_a_prior_is_saved_but_not_trained_and_starts_at_zero() -> None:
    shape = Shape(vocabulary=7, length=4, noise=2)
    for generator, size in ((TinyGenerator(shape), (7,)), (TinyOneShot(shape), (4, 7))):
        assert generator.state_dict()["prior"].equal(torch.zeros(size))
        assert "prior" not in dict(generator.named_parameters())


def test_logged_values_keep_no_graph() -> None:
    batch, value = make_batch(), torch.ones((), requires_grad=True) * 3
    batch.log("cost", value)
    assert batch.metrics["cost"].item() == 3
    assert not batch.metrics["cost"].requires_grad
