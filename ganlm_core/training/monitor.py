"""The monitor of a run: cheap measurements during training, and conclusions from their history.

:func:`interim_evaluation` measures the generator on the training and validation splits, never on the test split.
Decisions that use it (which weights are kept, when training stops) therefore do not bias the final table. :func:`best`,
:func:`since_best`, :func:`collapse` and :func:`memorised` are pure functions of the history of interim evaluations,
each with its ``step``, oldest first. ``docs/monitoring.md`` states the criteria and defines each value.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from ganlm_core import sampling
from ganlm_core.data.corpus import spread
from ganlm_core.data.text import identity
from ganlm_core.metrics.judge import Values, evaluating, nll_bound, round_values
from ganlm_core.metrics.metric import exceeds_chance
from ganlm_core.protocol import PAD, Discriminator, Generator, mask_of, shift, without_prompt
from ganlm_core.training.setup import Setup

History = Sequence[Mapping[str, float]]

REPEATING = 0.2
"""A generator has collapsed when its samples have less than this share of the variety of real text."""

VARIETY = {"distinct": "{:.1%} distinct", "distinct_bigrams": "{:.0f} different bigrams"}
"""The values that are compared, and their form in a message."""

TURNED, SINCE = 1.05, 2
"""The validation likelihood has turned if it is worse by this factor SINCE or more evaluations after the best."""

SENTENCES = 256
"""Sentences drawn at an interim evaluation, compared with as many real ones; the final evaluation draws more."""

NOISE_DRAWS = 1
"""Draws of the noise for the bound on the likelihood: maximum likelihood minimises the same bound in training."""


def interim_evaluation(setup: Setup, step: int) -> tuple[Values, list[str]]:
    """Return the values after ``step`` steps, and the sentences that they describe.

    The global random state does not change. The noise is the same each time, so that only the generator differs.
    """
    generator, judge = setup.generator, setup.interim_judge
    device, seed = setup.device, judge.seed
    held_out = _held_out(setup).to(device)
    rng = torch.Generator(device).manual_seed(seed)
    with evaluating(generator):
        noise = torch.randn(SENTENCES, setup.shape.noise, generator=rng, device=device)
        noise, prompt = judge.split_conditions.noise(noise, 0), judge.split_conditions.prompt(0, SENTENCES)
        drawn = sampling.sample(generator, noise, rng=rng, prompt=prompt)
        texts = judge.tokenizer.decode(drawn.tokens)
        discriminator = trained_discriminator(setup, step, setup.shared_networks)
        values = judge.judge(judge.subject(texts, generator, discriminator=discriminator))
        if generator.autoregressive:
            asked = judge.split_conditions.of_texts(spread(setup.corpus.validation, SENTENCES))
            values["validation_nll"] = nll_bound(generator, held_out, seed, NOISE_DRAWS, asked)
    written = without_prompt(drawn.mask, None if prompt is None else (prompt != PAD).sum(dim=1))
    values["entropy"] = (-drawn.log_probs.sum() / written.sum()).item()
    generated, real = (bigrams(tokens, setup.shape.vocabulary) for tokens in (drawn.tokens, held_out))
    values["distinct_bigrams"] = float(len(generated.unique()))
    values["bigram_divergence"] = divergence(generated, real)
    return round_values(values), texts


def trained_discriminator(setup: Setup, step: int, networks: Mapping[str, nn.Module]) -> Discriminator | None:
    """Return the discriminator of shared networks if one of the first ``step`` steps trained it, else None.

    It judges the generator of these networks, which is not the one that it learned from if that is averaged.
    """
    generator, discriminator = networks["generator"], networks.get("discriminator")
    phases = (phase for before in reversed(range(step)) for phase in setup.trainer.algorithm.phases(before))
    if not isinstance(discriminator, Discriminator) or all(phase.network != "discriminator" for phase in phases):
        return None
    judging = copy.copy(discriminator)  # with the same parameters
    judging.compare_with(cast(Generator, generator))
    return judging


def reference(setup: Setup) -> Values:
    """Return the reference values for an interim evaluation.

    ``distinct``, ``distinct_bigrams``: the variety of as many training sentences. ``copied``: the share of copies by
    chance. ``validation_nll``: the likelihood under the unigram model.
    """
    texts = spread(setup.corpus.train, SENTENCES)
    pairs = bigrams(_encode(setup, texts), setup.shape.vocabulary)
    held_out = _held_out(setup)
    unigram = setup.log_frequencies[held_out][mask_of(held_out)]
    return round_values(
        {
            "distinct": len(set(map(identity, texts))) / len(texts),
            "distinct_bigrams": float(len(pairs.unique())),
            "copied": setup.judge.conditions.copies_by_chance,
            "validation_nll": -unigram.mean().item(),
        }
    )


def _held_out(setup: Setup) -> Tensor:
    return _encode(setup, spread(setup.corpus.validation, SENTENCES))


def _encode(setup: Setup, texts: Sequence[str]) -> Tensor:
    return setup.tokenizer.encode(texts, setup.shape.length)[0]


def bigrams(tokens: Tensor, vocabulary: int) -> Tensor:
    """Return the bigrams of ids (B, T) as numbers (M,): each token up to ``<eos>`` with its predecessor.

    The first token follows ``<bos>``.
    """
    return (shift(tokens) * vocabulary + tokens)[mask_of(tokens)]


def divergence(one: Tensor, other: Tensor) -> float:
    """Return the Jensen-Shannon divergence of the frequencies of values (M,), (N,) in nats (Lin 1991, section 4).

    0 for equal frequencies, log 2 if no value is in both. Finite samples of one process differ too, and small samples
    more than large samples: compare equal sizes.
    """
    kinds, places = torch.cat([one, other]).unique(return_inverse=True)
    parts = places.split([len(one), len(other)])
    p, q = (torch.bincount(part, minlength=len(kinds)).double() / len(part) for part in parts)
    mean = (p + q) / 2
    return (torch.special.xlogy(p, p / mean).sum() + torch.special.xlogy(q, q / mean).sum()).item() / 2


def score(interim: Mapping[str, float]) -> float:
    """Return the value to minimise: validation NLL, or without a likelihood the bigram divergence."""
    found = interim.get("validation_nll", interim["bigram_divergence"])
    return math.inf if math.isnan(found) else found


def best(history: History) -> Mapping[str, float]:
    """Return the interim evaluation with the lowest score, the first if several are equal."""
    return min(history, key=score)


def since_best(history: History) -> int:
    """Return the number of interim evaluations after the best."""
    scores = [score(interim) for interim in history]
    return len(scores) - 1 - scores.index(min(scores))


def collapse(history: History, real: Mapping[str, float]) -> str:
    """Describe the collapse that the last interim evaluation shows; empty if there is none.

    ``real``: the :func:`reference`, because samples may repeat as much as the data.
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
    before = max(interim["entropy"] for interim in history)
    halved = now["entropy"] < before / 2 and before >= 0.1
    fell = f"entropy fell from {before:.1f} to {now['entropy']:.1f} nats; " if halved else ""
    return f"{fell}samples repeat: {', '.join(shown)}"


def memorised(history: History, known: Mapping[str, float], likelihood_until: int) -> dict[str, str]:
    """Describe the signs of memorisation at the last interim evaluation, by their names.

    ``known``: the :func:`reference`. ``likelihood_until``: the last step of maximum likelihood; after it, adversarial
    training trades likelihood for better samples, and a likelihood that turns is no sign.
    """
    now, signs = history[-1], {}
    nll, unigram = now.get("validation_nll", -math.inf), known["validation_nll"]
    if now["step"] <= likelihood_until and since_best(history) >= SINCE and score(now) > TURNED * score(best(history)):
        then = best(history)
        signs["turned"] = (
            f"validation text was likelier at step {then['step']:.0f} ({score(then):.2f}, now {nll:.2f} nats)"
        )
    if nll > unigram and since_best(history) > 0:
        signs["unigram"] = (
            f"the unigram model gives validation text a higher likelihood ({unigram:.2f} nats a token, "
            f"the generator {nll:.2f})"
        )
    if exceeds_chance(now["copied"], known["copied"]):
        chance = f"{known['copied']:.1%} is expected by chance"
        signs["copied"] = f"{now['copied']:.1%} of the samples are copies of training sentences ({chance})"
    return signs
