"""The monitor of a run: cheap measurements while it trains, and what their history shows.

:func:`glance` measures the generator on the training and the validation part, never on the test part, so that whatever
it decides (which weights are kept, when training stops) leaves the final table honest. :func:`best`,
:func:`since_best` and :func:`collapse` are pure functions of the history of glances, each with its ``step``, oldest
first. ``docs/monitoring.md`` states the criteria and defines each value.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ganlm_core import sampling
from ganlm_core.data.corpus import spread
from ganlm_core.metrics.judge import Values, evaluating, nll_bound, round_values
from ganlm_core.metrics.metric import Subject
from ganlm_core.protocol import Batch, mask_of, shift
from ganlm_core.system.devices import seeded
from ganlm_core.training.setup import Setup

History = Sequence[Mapping[str, float]]

REPEATING = 0.2
"""A generator has collapsed when its samples have less than this share of the variety of real text."""

VARIETY = {"distinct": "{:.1%} distinct", "distinct_bigrams": "{:.0f} different bigrams"}
"""What is compared, and how it reads."""


SENTENCES = 256
"""Drawn at a glance, and as many real ones beside them; the final evaluation draws ``evaluation_samples``."""

NOISE_DRAWS = 1
"""Draws of the noise for the bound on the likelihood: the bound that maximum likelihood minimises in training."""


def glance(setup: Setup, step: int) -> tuple[Values, list[str]]:
    """The values after ``step`` steps, and the sentences they are of. Leaves the global random state.

    The same noise at every glance, so that what changes from one to the next is the generator.
    """
    generator, judge = setup.generator, setup.judge
    device, seed = setup.device, judge.seed
    held_out = _encode(setup, spread(judge.corpus.validation, SENTENCES)).to(device)
    rng = torch.Generator(device).manual_seed(seed)
    with evaluating(generator):
        noise = torch.randn(SENTENCES, setup.shape.noise, generator=rng, device=device)
        drawn = sampling.sample(generator, noise, rng=rng)
        texts = judge.tokenizer.decode(drawn.tokens)
        values = replace(judge, corpus=replace(judge.corpus, test=judge.corpus.validation)).judge(Subject(texts))
        if generator.autoregressive:
            values["validation_nll"] = nll_bound(generator, held_out, seed, NOISE_DRAWS)
    values["entropy"] = (-drawn.log_probs.sum() / drawn.mask.sum()).item()
    generated, real = (bigrams(tokens, setup.shape.vocabulary) for tokens in (drawn.tokens, held_out))
    values["distinct_bigrams"] = float(len(generated.unique()))
    values["bigram_divergence"] = divergence(generated, real)
    return round_values(values | _accuracy(setup, held_out, step)), texts


def real_variety(setup: Setup) -> Values:
    """``distinct`` and ``distinct_bigrams`` of as many training sentences: the variety of real text."""
    texts = spread(setup.corpus.train, SENTENCES)
    pairs = bigrams(_encode(setup, texts), setup.shape.vocabulary)
    return round_values({"distinct": len(set(texts)) / len(texts), "distinct_bigrams": float(len(pairs.unique()))})


def _encode(setup: Setup, texts: Sequence[str]) -> Tensor:
    return setup.tokenizer.encode(texts, setup.shape.length)[0]


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


def _accuracy(setup: Setup, held_out: Tensor, step: int) -> Values:
    """What the phase of the discriminator in this step logs as its accuracy, on batches of held-out ids (N, T) instead.

    Nothing where the step has no such phase. The phase itself is asked, because it alone knows what its discriminator
    is shown; its loss is thrown away.
    """
    phase = next((each for each in setup.trainer.algorithm.phases(step - 1) if each.network == "discriminator"), None)
    if phase is None:
        return {}
    device, options = setup.device, setup.config.training
    found = []
    with evaluating(setup.trainer.algorithm), seeded(setup.judge.seed):
        for tokens in held_out.split(options.batch_size):
            noise = torch.randn(len(tokens), options.noise_size, device=device)
            progress = (step - 1) / max(1, options.steps - 1)
            batch = Batch(tokens, mask_of(tokens), noise, step - 1, progress)
            phase(batch)
            found += [batch.metrics["accuracy"].item()] * len(tokens) if "accuracy" in batch.metrics else []
    return {"discriminator_accuracy": sum(found) / len(found)} if found else {}


def score(glance: Mapping[str, float]) -> float:
    """What the best weights have least of: held-out NLL, or the divergence from held-out text without a likelihood."""
    found = glance.get("validation_nll", glance["bigram_divergence"])
    return math.inf if math.isnan(found) else found


def best(history: History) -> Mapping[str, float]:
    """The glance of the lowest score, the first of equal ones."""
    return min(history, key=score)


def since_best(history: History) -> int:
    """How many glances there were after the best."""
    scores = [score(glance) for glance in history]
    return len(scores) - 1 - scores.index(min(scores))


def collapse(history: History, real: Mapping[str, float]) -> str:
    """What the last glance shows of a collapse, in words; nothing where there is none.

    ``real``: the same of as many real sentences, because what repeats in the data may repeat in samples.
    """
    if not history:
        return ""
    now = history[-1]
    shown = [
        f"{form.format(now[name])} (real text: {form.format(real[name]).split()[0]})"
        for name, form in VARIETY.items()
        if now[name] < REPEATING * real[name]
    ]
    if not shown:
        return ""
    before = max(glance["entropy"] for glance in history)
    fell = f"entropy fell from {before:.1f} to {now['entropy']:.1f} nats; " if now["entropy"] < before / 2 else ""
    return f"{fell}samples repeat: {', '.join(shown)}"
