"""One protocol for every subject: generators, real held-out text, and the baselines that a model must beat."""

import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from itertools import chain

import torch
from torch import Tensor, nn

from ganlm_core import sampling
from ganlm_core.data.conditions import RowConditions
from ganlm_core.data.corpus import Corpus, spread
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.metrics.encoders import Encoder, plain_encoder
from ganlm_core.metrics.guarded import Guarded, build_metrics
from ganlm_core.metrics.metric import Conditions, Likelihood, Measured, Metric, Subject
from ganlm_core.metrics.options import SCORED
from ganlm_core.metrics.split_conditions import SplitConditions, random_size, scored
from ganlm_core.plugins.host import Host
from ganlm_core.protocol import (
    UNK,
    AutoregressiveGenerator,
    Discriminator,
    Generator,
    Shape,
    State,
    mask_of,
    with_labels,
)
from ganlm_core.sampling import PLAIN, Policy
from ganlm_core.system.processes import Divide
from ganlm_core.system.seeds import derived_seed

BATCH = 256
NOISE_DRAWS = 8
"""Draws of the noise for the reported bound on the likelihood."""

NO_CONDITIONS = RowConditions()
"""No conditions."""

Values = dict[str, float]

LogitsOf = Callable[[Sequence[str]], list[float]]
"""Texts to the logits of a discriminator."""


class Unigram(AutoregressiveGenerator):
    """Draws each word, ``<eos>`` included, by its frequency in the training split: the prior alone."""

    def start(self, noise: Tensor) -> State:
        return noise.new_zeros(len(noise), 0)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        return self.prior.expand(len(tokens), -1), state


