"""A glance at a run while it trains: cheap numbers that show trouble early. ``docs/watching.md`` says what each means.

A glance sees the training and the validation part and never the test part, so that whatever is decided by it (which
weights are kept, when to stop) leaves the final table honest.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ganlm_core import sampling
from ganlm_core.corpora import spread
from ganlm_core.devices import seeded
from ganlm_core.evaluation import Values, evaluating, nll_bound, round_values
from ganlm_core.experiment import Experiment
from ganlm_core.metrics import Subject
from ganlm_core.protocol import Batch, mask_of, shift

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
    return round_values(values | _accuracy(experiment, held_out, step)), texts


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


def _accuracy(experiment: Experiment, held_out: Tensor, step: int) -> Values:
    """What the phase of the discriminator in this step logs as its accuracy, on batches of held-out ids (N, T) instead.

    Nothing where the step has no such phase. The phase itself is asked, because it alone knows what its discriminator
    is shown; its loss is thrown away.
    """
    phase = next((each for each in experiment.algorithm.phases(step - 1) if each.network == "discriminator"), None)
    if phase is None:
        return {}
    device, options = experiment.device, experiment.config.training
    found = []
    with evaluating(experiment.algorithm), seeded(experiment.judge.seed):
        for tokens in held_out.split(options.batch_size):
            noise = torch.randn(len(tokens), options.noise_size, device=device)
            progress = (step - 1) / max(1, options.steps - 1)
            batch = Batch(tokens, mask_of(tokens), noise, step - 1, progress)
            phase(batch)
            found += [batch.metrics["accuracy"].item()] * len(tokens) if "accuracy" in batch.metrics else []
    return {"discriminator_accuracy": sum(found) / len(found)} if found else {}
