"""A glance at a run while it trains: cheap numbers that show trouble early. ``docs/watching.md`` says what each means.

A glance sees the training and the validation part and never the test part, so that whatever is decided by it (which
weights are kept, when to stop) leaves the final table honest.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ganlm_core import sampling
from ganlm_core.algorithms.adversarial import accuracy
from ganlm_core.corpora import spread
from ganlm_core.evaluation import Values, evaluating, nll_bound, round_values
from ganlm_core.experiment import Experiment
from ganlm_core.metrics import Subject
from ganlm_core.protocol import Batch, mask_of, per_sequence, shift

SENTENCES = 256
"""Drawn at a glance, and as many real ones beside them; the final evaluation draws ``evaluation_samples``."""

NOISE_DRAWS = 1
"""Draws of the noise for the bound on the likelihood: the bound that maximum likelihood minimises in training."""


def glance(experiment: Experiment, step: int) -> tuple[Values, list[str]]:
    """The values after ``step`` steps, and the sentences they are of. Leaves the global random state.

    The same noise at every glance, so that what changes from one to the next is the generator.
    """
    generator, judge = experiment.generator, experiment.judge
    device, seed = experiment.device, judge.seed
    held_out = _encode(experiment, spread(judge.corpus.validation, SENTENCES)).to(device)
    rng = torch.Generator(device).manual_seed(seed)
    with evaluating(generator):
        noise = torch.randn(SENTENCES, experiment.shape.noise, generator=rng, device=device)
        drawn = sampling.sample(generator, noise, rng=rng)
        texts = judge.tokenizer.decode(drawn.tokens)
        values = replace(judge, corpus=replace(judge.corpus, test=judge.corpus.validation)).judge(Subject(texts))
        if generator.autoregressive:
            values["validation_nll"] = nll_bound(generator, held_out, seed, NOISE_DRAWS)
    values["entropy"] = (-drawn.log_probs.sum() / drawn.mask.sum()).item()
    generated, real = (bigrams(tokens, experiment.shape.vocabulary) for tokens in (drawn.tokens, held_out))
    values["distinct_bigrams"] = float(len(generated.unique()))
    values["bigram_divergence"] = divergence(generated, real)
    if any(phase.network == "discriminator" for phase in experiment.algorithm.phases(step - 1)):
        values["discriminator_accuracy"] = _accuracy(experiment, held_out, step)
    return round_values(values), texts


def real_variety(experiment: Experiment) -> Values:
    """``distinct`` and ``distinct_bigrams`` of as many training sentences: the variety of real text."""
    texts = spread(experiment.corpus.train, SENTENCES)
    pairs = bigrams(_encode(experiment, texts), experiment.shape.vocabulary)
    return round_values({"distinct": len(set(texts)) / len(texts), "distinct_bigrams": float(len(pairs.unique()))})


def _encode(experiment: Experiment, texts: Sequence[str]) -> Tensor:
    return experiment.tokenizer.encode(texts, experiment.shape.length)[0]


def bigrams(tokens: Tensor, vocabulary: int) -> Tensor:
    """The bigrams of ids (B, T) as numbers (M,): each token up to ``<eos>`` with the one before, at first ``<bos>``."""
    return (shift(tokens) * vocabulary + tokens)[mask_of(tokens)]


def divergence(one: Tensor, other: Tensor) -> float:
    """The Jensen-Shannon divergence of the frequencies of two lots of values (M,), (N,) in nats (Lin 1991, section 4).

    0 for equal frequencies, log 2 where no value is in both. Samples of a finite size are some way from each other even
    when they come from one process, and the further the smaller they are; compare equal sizes.
    """
    kinds, places = torch.cat([one, other]).unique(return_inverse=True)
    parts = places.split([len(one), len(other)])
    p, q = (torch.bincount(part, minlength=len(kinds)).double() / len(part) for part in parts)
    mean = (p + q) / 2
    return (torch.special.xlogy(p, p / mean).sum() + torch.special.xlogy(q, q / mean).sum()).item() / 2


@torch.no_grad()
def _accuracy(experiment: Experiment, held_out: Tensor, step: int) -> float:
    """Of the discriminator on held-out ids (B, T) and as many generated sequences, as it sees them in training."""
    parts, device, steps = experiment.parts, experiment.device, experiment.config.training.steps
    with (
        evaluating(parts.generator),
        evaluating(parts.discriminator),
        # An estimator draws from the global random state.
        torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
    ):
        torch.manual_seed(experiment.judge.seed)
        noise = torch.randn(len(held_out), experiment.shape.noise, device=device)
        batch = Batch(held_out, mask_of(held_out), noise, step - 1, progress=(step - 1) / max(1, steps - 1))
        generated = parts.estimator.draw(parts.generator, batch)
        real, fake = (
            per_sequence(parts.discriminator(sequence, mask).float(), mask)
            for sequence, mask in ((batch.tokens, batch.mask), (generated.sequence, generated.mask))
        )
    return accuracy(real, fake).item()
