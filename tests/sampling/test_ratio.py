"""Likelihood ratios as discriminators, against likelihoods that are computed apart."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from ganlm_core import sampling
from ganlm_core.components import LanguageModelOptions, NoOptions
from ganlm_core.protocol import EOS, AutoregressiveGenerator, Batch, Shape, conditions_of, with_labels
from ganlm_core.sampling.conditions import ConditionalDiscriminator
from tests.tiny import Dropping, TinyGenerator, TinyRatio, every_sequence, relaxed

SHAPE = Shape(vocabulary=6, length=3, noise=0)


@dataclass
class Pair:
    generator: AutoregressiveGenerator
    ratio: TinyRatio


def pair(shape: Shape = SHAPE) -> Pair:
    torch.manual_seed(0)
    generator, ratio = TinyGenerator(shape.of("generator")), TinyRatio(shape.of("discriminator"), NoOptions())
    ratio.compare_with(generator)
    return Pair(generator, ratio)


def log_p(model: AutoregressiveGenerator, tokens: Tensor, mask: Tensor) -> Tensor:
    return sampling.log_likelihood(model, torch.zeros(len(tokens), 0), tokens, mask)


def test_the_logits_are_the_difference_of_both_log_likelihoods() -> None:
    made, (tokens, mask) = pair(), every_sequence()
    wanted = log_p(made.ratio.model, tokens, mask) - log_p(made.generator, tokens, mask)
    assert torch.allclose(made.ratio(tokens, mask), wanted, atol=1e-6)
    assert torch.allclose(made.ratio.per_sequence(made.ratio(tokens, mask), mask), wanted.sum(dim=1), atol=1e-6)


def test_one_hots_have_the_logits_of_their_ids() -> None:
    made, (tokens, mask) = pair(), every_sequence()
    dense = relaxed(tokens, SHAPE.vocabulary).float()
    assert torch.allclose(made.ratio(dense, mask), made.ratio(tokens, mask), atol=1e-6)


def test_the_generator_gets_no_gradient_and_is_not_among_the_weights() -> None:
    made, (tokens, mask) = pair(), every_sequence()
    made.ratio(tokens, mask).sum().backward()
    assert all(parameter.grad is None for parameter in made.generator.parameters())
    assert {name.partition(".")[0] for name in made.ratio.state_dict()} == {"model"}


def test_relaxed_words_get_the_gradient_of_both_halves() -> None:
    """A model that equals the generator has the ratio 1 for all words, so nothing is to be gained by other words."""
    made, (tokens, mask) = pair(), every_sequence()
    made.ratio.model.load_state_dict(made.generator.state_dict())
    dense = relaxed(tokens, SHAPE.vocabulary).float().requires_grad_()
    made.ratio(dense, mask).sum().backward()
    assert torch.allclose(dense.grad, torch.zeros_like(dense), atol=1e-5)
    assert all(parameter.grad is None for parameter in made.generator.parameters())
    assert all(parameter.requires_grad for parameter in made.generator.parameters())


def test_the_likelihood_of_the_generator_is_without_its_dropout() -> None:
    torch.manual_seed(0)
    generator, ratio, (tokens, mask) = Dropping(), TinyRatio(SHAPE, NoOptions()), every_sequence()
    generator.shape = SHAPE
    generator.noise = torch.nn.Parameter(torch.empty(0, SHAPE.vocabulary))
    ratio.compare_with(generator)
    trained = ratio(tokens, mask)
    assert generator.dropout.training
    generator.eval()
    assert torch.allclose(trained, ratio(tokens, mask), atol=1e-6)


def test_without_an_exact_likelihood_the_ratio_is_to_equally_likely_words() -> None:
    made, (tokens, mask) = pair(), every_sequence()
    made.ratio.compare_with(TinyGenerator(Shape(6, 3, noise=2)))
    assert not made.ratio.exact
    wanted = (log_p(made.ratio.model, tokens, mask) + torch.tensor(4.0).log()) * mask
    assert torch.allclose(made.ratio(tokens, mask), wanted, atol=1e-6)


def test_the_next_words_are_the_models_distribution_without_dropout() -> None:
    made, (tokens, mask) = pair(), every_sequence()
    found = made.ratio.next_words(tokens)
    assert torch.allclose(found[..., EOS:].exp().sum(dim=-1), torch.ones(tokens.shape), atol=1e-6)
    words = sampling.of_tokens(found, tokens, mask)
    assert torch.allclose(words, log_p(made.ratio.model, tokens, mask), atol=1e-6)


def test_the_negative_log_likelihood_is_per_token() -> None:
    made, (tokens, mask) = pair(), every_sequence()
    wanted = -log_p(made.ratio.model, tokens, mask).sum() / mask.sum()
    assert made.ratio.negative_log_likelihood(tokens, mask).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_several_models_give_their_mean_probability_of_each_word() -> None:
    torch.manual_seed(0)
    ratio = TinyRatio(SHAPE, LanguageModelOptions(models=3))
    generator, (tokens, mask) = TinyGenerator(SHAPE), every_sequence()
    ratio.compare_with(generator)
    mean = torch.stack([log_p(model, tokens, mask).exp() for model in ratio.models]).mean(dim=0).log()
    assert torch.allclose(ratio(tokens, mask), (mean - log_p(generator, tokens, mask)) * mask, atol=1e-6)
    words = ratio.next_words(tokens)
    assert torch.allclose(sampling.of_tokens(words, tokens, mask), mean * mask, atol=1e-6)
    assert torch.allclose(words[..., EOS:].exp().sum(dim=-1), torch.ones(tokens.shape), atol=1e-6)


def test_several_models_learn_as_each_would_alone() -> None:
    torch.manual_seed(0)
    ratio, (tokens, mask) = TinyRatio(SHAPE, LanguageModelOptions(models=2)), every_sequence()
    ratio.negative_log_likelihood(tokens, mask).backward()
    assert not torch.equal(ratio.model.table, ratio.models[1].table)
    for model in ratio.models:
        found = model.table.grad.clone()
        model.zero_grad()
        (-log_p(model, tokens, mask).sum() / mask.sum()).backward()
        assert torch.allclose(found, model.table.grad, atol=1e-6)


def test_one_model_has_the_names_of_weights_that_bundles_have() -> None:
    assert all(name.startswith("model.") for name in TinyRatio(SHAPE, NoOptions()).state_dict())
    two = TinyRatio(SHAPE, LanguageModelOptions(models=2)).state_dict()
    assert {name.rpartition(".")[0] for name in two} == {"model", "others.0"}


@pytest.mark.parametrize("labels", [0, 2])
def test_every_model_takes_the_prior_of_the_words_and_none_of_labels(labels: int) -> None:
    shape = Shape(6, 3, noise=0, labels=labels)
    ratio = TinyRatio(shape.of("discriminator"), LanguageModelOptions(models=2))
    frequencies = torch.tensor([0.1, 0.1, 0.2, 0.3, 0.2, 0.1]).log()
    ratio.take_prior(frequencies)
    for model in ratio.models:
        assert model.prior[:6].equal(frequencies)
        assert not model.prior[6:].exp().any()
    tokens, _ = every_sequence()
    asked = torch.nn.functional.pad(tokens, (min(1, labels), 0), value=6)
    found = ratio.next_words(asked)[..., EOS:].exp().sum(dim=-1)
    torch.testing.assert_close(found, torch.ones_like(found))


@pytest.mark.parametrize("dense", [False, True])
def test_with_labels_both_sides_are_given_the_label(dense: bool) -> None:
    shape = Shape(6, 3, noise=0, labels=2)
    made, (tokens, mask) = pair(shape), every_sequence()
    assert made.ratio.exact
    labels = torch.arange(len(tokens)) % 2
    batch = Batch(tokens, mask, torch.zeros(len(tokens), 2), labels=labels)
    with conditions_of(batch):
        sequence = relaxed(tokens, 6).float() if dense else tokens
        found = ConditionalDiscriminator(made.ratio, shape)(sequence, mask)
    asked = torch.cat([6 + labels[:, None], tokens], dim=1)
    own = log_p(made.ratio.model, asked, torch.nn.functional.pad(mask, (1, 0), value=True))[:, 1:]
    noise = with_labels(torch.zeros(len(tokens), 0), labels, 2)
    wanted = own - sampling.log_likelihood(made.generator, noise, tokens, mask)
    assert torch.allclose(found, wanted, atol=1e-5)
