"""One protocol for every subject: the generator, real held-out text, and the floors that all must beat."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial

import torch
from torch import Tensor, nn

from ganlm_core import sampling
from ganlm_core.data.corpus import Corpus, spread
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.metrics.encoders import Encoder, plain_encoder
from ganlm_core.metrics.metric import Conditions, Likelihood, Measured, Metric, Subject, problem_with
from ganlm_core.plugins.discovery import BUILT_IN, one_line
from ganlm_core.plugins.host import Host
from ganlm_core.protocol import AutoregressiveGenerator, Generator, Shape, State, mask_of
from ganlm_core.sampling import PLAIN, Policy

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


class Guarded(Metric):
    """A metric from elsewhere. Every run measures it, asked for or not, so it may end none and hide no other's number.

    From the first time on that it cannot be built, raises, or gives what it should not, it is left out; ``failure``
    says why.
    """

    def __init__(self, host: Host, name: str) -> None:
        self.host, self.name, self.failure = host, name, ""

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        if not self.failure:
            try:
                found = self._metric(subject, conditions)
                problem = problem_with(found) or self._taken(found)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                problem = f"failed with {one_line(error)}"
            if not problem:
                return found
            self.failure = f"{self.host.full_name('metric', self.name)} is left out, because it {problem}"
        return Measured(protocol=self.failure)

    @cached_property
    def _metric(self) -> Metric:
        return _build(self.host, self.name)

    def _taken(self, found: Measured) -> str:
        for name, spec in self.host.specs("metric").items():
            for measure in spec.measures if _is_built_in(self.host, name) else ():
                if measure.name in found.values:
                    return f"gives {measure.name}, which is a number of metric '{name}'"
        return ""


def build_metrics(host: Host, names: Iterable[str]) -> dict[str, Metric]:
    """Metrics by name, those from elsewhere guarded. Raises PluginError."""
    return {name: _build(host, name) if _is_built_in(host, name) else Guarded(host, name) for name in names}


def _build(host: Host, name: str) -> Metric:
    metric: Metric = host.build("metric", name, host.spec("metric", name).options())
    return metric


def _is_built_in(host: Host, name: str) -> bool:
    return host.origin("metric", name)[0] == BUILT_IN


@dataclass(frozen=True)
class Judge:
    """What is held fixed while subjects change: the corpus, the tokenizer, the metrics by name and the random seed."""

    corpus: Corpus
    tokenizer: Tokenizer
    shape: Shape
    metrics: Mapping[str, Metric]
    seed: int
    encoder: Encoder = field(default_factory=plain_encoder)

    @classmethod
    def of(cls, host: Host, corpus: Corpus, tokenizer: Tokenizer, shape: Shape, seed: int) -> "Judge":
        """With the metrics that every run ends with."""
        names = [name for name, spec in host.specs("metric").items() if spec.when == "run"]
        return cls(corpus, tokenizer, shape, build_metrics(host, names), seed)

    @cached_property
    def conditions(self) -> Conditions:
        return Conditions(self.corpus, self.seed, self.encoder)

    def measure(self, subject: Subject) -> dict[str, Measured]:
        """What each metric has to say of the subject, by the metric's name."""
        return {name: metric(subject, self.conditions) for name, metric in self.metrics.items()}

    @property
    def failures(self) -> list[str]:
        """A line for each metric that was left out."""
        return [each.failure for each in self.metrics.values() if isinstance(each, Guarded) and each.failure]

    def judge(self, subject: Subject) -> Values:
        """The numbers alone, by the names of the measures."""
        return {name: value for measured in self.measure(subject).values() for name, value in measured.values.items()}

    def written(self, generator: Generator, n: int) -> Subject:
        """``n`` sentences drawn from a generator at temperature 1. Leaves the global random state."""
        return next(self.curve(generator, n, [PLAIN]))

    def curve(self, generator: Generator, n: int, policies: Sequence[Policy]) -> Iterator[Subject]:
        """``n`` sentences drawn from a generator under each policy, when they are asked for.

        The likelihood of each is that of the distribution they are drawn from. All come from one pass over the held-out
        text, because policies differ only in what they make of the same logits.
        """

        @cache
        def likelihoods(held_out: tuple[str, ...]) -> list[Likelihood]:
            return self.likelihoods(generator, held_out, policies)

        def likelihood(place: int, held_out: tuple[str, ...]) -> Likelihood:
            return likelihoods(held_out)[place]

        for place, policy in enumerate(policies):
            texts = self.draw(generator, n, policy)
            yield Subject(texts, partial(likelihood, place) if generator.autoregressive else None, self.corpus.test)

    def draw(self, generator: Generator, n: int, policy: Policy) -> list[str]:
        """``n`` sentences from one random stream."""
        device = generator.prior.device
        rng = torch.Generator(device).manual_seed(self.seed)
        texts: list[str] = []
        with evaluating(generator):
            while len(texts) < n:
                noise = torch.randn(BATCH, self.shape.noise, generator=rng, device=device)
                texts += self.tokenizer.decode(sampling.sample(generator, noise, policy, rng).tokens)
        return texts[:n]

    def likelihoods(
        self, generator: Generator, held_out: Sequence[str], policies: Sequence[Policy]
    ) -> list[Likelihood]:
        """That of held-out sentences under each policy."""
        tokens, _ = self.tokenizer.encode(held_out, self.shape.length)
        count, draws = int(mask_of(tokens).sum()), NOISE_DRAWS if self.shape.noise else 0
        with evaluating(generator):
            bounds = nll_bounds(generator, tokens, self.seed, policies)
        return [Likelihood(bound, count, len(tokens), draws) for bound in bounds]

    def references(self, n: int, log_frequencies: Tensor) -> dict[str, Callable[[], Subject]]:
        """The rows that every table has beside the models: a ceiling, what chance would have, and two floors.

        Each subject is made when it is asked for.
        ``real`` is real text, ``process`` a perfect generator (only of a corpus that has a process), ``shuffled``
        real sentences with their words in random order, ``unigram`` words of the given log frequencies (V,).
        """
        model = Unigram(replace(self.shape, noise=0))
        model.prior.copy_(log_frequencies)
        perfect = {"process": partial(self.fresh, n)} if self.corpus.process is not None else {}
        floors = {"shuffled": partial(self.shuffled, n), "unigram": partial(self.written, model, n)}
        return {"real": partial(self.real, n), **perfect, **floors}

    def real(self, n: int) -> Subject:
        """Real text, ``n`` sentences at most; its likelihood is the process's, where there is one."""
        process = self.corpus.process

        def likelihood(held_out: tuple[str, ...]) -> Likelihood:
            assert process is not None
            tokens = sum(self.tokenizer.lengths(held_out))
            return Likelihood(-sum(process.log_prob(held_out)) / tokens, tokens, len(held_out))

        return Subject(
            spread(self.corpus.train, n),
            likelihood if process is not None else None,
            self.corpus.test,
            held_out=spread(self.corpus.test, n),
        )

    def fresh(self, n: int) -> Subject:
        """Sentences of the process; they may be in the training part, by as much as chance has it."""
        assert self.corpus.process is not None
        return Subject(self.corpus.process.sample(n, FRESH_SEED + self.seed), references=self.corpus.test)

    def shuffled(self, n: int) -> Subject:
        """Training sentences with their words in random order."""
        rng, split, join = random.Random(self.seed), self.conditions.split, self.conditions.join
        rows = [split(text) for text in spread(self.corpus.train, n)]
        return Subject([join(rng.sample(row, len(row))) for row in rows], references=self.corpus.test)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Puts a network in evaluation mode, and back in the mode in which it was."""
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)


def nll_bound(generator: Generator, tokens: Tensor, seed: int, draws: int = NOISE_DRAWS) -> float:
    """As :func:`nll_bounds`, of sampling at temperature 1."""
    return nll_bounds(generator, tokens, seed, [PLAIN], draws)[0]


@torch.no_grad()
def nll_bounds(
    generator: Generator, tokens: Tensor, seed: int, policies: Sequence[Policy], draws: int = NOISE_DRAWS
) -> list[float]:
    """Upper bounds on -log p(x) of ids (N, T), in nats per token; exact for generators without noise.

    The mean of minus :func:`ganlm_core.sampling.log_marginals`, with ``draws`` draws of the noise. p is that of
    sampling under each of the ``policies``.
    """
    device = generator.prior.device
    rng = torch.Generator(device).manual_seed(seed)
    draws = draws if generator.shape.noise else 1
    totals, count = [0.0] * len(policies), 0
    lengths = mask_of(tokens).sum(dim=1)
    for rows in lengths.argsort(stable=True).split(BATCH):  # sentences of about one length: little padding to compute
        part = tokens[rows, : lengths[rows].max()].to(device)
        mask = mask_of(part)
        noise = torch.randn(draws, len(part), generator.shape.noise, generator=rng, device=device)
        found = sampling.log_marginals(generator, noise, part, mask, policies)
        totals = [total - scores.sum().item() for total, scores in zip(totals, found, strict=True)]
        count += int(mask.sum())
    return [total / count for total in totals]


def round_values(values: Mapping[str, float]) -> Values:
    """Six significant digits: what the last bits of a float say is noise."""
    return {name: float(f"{value:.6g}") for name, value in values.items()}
