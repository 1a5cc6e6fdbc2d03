"""Build the data and the parts of a run from its configuration, and refuse what cannot work together."""

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ganlm_core.algorithms.rewards import CheckedReward, Rewards
from ganlm_core.components import Options, furthest
from ganlm_core.config.options import TrainingOptions
from ganlm_core.config.run_config import PREFIXES, Choice, RunConfig
from ganlm_core.data import conditions
from ganlm_core.data.conditions import RowConditions
from ganlm_core.data.corpus import SAMPLE, Corpus, spaced
from ganlm_core.data.encoding import GROW, KEEP, encode, impossible, log_frequencies, token_counts
from ganlm_core.data.tokenizer import CHUNK, Tokenizer
from ganlm_core.errors import OutOfMemory, PluginError, UsageError
from ganlm_core.plugins.host import Host
from ganlm_core.protocol import EOS, NEVER, UNK, Generator, Loss, Parts, Shape
from ganlm_core.system.devices import memory_of, pick_device
from ganlm_core.system.memory import lacks_memory
from ganlm_core.system.tensors import TooManyTensors, without_memory
from ganlm_core.training.checks import BASES, problem_with_corpus, problem_with_kind, problem_with_loss
from ganlm_core.training.conditioning import conditional
from ganlm_core.training.start import Start

PART_KINDS = ("generator", "discriminator", "loss", "penalty", "estimator")
"""The kinds of components that an algorithm is built from."""

MOST_TENSORS = 20_000
"""Parameters of a network at most. Each takes time and memory of its own, however small it is."""


def planned_steps(config: RunConfig) -> int:
    """Return the number of steps that warm-up, schedules and annealing are planned for.

    Raises UsageError for more than the run makes.
    """
    steps, planned = config.training.steps, config.training.planned_steps or config.training.steps
    if planned > steps:
        raise UsageError(f"planned-steps is {planned}, more than the {steps} steps of the run; raise --steps")
    return planned


@dataclass(frozen=True)
class Data:
    """A corpus, its training split as ids ``tokens`` (N, T), and ``counts`` (T, V) of each word at each position.

    ``asked`` are the conditions of the training split.
    """

    corpus: Corpus
    tokenizer: Tokenizer
    tokens: Tensor
    shape: Shape
    counts: Tensor
    asked: RowConditions
    notes: tuple[str, ...]
    start: Start


def read_data(host: Host, config: RunConfig) -> Data:
    """Read and encode the corpus, with the tokenizer of the bundle that the run starts from, if there is one."""
    start = Start.of(host, config)
    corpus: Corpus = build(host, config, "corpus")
    refuse(host, "corpus", config.corpus.name, problem_with_corpus(corpus))
    start.check_labels(corpus.labels)
    size = config.tokenizer.options.as_dict()
    given, remedy = start.tokenizer, KEEP
    if given is not None and start.grow:
        given = given.grown(spaced(corpus.train, SAMPLE), size["vocabulary"])
    elif given is not None:
        remedy = GROW
    encoded = encode(corpus, config.tokenizer.name, size["vocabulary"], size["max_length"], given, remedy)
    tokenizer, tokens = encoded.tokenizer, encoded.tokens
    shape = Shape(tokenizer.vocabulary_size, tokens.shape[1], config.training.noise_size, len(corpus.labels))
    counts = token_counts(tokens.split(CHUNK), shape, impossible(corpus, tokenizer))
    asked = conditions.asked(corpus, "train", tokenizer, tokens)
    for split in ("validation", "test") if asked.given is not None else ():  # or the first evaluation would fail
        conditions.asked(corpus, split, tokenizer, tokenizer.encode(getattr(corpus, split), shape.length)[0])
    notes = (*corpus.notes, *encoded.notes, *conditions.notes(corpus, asked))
    return Data(corpus, tokenizer, tokens, shape, counts, asked, notes, start)


