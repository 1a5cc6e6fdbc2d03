"""A language model as a discriminator: it judges a sentence by a ratio of two likelihoods.

The optimal discriminator's logit is log p_data(x) - log p_generator(x) (Goodfellow et al. 2014, prop. 1). The
generator's half of it is known exactly, so only the model of the data has to be learned, and maximum likelihood learns
that from every word. A network that gives the whole logit has to learn both halves from the few sentences in which they
differ.
"""

from collections.abc import Callable
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganlm_core.components import LanguageModelOptions, Options
from ganlm_core.layers import frozen, without_dropout
from ganlm_core.protocol import EOS, NEVER, AutoregressiveGenerator, Discriminator, Generator, Shape, masked_mean
from ganlm_core.sampling.drawing import log_probabilities
from ganlm_core.sampling.likelihood import log_likelihood, weighted_log_likelihood
from ganlm_core.sampling.mean import log_mean


class LikelihoodRatio(Discriminator):
    """Logits log p(word | words before) under a ``model`` minus the same under the generator; a sentence has their sum.

    It is the energy-based correction of a language model (Deng et al. 2020, eq. 1-2) with a language model as the
    energy. Differs: the energy is a second model's log-likelihood, not the output of a bidirectional network.

    The generator is one that :meth:`compare_with` took. If it has no exact likelihood, because it reads noise or writes
    all positions at once, the generator's half is that of V - 2 equally likely words, and the ratio must be learned
    whole. Its likelihood is without dropout, as its samples are drawn. Relaxed words get the gradient of both halves,
    the weights of the generator that of neither.

    A model starts from the frequencies of the words (:meth:`take_prior`), as a generator does. Weight decay then pulls
    it towards these, not towards even probabilities.

    With several ``models``, the probability of a word is the mean of theirs. Each has its own initial weights and
    dropout, and they are trained together.

    A subclass names its ``language_model``, a generator class, which is built without noise. In a run with labels, the
    first token of a sequence is its label; it has the logit 0.
    """

    twice_differentiable: ClassVar[bool] = False
    rowwise: ClassVar[bool] = True
    per_position = True
    summed = True

    language_model: ClassVar[Callable[..., AutoregressiveGenerator]]

    def __init__(self, shape: Shape, options: Options) -> None:
        super().__init__(shape)
        models = options.models if isinstance(options, LanguageModelOptions) else 1
        built = [
            self.language_model(shape=Shape(shape.vocabulary, shape.length, noise=0), options=options)
            for _ in range(models)
        ]
        self.model, self.others = built[0], nn.ModuleList(built[1:])
        self._compared: tuple[Generator, ...] = ()  # in a tuple, so that its weights are not among this network's

    def compare_with(self, generator: Generator) -> None:
        exact = generator.autoregressive and generator.shape.noise == self.shape.labels
        self._compared = (generator,) if exact else ()

    def take_prior(self, log_frequencies: Tensor) -> None:
        """Start every model from these frequencies. The words that stand for labels are ruled out."""
        for model in self.models:
            model.prior.copy_(F.pad(log_frequencies, (0, self.shape.labels), value=NEVER))

    @property
    def models(self) -> list[AutoregressiveGenerator]:
        """The language models."""
        return cast(list[AutoregressiveGenerator], [self.model, *self.others])

    @property
    def exact(self) -> bool:
        """Whether the likelihood of the generator is known."""
        return bool(self._compared)

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Return logits (B, T) for ids (B, T) or relaxed one-hots (B, T, V), zero outside the mask."""
        noise = self._no_noise(sequence)
        found = log_mean([_log_probs(model, noise, sequence, mask) for model in self.models])
        ratios = (found - self._generators(sequence, mask)) * self._words(mask)
        return ratios.to(self.model.prior.dtype)

    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Return the mean logit, and the logit of each position: (B, 1 + T)."""
        logits = self(sequence, mask)
        return torch.cat(
            [masked_mean(logits, mask).unsqueeze(1), F.pad(logits, (0, self.shape.length - mask.shape[1]))], 1
        )

    def negative_log_likelihood(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return -log p of ids (B, T), in nats per token, summed over the models: a scalar to minimise."""
        noise, words = self._no_noise(tokens), self._words(mask)
        weights = words / words.sum()
        return -torch.stack(
            [weighted_log_likelihood(model, noise, tokens, words, weights) for model in self.models]
        ).sum()

    @torch.no_grad()
    def next_words(self, tokens: Tensor) -> Tensor:
        """Return log p(word | ids before) without dropout, for ids (B, T): (B, T, V)."""
        return log_mean([self._next_words(model, tokens) for model in self.models])

    def _next_words(self, model: AutoregressiveGenerator, tokens: Tensor) -> Tensor:
        labels = self.shape.labels
        with without_dropout(model):
            logits = model(self._no_noise(tokens), tokens)
        return log_probabilities(logits[:, min(1, labels) :, : self.shape.vocabulary - labels])

    def _no_noise(self, sequence: Tensor) -> Tensor:
        return self.model.prior.new_zeros(len(sequence), 0)

    def _words(self, mask: Tensor) -> Tensor:
        """Return the mask (B, T) without the label of each sequence."""
        if self.shape.labels == 0:
            return mask
        return torch.cat([torch.zeros_like(mask[:, :1]), mask[:, 1:]], dim=1)

    def _generators(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Return log p(word | words before) under the generator, (B, T)."""
        labels = self.shape.labels
        if not self._compared:
            return -torch.full_like(mask, self.shape.vocabulary - labels - EOS, dtype=torch.float32).log()
        if labels == 0:
            noise, text = self._no_noise(sequence), sequence
        elif sequence.is_floating_point():
            noise, text = sequence[:, 0, -labels:], sequence[:, 1:, :-labels]
        else:
            noise = F.one_hot(sequence[:, 0] - (self.shape.vocabulary - labels), labels).to(self.model.prior.dtype)
            text = sequence[:, 1:]
        with without_dropout(self._compared[0]), frozen(self._compared[0]):
            found = _log_probs(self._compared[0], noise, text, mask[:, min(1, labels) :])
        return F.pad(found, (min(1, labels), 0))


def _log_probs(generator: Generator, noise: Tensor, sequence: Tensor, mask: Tensor) -> Tensor:
    """Return log p of ids (B, T), or its mean over the words of relaxed one-hots (B, T, V): (B, T), 0 off the mask."""
    if not sequence.is_floating_point():
        return log_likelihood(generator, noise, sequence, mask)
    found = log_probabilities(generator(noise, sequence))[..., EOS:]
    return torch.where(mask, (found * sequence[..., EOS:].to(found.dtype)).sum(dim=-1), 0.0)
