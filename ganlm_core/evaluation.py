"""One protocol for every subject: the generator, real held-out text, and the unigram model that all must beat."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ganlm_core import sampling
from ganlm_core.components import NoOptions
from ganlm_core.corpora import Corpus
from ganlm_core.metrics import Conditions, Likelihood, Measured, Metric, Subject
from ganlm_core.plugins import Host
from ganlm_core.protocol import AutoregressiveGenerator, Generator, Shape, State, mask_of
from ganlm_core.tokenizer import Tokenizer

BATCH = 256
NOISE_DRAWS = 8
"""Draws of the noise for the bound on the likelihood that is reported."""

FRESH_SEED = 2**32
"""Far from the seeds that people choose for their corpora: fresh sentences must not be the training ones again."""

Values = dict[str, float]


class Unigram(AutoregressiveGenerator):
    """Words drawn one by one from the frequencies of the training part, ``<eos>`` among them: the prior alone."""

    def start(self, noise: Tensor) -> State:
        return noise.new_zeros(len(noise), 0)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        return self.prior.expand(len(tokens), -1), state


@dataclass(frozen=True)
class Judge:
    """What is held fixed while subjects change: the corpus, the tokenizer, the metrics by name and the random seed."""

    corpus: Corpus
    tokenizer: Tokenizer
    shape: Shape
    metrics: Mapping[str, Metric]
    seed: int

    @classmethod
    def of(cls, host: Host, corpus: Corpus, tokenizer: Tokenizer, shape: Shape, seed: int) -> "Judge":
        """With the metrics that every run ends with."""
        names = [name for name, spec in host.specs("metric").items() if spec.when == "run"]
        metrics = {name: host.build("metric", name, NoOptions()) for name in names}
        return cls(corpus, tokenizer, shape, metrics, seed)

    def measure(self, subject: Subject) -> dict[str, Measured]:
        """What each metric has to say of the subject, by the metric's name."""
        conditions = Conditions(self.corpus, self.seed)
        return {name: metric(subject, conditions) for name, metric in self.metrics.items()}

    def judge(self, subject: Subject) -> Values:
        """The numbers alone, by the names of the measures."""
        return {name: value for measured in self.measure(subject).values() for name, value in measured.values.items()}

    def generator(self, generator: Generator, n: int) -> tuple[Values, list[str]]:
        """The values of ``n`` sentences drawn at temperature 1, and the sentences. Leaves the global random state."""

        def likelihood(held_out: Sequence[str]) -> Likelihood:
            tokens, _ = self.tokenizer.encode(held_out, self.shape.length)
            count, draws = int(mask_of(tokens).sum()), NOISE_DRAWS if self.shape.noise else 0
            return Likelihood(nll_bound(generator, tokens, self.seed), count, len(tokens), draws)

        with evaluating(generator):
            texts = self._draw(generator, n)
            return self.judge(Subject(texts, likelihood if generator.autoregressive else None)), texts

    def real(self, n: int) -> Values:
        """The same of held-out text, ``n`` sentences at most; its likelihood is the process's, where there is one."""
        process = self.corpus.process

        def likelihood(held_out: Sequence[str]) -> Likelihood:
            assert process is not None
            tokens = sum(self.tokenizer.lengths(held_out))
            return Likelihood(-sum(process.log_prob(held_out)) / tokens, tokens, len(held_out))

        return self.judge(Subject(self.corpus.test[:n], likelihood if process is not None else None))

    def process(self, n: int) -> Values:
        """The same of ``n`` fresh sentences from the corpus's process: what a perfect generator would get.

        Unlike held-out text they may be in the training part, by as much as chance has it. Empty without a process.
        """
        process = self.corpus.process
        return self.judge(Subject(process.sample(n, FRESH_SEED + self.seed))) if process is not None else {}

    def unigram(self, log_frequencies: Tensor, n: int) -> Values:
        """The same of the unigram model of the given log frequencies (V,)."""
        model = Unigram(replace(self.shape, noise=0))
        model.prior.copy_(log_frequencies)
        return self.generator(model, n)[0]

    def _draw(self, generator: Generator, n: int) -> list[str]:
        device = generator.prior.device
        rng = torch.Generator(device).manual_seed(self.seed)
        texts: list[str] = []
        while len(texts) < n:
            noise = torch.randn(BATCH, self.shape.noise, generator=rng, device=device)
            texts += self.tokenizer.decode(sampling.sample(generator, noise, rng=rng).tokens)
        return texts[:n]


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Puts a network in evaluation mode, and back in the mode in which it was."""
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)


@torch.no_grad()
def nll_bound(generator: Generator, tokens: Tensor, seed: int, draws: int = NOISE_DRAWS) -> float:
    """An upper bound on -log p(x) of ids (N, T), in nats per token; exact for generators without noise.

    The mean of minus :func:`ganlm_core.sampling.log_marginal`, with ``draws`` draws of the noise.
    """
    device = generator.prior.device
    rng = torch.Generator(device).manual_seed(seed)
    draws = draws if generator.shape.noise else 1
    total, count = 0.0, 0
    for part in tokens.to(device).split(BATCH):
        mask = mask_of(part)
        noise = torch.randn(draws, len(part), generator.shape.noise, generator=rng, device=device)
        total -= sampling.log_marginal(generator, noise, part, mask).sum().item()
        count += int(mask.sum())
    return total / count


def round_values(values: Mapping[str, float]) -> Values:
    """Six significant digits: what the last bits of a float say is noise."""
    return {name: float(f"{value:.6g}") for name, value in values.items()}
