"""The exact expectation of the cost over the next word."""

import torch
from torch import Tensor

from ganlm_core import sampling
from ganlm_core.algorithms.estimators import Scored, log_entropy, log_reward
from ganlm_core.components import Options
from ganlm_core.protocol import EOS, Batch, Generator, NextWordCost


class NextWord(Scored):
    """The exact expectation of the cost over the next word, after each prefix of a sample.

    The cost of a word is the loss on its log-likelihood ratio between a language model and the generator. With the loss
    ``reverse-kl`` the estimate is KL(generator || model) of the next word, as in Lu et al. 2019 (section 3.3), whose
    model is a mediator. It has no variance but of the prefixes, which are held fixed: the effect of a word on the cost
    of later words is left out, so it is biased; a generator that equals the model has the gradient zero.
    """

    autoregressive_only = True
    next_words = True

    def __init__(self, options: Options) -> None:
        super().__init__()

    def weigh(self, generator: Generator, batch: Batch, cost: NextWordCost) -> Tensor:
        drawn = sampling.draws(generator, batch)
        log_p = drawn.distributions
        tokens, mask = drawn.trimmed
        with torch.no_grad():
            costs = cost(tokens, log_p)
        log_entropy(batch, drawn)
        log_reward(batch, -sampling.of_tokens(costs, tokens, mask).sum(dim=1))
        p = log_p[..., EOS:].exp()
        expected = (p * costs[..., EOS:].masked_fill(p == 0, 0.0)).sum(dim=-1)  # the cost of such a word may be inf
        return torch.where(mask, expected, 0.0).sum(dim=1).mean()
