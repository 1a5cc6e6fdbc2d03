"""Notes on a run before it starts: what its data are, what has no effect, and what may surprise."""

from collections.abc import Iterator, Sequence
from itertools import islice

from ganlm_core.algorithms.rewards import CheckedReward
from ganlm_core.bundle.model import FEWEST
from ganlm_core.config.options import TrainingOptions
from ganlm_core.config.run_config import PREFIXES, RunConfig
from ganlm_core.config.small_text import MOST_EPOCHS, epochs
from ganlm_core.data.corpus import Corpus
from ganlm_core.data.tokenizer import CHUNK, count_cut
from ganlm_core.protocol import PAD, Algorithm, Parts
from ganlm_core.sampling import LikelihoodRatio
from ganlm_core.sampling.conditions import unconditional
from ganlm_core.system import processes
from ganlm_core.training.building import Data, planned_steps

SINGLE = 0.9
"""The share of sentences of one word above which a note advises characters."""

TRIED = 100
"""Training texts that each reward is tried on before a run."""


def notes_of(config: RunConfig, data: Data, algorithm: Algorithm, parts: Parts) -> Iterator[str]:
    """Yield the notes on a run that is built."""
    yield from _of_text(config, data)
    yield from _of_evaluations(config, data, algorithm)
    yield from _of_networks(config, data, algorithm, parts)
    yield from _of_rewards(config)
    yield from _of_steps(config, algorithm)


def _of_text(config: RunConfig, data: Data) -> Iterator[str]:
    corpus, shape = data.corpus, data.shape
    cut = sum(map(count_cut, data.tokens.split(CHUNK)))
    splits = f"{len(corpus.train):,} to train, {len(corpus.validation):,} to validate, {len(corpus.test):,} to test"
    lengths = f"{shape.length} tokens without <eos>" if corpus.fixed_length else f"{shape.length} tokens at most"
    yield f"{corpus.name}: {splits}; {shape.vocabulary:,} words, sequences of {lengths}"
    if cut and not corpus.fixed_length:
        share = cut / len(corpus.train)
        yield f"{cut:,} training sentences ({share:.1%}) were longer and were cut; --tokenizer.max-length takes more"
    if config.tokenizer.name == "word" and not cut and (single := _single(data)) > SINGLE:
        which = "every sentence is" if single == 1 else f"{single:.0%} of the sentences are"
        yield f"{which} a single word; --tokenizer char makes a sequence of its characters"


def _single(data: Data) -> float:
    """Return the share of training sentences with one token and its end."""
    return 1.0 if data.shape.length <= 2 else (data.tokens[:, 2] == PAD).float().mean().item()


def _of_evaluations(config: RunConfig, data: Data, algorithm: Algorithm) -> Iterator[str]:
    options = config.training
    times = epochs(config, len(data.corpus.train))
    if times > MOST_EPOCHS and options.keep == "best" and "generator" not in algorithm.frozen:
        yield (
            f"small text: {times:,.0f} epochs would memorise it, so the run evaluates every {options.evaluate_every} "
            "steps and keeps the weights with the lowest validation NLL; --keep last keeps the last weights"
        )
    if options.evaluate_every >= options.steps and (options.keep == "best" or options.patience):
        chosen = "--keep best keeps the last weights" if options.keep == "best" else "--patience has no effect"
        yield f"the only evaluation is after the last step, so {chosen}; lower --evaluate-every"


def _of_networks(config: RunConfig, data: Data, algorithm: Algorithm, parts: Parts) -> Iterator[str]:
    if algorithm.unused:
        unused = " or ".join(algorithm.unused)
        yield f"algorithm '{config.algorithm.name}' uses no {unused}; if you chose one, it has no effect"
    if not config.training.prior and "generator" in data.start.origins:
        yield "--no-prior has no effect: the prior of the generator comes with its weights"
    for kind in algorithm.frozen:
        if kind not in data.start.origins:
            yield (
                f"algorithm '{config.algorithm.name}' does not train the {kind}, which is new and random; "
                f"--from-{PREFIXES[kind]} BUNDLE takes a trained one"
            )
    if "discriminator" in algorithm.networks and (held_out := len(data.corpus.validation)) < FEWEST:
        yield (
            f"{held_out} validation sentences are too few to calibrate the discriminator ({FEWEST} are needed); "
            "'ganlm score' will need --data with other text"
        )
    judge = unconditional(parts.discriminator)
    if isinstance(judge, LikelihoodRatio) and not judge.exact and "discriminator" not in algorithm.unused:
        why, remedy = (
            ("it reads noise", "set --noise-size 0")
            if parts.generator.autoregressive
            else ("it writes all positions at once", "choose an autoregressive --gen")
        )
        yield (
            f"generator '{config.generator.name}' has no exact likelihood, because {why}, so "
            f"'{config.discriminator.name}' compares it with equally likely words; {remedy}"
        )


def _of_rewards(config: RunConfig) -> Iterator[str]:
    options = config.training
    if config.rewards:
        paid = [name for name, choice in config.rewards.items() if choice.options.as_dict()["weight"] > 0]
        names, share = " and ".join(paid), options.reward_weight
        if share and paid:
            yield f"{share:.0%} of the generator's reward is from {names}"
        else:
            zero = "its weight" if share else "--reward-weight"
            yield f"{' and '.join(config.rewards)}: {zero} is 0, so nothing is paid"
    elif options.reward_weight != TrainingOptions().reward_weight:
        yield f"--reward-weight {options.reward_weight:g} has no effect without a --reward"


def _of_steps(config: RunConfig, algorithm: Algorithm) -> Iterator[str]:
    if config.training.shard_optimizers and processes.size() == 1:
        yield "--shard-optimizers has no effect on one process; torchrun starts several"
    first, steps = algorithm.adversarial_from, planned_steps(config)
    if 0 < first < steps:
        yield f"{steps:,} steps: {first:,} of warm-up, then {steps - first:,} of adversarial training"
    if "discriminator" in algorithm.networks and first >= steps:
        yield "the warm-up takes every step, so the networks never train against each other; raise --steps"


def equal_rewards(rewards: Sequence[CheckedReward], corpus: Corpus) -> Iterator[str]:
    """Tell of rewards that are the same for the first training texts, such as those of another corpus."""
    texts = list(islice(corpus.train, TRIED))
    columns = {name: list(islice(values, TRIED)) for name, values in corpus.beside("train").others.items()}
    for each in rewards:
        first, *others = set(each(texts, columns))
        if len(texts) > 1 and not others:
            yield (
                f"reward '{each.name}' is {first:g} for each of the first {len(texts)} training texts; if it is so for "
                f"generated texts too, it teaches nothing: see 'ganlm show {each.name}' for its options"
            )


def uncompiled(names: Sequence[str]) -> Iterator[str]:
    """Tell of networks that ``--compile`` leaves as they are."""
    for name in names:
        yield f"the {name} is not compiled: its penalty differentiates it twice, and torch.compile once"
