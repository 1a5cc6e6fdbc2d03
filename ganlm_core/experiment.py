"""From a configuration to everything that its run needs. Nothing here is written to a disk or trained."""

import copy
import hashlib
import shlex
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from ganlm_core import distributed
from ganlm_core.compilation import as_graphs, as_it_is, compile_networks
from ganlm_core.config import RunConfig
from ganlm_core.contract import BASES, problem_with_algorithm, problem_with_kind
from ganlm_core.corpora import Corpus
from ganlm_core.devices import arithmetic, pick_device, require_compiler
from ganlm_core.discovery import BUILT_IN, describe
from ganlm_core.encoding import encode, log_frequencies, token_counts
from ganlm_core.errors import PluginError, UnknownName, UsageError
from ganlm_core.evaluation import Judge
from ganlm_core.manifest import NETWORKS
from ganlm_core.optimizers import ScheduledOptimizer, build_optimizer
from ganlm_core.plugins import Host, default_host
from ganlm_core.protocol import Algorithm, Generator, Parts, Phase, Shape
from ganlm_core.tokenizer import CHUNK, Tokenizer, count_cut
from ganlm_core.trainer import Average, Batches, Losses

PART_KINDS = ("generator", "discriminator", "loss", "penalty", "estimator")
"""The kinds of the components that an algorithm is built from."""