def build_rewards(host: Host, config: RunConfig) -> list[CheckedReward]:
    """Build the rewards that have a weight."""
    if config.training.reward_weight == 0:
        return []
    weights = {name: choice.options.as_dict()["weight"] for name, choice in config.rewards.items()}
    return [
        CheckedReward(name, host.full_name("reward", name), _built(host, "reward", config.rewards[name]), weight)
        for name, weight in weights.items()
        if weight > 0
    ]


def build_parts(host: Host, config: RunConfig, data: Data, rewards: Sequence[CheckedReward]) -> Parts:
    """Build the parts of the algorithm. Raises UsageError for components that cannot work together."""
    generator = _network(host, config, "generator", data.shape.of("generator"))
    if config.training.prior and "generator" not in data.start.origins:  # else the prior is among the weights
        with host.blaming("generator", config.generator.name, "does not take its prior"):
            counts = data.counts if generator.prior.dim() == 2 else data.counts.sum(dim=0)
            generator.prior.copy_(log_frequencies(counts))
    discriminator = _network(host, config, "discriminator", data.shape.of("discriminator"))
    if config.training.prior and "discriminator" not in data.start.origins:
        with host.blaming("discriminator", config.discriminator.name, "does not take the prior"):
            discriminator.take_prior(log_frequencies(data.counts.sum(dim=0)))
    for kind, network in (("generator", generator), ("discriminator", discriminator)):
        data.start.load(kind, network, data.shape)
    rule_out(data, generator)
    discriminator.compare_with(generator)
    generator, discriminator = conditional(config.generator.name, data.shape, data.asked, generator, discriminator)
    parts = Parts(
        generator=generator,
        discriminator=discriminator,
        loss=_loss(host, config),
        penalty=build(host, config, "penalty"),
        estimator=build(host, config, "estimator"),
        steps=planned_steps(config),
        rewarded=Rewards(rewards, config.training.reward_weight, data.tokenizer.decode, config.training.compile)
        if rewards
        else None,
    )
    _check_fit(config, parts)
    return parts


def plain_parts(host: Host, config: RunConfig, shape: Shape, steps: int) -> Parts:
    """Build the parts that a configuration names, without data, conditions and checks: to check or measure a method."""
    return Parts(
        generator=build(host, config, "generator", shape=shape),
        discriminator=build(host, config, "discriminator", shape=shape),
        loss=build(host, config, "loss"),
        penalty=build(host, config, "penalty"),
        estimator=build(host, config, "estimator"),
        steps=steps,
    )


def _loss(host: Host, config: RunConfig) -> Loss:
    """Build the loss. Raises PluginError if it fails on logits, or gives costs of another shape or NaN."""
    loss: Loss = build(host, config, "loss")
    with host.blaming("loss", config.loss.name, "failed on the logits of four sequences"):
        problem = problem_with_loss(loss)
    refuse(host, "loss", config.loss.name, problem)
    return loss


def rule_out(data: Data, generator: Generator) -> None:
    """Keep the generator from drawing ids that the corpus cannot have, such as ``<eos>`` in a corpus of fixed length.

    Raises UsageError for a generator from another run that never draws an id of the training text.
    """
    generator.prior[..., impossible(data.corpus, data.tokenizer)] = NEVER
    never = (generator.prior <= NEVER).reshape(-1, generator.prior.shape[-1]).any(dim=0)
    if never[EOS] and not data.corpus.fixed_length:
        raise UsageError(
            "the generator was trained with --corpus.fixed-length, so it never ends a sentence; "
            "add that option, or start from another bundle"
        )
    if never[UNK] and (data.tokens == UNK).any():
        raise UsageError(
            "the generator was trained on text without unknown words, so it never writes one, and the training text "
            "has some; add --grow-vocabulary, or start from another bundle"
        )


def build(host: Host, config: RunConfig, kind: str, **arguments: Any) -> Any:
    """Build the chosen component of a kind. Raises PluginError for one of another type."""
    return _built(host, kind, getattr(config, kind), **arguments)