@dataclass(frozen=True)
class Judge:
    """Measures subjects under fixed conditions: one corpus, tokenizer, set of metrics (by name) and random seed."""

    corpus: Corpus
    tokenizer: Tokenizer
    shape: Shape
    metrics: Mapping[str, Metric]
    seed: int
    encoder: Encoder = field(default_factory=plain_encoder)
    scored: int = SCORED

    @classmethod
    def of(cls, host: Host, corpus: Corpus, tokenizer: Tokenizer, shape: Shape, seed: int) -> "Judge":
        """Return a judge with the metrics that are measured in every run."""
        names = [name for name, spec in host.specs("metric").items() if spec.when == "run"]
        return cls(corpus, tokenizer, shape, build_metrics(host, names), seed)

    @cached_property
    def conditions(self) -> Conditions:
        return Conditions(self.corpus, self.seed, self.encoder, self.scored)

    @cached_property
    def split_conditions(self) -> SplitConditions:
        """The conditions of the sentences that are drawn and scored."""
        return SplitConditions.of(self.corpus, self.tokenizer, self.shape)

    def measure(self, subject: Subject) -> dict[str, Measured]:
        """Return what each metric measures of the subject, by the name of the metric."""
        return {name: metric(subject, self.conditions) for name, metric in self.metrics.items()}

    @property
    def failures(self) -> list[str]:
        """A line for each metric that was left out, with the reason."""
        return [each.failure for each in self.metrics.values() if isinstance(each, Guarded) and each.failure]

    def judge(self, subject: Subject) -> Values:
        """Return the values alone, by the name of the measure."""
        return {name: value for measured in self.measure(subject).values() for name, value in measured.values.items()}

    def written(self, generator: Generator, n: int, discriminator: Discriminator | None = None) -> Subject:
        """Draw ``n`` sentences from a generator at temperature 1. The global random state does not change."""
        return next(self.curve(generator, n, [PLAIN], discriminator))

    def curve(
        self, generator: Generator, n: int, policies: Sequence[Policy], discriminator: Discriminator | None = None
    ) -> Iterator[Subject]:
        """Draw ``n`` sentences from a generator under each policy, lazily.

        The likelihood of each subject is under the distribution that its sentences are drawn from. One pass over the
        held-out text gives the likelihoods of all policies, because policies only change the logits.
        """

        @cache
        def likelihoods(held_out: tuple[str, ...]) -> list[Likelihood]:
            return self.likelihoods(generator, held_out, policies)

        def likelihood(place: int, held_out: tuple[str, ...]) -> Likelihood:
            return likelihoods(held_out)[place]

        for place, policy in enumerate(policies):
            texts = self.draw(generator, n, policy)
            held_out = partial(likelihood, place) if generator.autoregressive else None
            yield replace(self.subject(texts, generator, policy, discriminator), likelihood=held_out)

    def subject(
        self,
        texts: Sequence[str],
        generator: Generator,
        policy: Policy = PLAIN,
        discriminator: Discriminator | None = None,
    ) -> Subject:
        """Return sentences of a generator as a subject without a likelihood of held-out text."""
        has_log_prob = (
            generator.autoregressive and self.tokenizer.is_unambiguous and self.split_conditions.prompts is None
        )
        return Subject(
            texts,
            references=self.corpus.test,
            log_prob=partial(self.log_prob, generator, policy) if has_log_prob else None,
            draws=NOISE_DRAWS if random_size(generator) else 0,
            scores=self.scores_of(discriminator),
            labels=self.split_conditions.labels(len(texts)),
        )

    def log_prob(self, generator: Generator, policy: Policy, texts: Sequence[str]) -> list[float]:
        """Return log p of each text in nats under sampling with a policy; ``-inf`` for a text with an unknown word.

        It is exact for generators without noise, and otherwise the log of the mean over NOISE_DRAWS draws of the noise.
        A text with more tokens than a sequence has ``-inf`` too. With labels, p is the mean over the labels, by their
        shares of the training split.
        """
        tokens, _ = self.tokenizer.encode(texts, self.shape.length)
        kinds = [RowConditions(torch.full((len(tokens),), label)) for label in range(generator.shape.labels)] or [
            RowConditions()
        ]
        found = torch.empty(len(kinds), len(tokens))
        with evaluating(generator):
            for kind, asked in enumerate(kinds):
                for rows, (scores,) in _log_marginals(generator, tokens, self.seed, [policy], asked=asked):
                    found[kind, rows] = scores
        found = (found + self.split_conditions.shares.log()[:, None]).logsumexp(dim=0) if len(kinds) > 1 else found[0]
        lengths = torch.tensor(self.tokenizer.lengths(texts)) - 1  # without <eos>
        possible = (lengths <= self.shape.length) & (tokens != UNK).all(dim=1)
        return found.masked_fill(~possible, -torch.inf).tolist()

    def scores_of(self, discriminator: Discriminator | None) -> LogitsOf | None:
        """Return the function that gives texts the logits of a discriminator; None without one.

        None too for a discriminator of texts with labels: a text alone has no logit.
        """
        if discriminator is None or discriminator.shape.labels:
            return None
        return partial(self.scores, discriminator)

    @torch.no_grad()
    def scores(self, discriminator: Discriminator, texts: Sequence[str]) -> list[float]:
        """Return the discriminator's logit of each text; one with a logit per position gives their mean, or sum."""
        tokens, _ = self.tokenizer.encode(texts, self.shape.length)
        device = next(discriminator.parameters()).device
        with evaluating(discriminator):
            parts = (part.to(device) for part in tokens.split(BATCH))
            found = [discriminator.verdict(part, mask_of(part)).tolist() for part in parts]
        return list(chain.from_iterable(found))

    def draw(self, generator: Generator, n: int, policy: Policy, divide: Divide = map) -> list[str]:
        """Draw ``n`` sentences, asked for the conditions of the test sentences in turn.

        Each batch has random numbers of its own, those of :meth:`ganlm_core.bundle.model.Model.batch`.
        """
        device = generator.prior.device

        def batch(index: int) -> list[str]:
            rng = torch.Generator(device).manual_seed(derived_seed(self.seed, index))
            noise = torch.randn(BATCH, self.shape.noise, generator=rng, device=device)
            noise = self.split_conditions.noise(noise, index * BATCH)
            prompt = self.split_conditions.prompt(index * BATCH, BATCH)
            return self.tokenizer.decode(sampling.sample(generator, noise, policy, rng, prompt).tokens)

        with evaluating(generator):
            return list(chain.from_iterable(divide(batch, range(math.ceil(n / BATCH)))))[:n]

    def likelihoods(
        self, generator: Generator, held_out: Sequence[str], policies: Sequence[Policy], divide: Divide = map
    ) -> list[Likelihood]:
        """Return the likelihood of held-out sentences, given their conditions, under each policy."""
        tokens, cut = self.tokenizer.encode(held_out, self.shape.length)
        asked = self.split_conditions.of_texts(held_out)
        count, draws = int(scored(tokens, asked.given).sum()), NOISE_DRAWS if random_size(generator) else 0
        with evaluating(generator):
            bounds = nll_bounds(generator, tokens, self.seed, policies, asked=asked, divide=divide)
        cut = 0 if self.corpus.fixed_length else cut
        return [Likelihood(bound, count, len(tokens), draws, cut) for bound in bounds]

    def references(
        self, n: int, log_frequencies: Tensor, scores: LogitsOf | None = None
    ) -> dict[str, Callable[[], Subject]]:
        """Return the reference rows of every table by their kind, each as a function that makes the subject.

        ``real`` is real text, the upper bound; ``process`` a perfect generator (only if the corpus has a process).
        Two lower bounds: ``shuffled`` is real sentences with their words in random order, ``unigram`` draws words by
        the given log frequencies (V,). All get the ``scores`` of a discriminator.
        """
        model = Unigram(replace(self.shape, noise=0, labels=0))
        model.prior.copy_(log_frequencies)
        makers: dict[str, Callable[[int], Subject]] = {
            "real": self.real,
            "process": self.fresh,
            "shuffled": self.shuffled,
            "unigram": partial(self.written, model),
        }
        if self.corpus.process is None:
            del makers["process"]
        return {kind: partial(_scored, make, n, scores) for kind, make in makers.items()}

    def real(self, n: int) -> Subject:
        """Return real text, ``n`` sentences at most. Its likelihood is under the process, if the corpus has one."""
        process = self.corpus.process

        def likelihood(held_out: tuple[str, ...]) -> Likelihood:
            assert process is not None
            ends = len(held_out) if self.corpus.fixed_length else 0
            tokens = sum(self.tokenizer.lengths(held_out)) - ends
            return Likelihood(-sum(self._process_log_prob(held_out)) / tokens, tokens, len(held_out))

        return Subject(
            spread(self.corpus.train, n),
            likelihood if process is not None else None,
            self.corpus.test,
            held_out=spread(self.corpus.test, n),
            labels=spread(self.corpus.beside("test").labels, n),
        )

    def _process_log_prob(self, held_out: Sequence[str]) -> list[float]:
        """Return log p of test sentences under the process, given their labels if it knows labels."""
        labels = self.split_conditions.of_texts(held_out).labels
        given = getattr(self.corpus.process, "log_prob_given", None)
        if labels is None or given is None:
            assert self.corpus.process is not None
            return self.corpus.process.log_prob(held_out)
        found: list[float] = given(held_out, [self.corpus.labels[label] for label in labels.tolist()])
        return found

    def fresh(self, n: int) -> Subject:
        """Draw ``n`` sentences from the process. Some of them are in the training split by chance."""
        texts, labels_of = self.conditions.fresh(n), getattr(self.corpus.process, "labels_of", None)
        labels = labels_of(texts) if labels_of is not None and self.corpus.labels else ()
        return Subject(texts, references=self.corpus.test, labels=labels)

    def shuffled(self, n: int) -> Subject:
        """Return training sentences with their words in random order."""
        rng, split, join = random.Random(self.seed), self.conditions.split, self.conditions.join
        rows = [split(text) for text in spread(self.corpus.train, n)]
        labels = spread(self.corpus.beside("train").labels, n)
        return Subject([join(rng.sample(row, len(row))) for row in rows], references=self.corpus.test, labels=labels)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network in evaluation mode in the block; restore its mode afterwards."""
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)


def nll_bound(
    generator: Generator, tokens: Tensor, seed: int, draws: int = NOISE_DRAWS, asked: RowConditions = NO_CONDITIONS
) -> float:
    """Return the bound of :func:`nll_bounds` for sampling at temperature 1."""
    return nll_bounds(generator, tokens, seed, [PLAIN], draws, asked)[0]


@torch.no_grad()
def nll_bounds(
    generator: Generator,
    tokens: Tensor,
    seed: int,
    policies: Sequence[Policy],
    draws: int = NOISE_DRAWS,
    asked: RowConditions = NO_CONDITIONS,
    divide: Divide = map,
) -> list[float]:
    """Return upper bounds on -log p(x) of ids (N, T), in nats per token; exact for generators without noise.

    p is the distribution of sampling under each of the ``policies``. The bound is the mean of minus
    :func:`ganlm_core.sampling.log_marginals`, with ``draws`` draws of the noise. It is given the conditions ``asked``.
    """
    totals, count = [0.0] * len(policies), int(scored(tokens, asked.given).sum())
    for _, found in _log_marginals(generator, tokens, seed, policies, draws, asked, divide):
        totals = [total - scores.sum().item() for total, scores in zip(totals, found, strict=True)]
    return [total / count for total in totals]


def _log_marginals(
    generator: Generator,
    tokens: Tensor,
    seed: int,
    policies: Sequence[Policy],
    draws: int = NOISE_DRAWS,
    asked: RowConditions = NO_CONDITIONS,
    divide: Divide = map,
) -> Iterable[tuple[Tensor, Tensor]]:
    """Yield the rows (B,) of some ids (N, T), and :func:`ganlm_core.sampling.log_marginals` of them (policies, B).

    Both are on the CPU. Each batch has noise of its own, so it does not matter which process computes it.
    """
    device, size = generator.prior.device, random_size(generator)
    draws = draws if size else 1
    lengths = mask_of(tokens).sum(dim=1)

    def batch(numbered: tuple[int, Tensor]) -> tuple[Tensor, Tensor]:
        index, rows = numbered
        part = tokens[rows, : lengths[rows].max()].to(device)
        rng = torch.Generator(device).manual_seed(derived_seed(seed, index))
        noise = torch.randn(draws, len(part), size, generator=rng, device=device)
        own = asked.at(rows)
        if generator.shape.labels:
            noise = with_labels(noise, own.labels, generator.shape.labels)
        return rows, sampling.log_marginals(generator, noise, part, scored(part, own.given), policies).cpu()

    # Similar lengths in a batch: little padding to compute.
    return divide(batch, enumerate(lengths.argsort(stable=True).split(BATCH)))


def _scored(make: Callable[[int], Subject], n: int, scores: LogitsOf | None) -> Subject:
    return replace(make(n), scores=scores)


def round_values(values: Mapping[str, float]) -> Values:
    """Round to six significant digits: the last bits of a float are noise."""
    return {name: float(f"{value:.6g}") for name, value in values.items()}
