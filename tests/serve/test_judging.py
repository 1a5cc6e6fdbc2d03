"""The ranks of words under a generator, and judgements."""

import pytest
import torch

from ganlm_core.bundle.load import load
from ganlm_core.bundle.model import Model
from ganlm_core.errors import UsageError
from ganlm_core.sampling import log_probabilities
from ganlm_core.serve.judging import DRAWS, generator_ranks, judge


def test_ranks_come_from_the_mixture_over_the_noise(model: Model) -> None:
    """Worked out again, position by position, with probabilities instead of logarithms."""
    tokens, _ = model.tokenizer.encode(["the dog sleeps ."], model.shape.length)
    noise = torch.randn(DRAWS, model.shape.noise, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        given = log_probabilities(model.generator(noise, tokens.expand(DRAWS, -1))).exp().double()
    weights, ranks = torch.ones(DRAWS, dtype=torch.float64), []
    for place in range(5):
        mixed = (weights[:, None] * given[:, place]).sum(dim=0)
        ranks.append(1 + int((mixed > mixed[tokens[0, place]]).sum()))
        weights *= given[:, place, tokens[0, place]]
    assert generator_ranks(model, tokens) == ranks


def test_a_sentence_that_is_too_long_is_said_to_be_cut(model: Model) -> None:
    assert judge(model, "the dog " * 30).cut and not judge(model, "the dog sleeps .").cut


def test_a_sentence_of_more_than_64_tokens_is_judged_and_cut_only_at_the_length_of_the_model() -> None:
    model = load("zoo:lstm-conv.autoregressive-grammar-char")
    assert model.shape.length == 75
    whole, longer = (judge(model, "the dog " * count) for count in (9, 10))
    assert (len(whole.words), whole.cut) == (72, False)
    assert (len(longer.words), longer.cut) == (75, True)


@pytest.mark.parametrize("text", ["", "  \n\t "])
def test_a_text_without_a_word_is_refused(model: Model, text: str) -> None:
    with pytest.raises(UsageError, match="the text has no word; give a sentence"):
        judge(model, text)