def _built(host: Host, kind: str, choice: Choice, **arguments: Any) -> Any:
    built = host.build(kind, choice.name, choice.options, **arguments)
    refuse(host, kind, choice.name, problem_with_kind(built, BASES[kind]))
    return built


def _network(host: Host, config: RunConfig, kind: str, shape: Shape) -> Any:
    """Build a network. Raises OutOfMemory if its weights and their gradients are larger than the memory."""
    choice = getattr(config, kind)
    needed, there = _bytes_of(host, kind, choice, shape), memory_of(pick_device(config.training.device))
    if needed > there:
        take = f"{needed / 1e9:,.1f} GB" if math.isfinite(needed) else "more than any machine has"
        raise OutOfMemory(
            f"there is no memory for a {kind} of this size; lower {_largest_option(config, kind)} "
            f"(its weights and gradients take {take}, and there are {there / 1e9:,.1f} GB)"
        )
    return build(host, config, kind, shape=shape)


def _bytes_of(host: Host, kind: str, choice: Choice, shape: Shape) -> float:
    """Return the size of a network's weights and their gradients; infinity for more than MOST_TENSORS of them.

    0 if the network cannot be built without memory, which is not asked of plugins.
    """
    try:
        with without_memory(MOST_TENSORS):
            network = host.build(kind, choice.name, choice.options, shape=shape)
        return 2 * sum(parameter.numel() * parameter.element_size() for parameter in network.parameters())
    except Exception as error:
        return math.inf if isinstance(error.__cause__, TooManyTensors) or lacks_memory(error) else 0


def _largest_option(config: RunConfig, kind: str) -> str:
    """Return the flag of the number that is furthest above its default, else the flag of the vocabulary size."""
    options: Options = getattr(config, kind).options
    prefix, given = f"--{PREFIXES[kind]}.", options.as_dict()
    sizes = {prefix + each.flag: (given[each.name], each.default) for each in options.fields()}
    sizes["--noise-size"] = (config.training.noise_size, TrainingOptions().noise_size)
    return furthest(sizes) or "--tokenizer.vocabulary"


def refuse(host: Host, kind: str, name: str, problem: str) -> None:
    """Raise PluginError if there is a problem."""
    if problem:
        check = shlex.join(["ganlm", "plugins", "check", name, *host.flags()])
        raise PluginError(f"{host.full_name(kind, name)} {problem}; to check all of it: {check}")


def _check_fit(config: RunConfig, parts: Parts) -> None:
    """Raise UsageError for parts that cannot work together."""
    if parts.estimator.autoregressive_only and not parts.generator.autoregressive:
        always = type(parts.estimator).autoregressive_only
        raise UsageError(
            f"estimator '{config.estimator.name}'{'' if always else ' with these options'} needs an autoregressive "
            f"generator, and '{config.generator.name}' writes all positions at once; choose another --gen or another "
            "--estimator"
        )
    if parts.estimator.per_position_only and not parts.discriminator.per_position:
        raise UsageError(
            f"estimator '{config.estimator.name}' needs a logit for every position, and '{config.discriminator.name}' "
            "gives one per sequence; choose a discriminator that gives one per position, or --estimator.reward sequence"
        )
    if parts.estimator.per_position_only and (parts.discriminator.summed or parts.loss.paired):
        which = (
            f"'{config.discriminator.name}' sums its logits to one per sequence"
            if parts.discriminator.summed
            else f"loss '{config.loss.name}' compares one logit per sequence"
        )
        raise UsageError(
            f"estimator '{config.estimator.name}' with these options pays each position its own logit, and {which}; "
            "choose --estimator.reward sequence"
        )
    if parts.penalty.interval > 0 and not parts.discriminator.twice_differentiable:
        raise UsageError(
            f"penalty '{config.penalty.name}' needs a discriminator that can be differentiated twice, and "
            f"'{config.discriminator.name}' cannot; choose another --disc or --penalty none"
        )