@dataclass(frozen=True)
class Experiment:
    """Everything that a run needs, built from its configuration.

    ``best``: copies of the shared networks for the best of their weights, where these are to be kept. ``compiled``
    gives a phase in the form in which the loop computes it.
    """

    config: RunConfig
    host: Host
    corpus: Corpus
    tokenizer: Tokenizer
    shape: Shape
    device: torch.device
    parts: Parts
    algorithm: Algorithm
    optimizers: Mapping[str, ScheduledOptimizer]
    batches: Batches
    losses: Losses
    average: Average | None
    best: nn.ModuleDict | None
    judge: Judge
    log_frequencies: Tensor
    notes: tuple[str, ...]
    compiled: Callable[[Phase], Phase]

    @property
    def generator(self) -> Generator:
        """The generator that is evaluated and saved: the moving average, where one is kept."""
        generator = self.shared_networks["generator"]
        assert isinstance(generator, Generator)
        return generator

    @property
    def shared_networks(self) -> dict[str, nn.Module]:
        """The networks that a bundle holds, as they are now."""
        return _shared(self.algorithm, self.average)

    @property
    def modules(self) -> dict[str, nn.Module]:
        """The modules whose state a checkpoint keeps."""
        averaged = {"average": self.average.model} if self.average is not None else {}
        best = {"best": self.best} if self.best is not None else {}
        return {"algorithm": self.algorithm, **averaged, **best}

    def keep_as_best(self) -> None:
        """The best weights are those of now. Nothing happens where only the last are kept."""
        if self.best is not None:
            for name, network in self.shared_networks.items():
                self.best[name].load_state_dict(network.state_dict())

    def parameters(self) -> dict[str, int]:
        """The number of parameters of each network."""
        return {name: sum(p.numel() for p in net.parameters()) for name, net in self.algorithm.networks.items()}

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the training data as they are encoded: a run resumes on the same data or not at all."""
        digest = hashlib.sha256()
        for part in self.batches.tokens.split(CHUNK):
            digest.update(part.long().numpy())
        return digest.hexdigest()

    def blame(self, error: Exception) -> str:
        """Who failed with it. What others gave may have made a built-in component fail, so then they are named too."""
        chosen = {kind: getattr(self.config, kind).name for kind in (*PART_KINDS, "algorithm")}
        culprit = self._culprit(error)
        others = [pair for pair in chosen.items() if self.host.origin(*pair)[0] != BUILT_IN]
        blamed = f"{self.host.full_name(culprit, chosen[culprit])} failed with {describe(error)}"
        if not others or (culprit, chosen[culprit]) in others:
            return blamed
        suspects = " or ".join(self.host.full_name(*pair) for pair in others)
        return f"{blamed}; perhaps because of {suspects}, which 'ganlm plugins check' can test"

    def _culprit(self, error: Exception) -> str:
        """The kind of the part whose code was running, innermost first, or else the algorithm."""
        types = {kind: type(getattr(self.parts, kind)) for kind in PART_KINDS} | {"algorithm": type(self.algorithm)}
        culprit = "algorithm"
        for frame, _ in traceback.walk_tb(error.__traceback__):
            # By type, because what is evaluated may be the generator's moving average.
            running = [kind for kind in types if isinstance(frame.f_locals.get("self"), types[kind])]
            beside = [kind for kind in types if frame.f_globals.get("__name__") == types[kind].__module__]
            if running or (beside and culprit not in beside):
                culprit = (running or beside)[0]
        return culprit


def run_name(config: RunConfig) -> str:
    """What a run folder is called, but for its number."""
    return f"{config.generator.name}-{config.discriminator.name}-{config.corpus.name}"


def prepare(config: RunConfig, host: Host | None = None) -> Experiment:
    """Build the corpus, the tokenizer, the networks and the rest. Seeds the global random state.

    Raises GanlmError of every kind for what cannot be built, before anything is written.
    """
    host = host or default_host()
    options = config.training
    device = pick_device(options.device)
    arithmetic(device, options.precision)
    if options.compile:
        require_compiler()
    corpus: Corpus = _build(host, config, "corpus")
    encoded = encode(corpus, config.tokenizer.name, _size(config, "vocabulary"), _size(config, "max_length"))
    tokenizer, tokens = encoded.tokenizer, encoded.tokens
    shape = Shape(tokenizer.vocabulary_size, tokens.shape[1], options.noise_size)
    counts = token_counts(tokens.split(CHUNK), shape)
    cut = sum(map(count_cut, tokens.split(CHUNK)))

    torch.manual_seed(options.seed)
    generator = _build(host, config, "generator", shape=shape)
    if options.prior:
        with host.blaming("generator", config.generator.name, "does not take its prior"):
            generator.prior.copy_(log_frequencies(counts if generator.prior.dim() == 2 else counts.sum(dim=0)))
    parts = Parts(
        generator=generator,
        discriminator=_build(host, config, "discriminator", shape=shape),
        loss=_build(host, config, "loss"),
        penalty=_build(host, config, "penalty"),
        estimator=_build(host, config, "estimator"),
        steps=options.steps,
    )
    _check_fit(config, parts)
    algorithm = _algorithm(host, config, parts).to(device)
    average = Average.of(generator, options.ema) if options.ema else None
    left_out = compile_networks(algorithm, parts) if options.compile else []
    return Experiment(
        config=config,
        host=host,
        corpus=corpus,
        tokenizer=tokenizer,
        shape=shape,
        device=device,
        parts=parts,
        algorithm=algorithm,
        optimizers=_optimizers(config, algorithm),
        batches=Batches(
            tokens,
            options.batch_size,
            options.seed,
            options.noise_size,
            device,
            distributed.rank(),
            distributed.size(),
        ),
        losses=Losses(),
        average=average,
        best=nn.ModuleDict(copy.deepcopy(_shared(algorithm, average))) if options.keep == "best" else None,
        judge=Judge.of(host, corpus, tokenizer, shape, options.seed),
        log_frequencies=log_frequencies(counts.sum(dim=0)),
        notes=(
            *corpus.notes,
            *encoded.notes,
            *_notes(config, corpus, shape, cut, algorithm),
            *(_left_out(name) for name in left_out),
        ),
        compiled=as_graphs(left_out) if options.compile and device.type == "cuda" else as_it_is,
    )


def _shared(algorithm: Algorithm, average: Average | None) -> dict[str, nn.Module]:
    return {**algorithm.networks, **({"generator": average.generator} if average is not None else {})}


def _build(host: Host, config: RunConfig, kind: str, **arguments: Any) -> Any:
    choice = getattr(config, kind)
    built = host.build(kind, choice.name, choice.options, **arguments)
    _refuse(host, kind, choice.name, problem_with_kind(built, BASES[kind]))
    return built


def _algorithm(host: Host, config: RunConfig, parts: Parts) -> Algorithm:
    algorithm: Algorithm = _build(host, config, "algorithm", parts=parts)
    with host.blaming("algorithm", config.algorithm.name, "cannot say its networks and phases"):
        problem = problem_with_algorithm(algorithm, parts.steps)
    _refuse(host, "algorithm", config.algorithm.name, problem)
    return algorithm


def _refuse(host: Host, kind: str, name: str, problem: str) -> None:
    """Raises PluginError if there is a problem."""
    if problem:
        check = shlex.join(["ganlm", "plugins", "check", name, *host.flags()])
        raise PluginError(f"{host.full_name(kind, name)} {problem}; to check all of it: {check}")


def _size(config: RunConfig, name: str) -> int:
    return int(getattr(config.tokenizer.options, name))


def _left_out(name: str) -> str:
    return f"the {name} is not compiled: its penalty differentiates it twice, and torch.compile once"


def _check_fit(config: RunConfig, parts: Parts) -> None:
    """Raises UsageError for parts that cannot work together."""
    if parts.estimator.autoregressive_only and not parts.generator.autoregressive:
        raise UsageError(
            f"estimator '{config.estimator.name}' needs an autoregressive generator, and '{config.generator.name}' "
            "writes all positions at once; choose another --gen or another --estimator"
        )
    if parts.estimator.per_position_only and not parts.discriminator.per_position:
        raise UsageError(
            f"estimator '{config.estimator.name}' wants a logit for every position, and '{config.discriminator.name}' "
            "gives one per sequence; choose a discriminator that gives them, or another reward"
        )
    if parts.penalty.interval > 0 and not parts.discriminator.twice_differentiable:
        raise UsageError(
            f"penalty '{config.penalty.name}' needs a discriminator that can be differentiated twice, and "
            f"'{config.discriminator.name}' cannot; choose another --disc or --penalty none"
        )


def _optimizers(config: RunConfig, algorithm: Algorithm) -> dict[str, ScheduledOptimizer]:
    known = dict.fromkeys((*NETWORKS, *algorithm.networks))  # every configuration has an optimiser for both NETWORKS
    for name in config.optimizers:
        if name not in known:
            raise UnknownName("network", name, known, hint=f"[optimizer.{name}] is for one of {', '.join(known)}")
    for name in algorithm.networks:
        if name not in config.optimizers:
            raise UsageError(
                f"the network '{name}' of algorithm '{config.algorithm.name}' has no optimiser; "
                f"add a table [optimizer.{name}.adam] to the configuration"
            )
        if next(algorithm.networks[name].parameters(), None) is None:
            raise UsageError(
                f"the network '{name}' of algorithm '{config.algorithm.name}' has no parameters, so nothing can be "
                "trained; give it some as attributes, or choose an algorithm that does not train it"
            )
    _check_parts(config, algorithm)
    return {
        name: build_optimizer(config.optimizers[name], net.parameters()) for name, net in algorithm.networks.items()
    }


def _check_parts(config: RunConfig, algorithm: Algorithm) -> None:
    """Raises UsageError where an optimiser cannot move a part of its network alone: what L-BFGS remembers is of all."""
    for phase in algorithm.phases(config.training.steps - 1):
        if phase.part is not None and config.optimizers[phase.network].name == "lbfgs":
            raise UsageError(
                f"algorithm '{config.algorithm.name}' moves a part of the {phase.network} at a time, and lbfgs moves "
                f"all of it; choose another optimiser in [optimizer.{phase.network}]"
            )


def _notes(config: RunConfig, corpus: Corpus, shape: Shape, cut: int, algorithm: Algorithm) -> Iterator[str]:
    parts = f"{len(corpus.train):,} to train, {len(corpus.validation):,} to validate, {len(corpus.test):,} to test"
    yield f"{corpus.name}: {parts}; {shape.vocabulary:,} words, sequences of {shape.length} tokens at most"
    if cut:
        share = cut / len(corpus.train)
        yield f"{cut:,} training sentences ({share:.1%}) were longer and were cut; --tokenizer.max-length takes more"
    if config.tokenizer.name == "word" and shape.length <= 2 and not cut:
        yield "every sentence is a single word; --tokenizer char makes a sequence of its characters"
    if algorithm.unused:
        yield f"algorithm '{config.algorithm.name}' makes no use of a chosen {' or '.join(algorithm.unused)}"
    if "discriminator" in algorithm.networks and algorithm.adversarial_from >= config.training.steps:
        yield "the warm-up takes every step, so the networks never train against each other; raise --steps"
