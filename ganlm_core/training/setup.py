"""Build everything that a run needs from its configuration. Nothing is written to disk or trained here."""

import copy
import hashlib
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor, nn

from ganlm_core.algorithms.rewards import CheckedReward
from ganlm_core.bundle.manifest import NETWORKS, components_of
from ganlm_core.config.run_config import WARMUP, RunConfig
from ganlm_core.data.batches import Batches
from ganlm_core.data.corpus import Corpus
from ganlm_core.data.encoding import log_frequencies
from ganlm_core.data.tokenizer import CHUNK, Tokenizer
from ganlm_core.errors import UnknownName, UsageError
from ganlm_core.metrics.judge import Judge
from ganlm_core.metrics.rewards import RewardMeans
from ganlm_core.plugins.host import Host, default_host
from ganlm_core.plugins.wording import described
from ganlm_core.protocol import Algorithm, Generator, Parts, Shape
from ganlm_core.sampling.conditions import unconditional
from ganlm_core.system import processes
from ganlm_core.system.devices import arithmetic, pick_device, require_compiler
from ganlm_core.training.building import (
    PART_KINDS,
    Data,
    build,
    build_parts,
    build_rewards,
    planned_steps,
    read_data,
    refuse,
)
from ganlm_core.training.checks import problem_with_algorithm
from ganlm_core.training.compilation import as_graphs, as_it_is, compile_networks
from ganlm_core.training.loop import Average, Trainer
from ganlm_core.training.notes import equal_rewards, notes_of, uncompiled
from ganlm_core.training.optimizers import ScheduledOptimizer, build_optimizer
from ganlm_core.training.rehearsal import rehearse
from ganlm_core.training.start import Start


@dataclass(frozen=True)
class Setup:
    """Everything that a run needs, built from its configuration.

    ``best``: copies of the shared networks with the best weights so far, with ``--keep best``. ``start``: the bundles
    that networks come from.
    """

    config: RunConfig
    host: Host
    corpus: Corpus
    tokenizer: Tokenizer
    shape: Shape
    device: torch.device
    parts: Parts
    trainer: Trainer
    best: nn.ModuleDict | None
    judge: Judge
    log_frequencies: Tensor
    notes: tuple[str, ...]
    start: Start

    @property
    def generator(self) -> Generator:
        """The generator that is evaluated and saved: the moving average, if there is one."""
        generator = self.shared_networks["generator"]
        assert isinstance(generator, Generator)
        return generator

    @property
    def shared_networks(self) -> dict[str, nn.Module]:
        """The networks of a bundle, with their current weights."""
        return _shared(self.trainer.algorithm, self.trainer.average)

    @property
    def modules(self) -> dict[str, nn.Module]:
        """The modules whose state a checkpoint keeps, by name."""
        average = self.trainer.average
        averaged = {"average": average.model} if average is not None else {}
        best = {"best": self.best} if self.best is not None else {}
        return {"algorithm": self.trainer.algorithm, **averaged, **best}

    @property
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """The optimisers whose state a checkpoint keeps, by name."""
        return {name: each.optimizer for name, each in self.trainer.optimizers.items()}

    def keep_as_best(self) -> None:
        """Copy the current weights as the best so far. Does nothing without ``--keep best``."""
        if self.best is not None:
            for name, network in self.shared_networks.items():
                self.best[name].load_state_dict(network.state_dict())

    def parameters(self) -> dict[str, int]:
        """Return the number of parameters of each network."""
        networks = self.trainer.algorithm.networks
        return {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}

    @cached_property
    def interim_judge(self) -> Judge:
        """The judge of interim evaluations, which reads the validation split instead of the test split."""
        return replace(self.judge, corpus=self.judge.corpus.validating())

    @property
    def labels(self) -> dict[str, int]:
        """The labels in the order of their numbers, each with its number of training sentences."""
        numbers = self.trainer.batches.asked.labels
        if numbers is None:
            return {}
        return dict(zip(self.corpus.labels, numbers.bincount(minlength=self.shape.labels).tolist(), strict=True))

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the encoded training data: a run resumes on the same data or not at all."""
        digest = hashlib.sha256()
        for part in self.trainer.batches.tokens.split(CHUNK):
            digest.update(part.long().numpy())
        asked = self.trainer.batches.asked
        for each in (asked.labels, asked.given):
            if each is not None:
                digest.update(each.numpy().data)
        return digest.hexdigest()

    def blame(self, error: BaseException) -> str:
        """Name the component that failed with an error.

        A component of a plugin may make a built-in one fail, so the chosen plugins are then named too.
        """
        chosen = {kind: getattr(self.config, kind).name for kind in (*PART_KINDS, "algorithm")}
        culprit = self._culprit(error)
        others = [pair for pair in chosen.items() if not self.host.origin(*pair).built_in]
        blamed = f"{self.host.full_name(culprit, chosen[culprit])} failed with {described(error)}"
        if not others or (culprit, chosen[culprit]) in others:
            return blamed
        suspects = " or ".join(self.host.full_name(*pair) for pair in others)
        return f"{blamed}; perhaps because of {suspects}, which 'ganlm plugins check' can test"

    def _culprit(self, error: BaseException) -> str:
        """Return the kind of the part whose code was running, the innermost first, or else the algorithm."""
        types = {kind: type(getattr(self.parts, kind)) for kind in PART_KINDS} | {
            "algorithm": type(self.trainer.algorithm)
        }
        culprit = "algorithm"
        for frame, _ in traceback.walk_tb(error.__traceback__):
            # By type, because the evaluated network may be the generator's moving average.
            running = [kind for kind in types if isinstance(frame.f_locals.get("self"), types[kind])]
            beside = [kind for kind in types if frame.f_globals.get("__name__") == types[kind].__module__]
            if running or (beside and culprit not in beside):
                culprit = (running or beside)[0]
        return culprit


def prepare(config: RunConfig, host: Host | None = None) -> Setup:
    """Build the corpus, the tokenizer, the networks and the rest. Seeds the global random state.

    A run with a warm-up is built twice: the first networks only :func:`rehearse` the start of adversarial training.
    Raises GanlmError of every kind for components that cannot be built or trained, before anything is written.
    """
    host = host or default_host()
    components_of(config, host)  # refuse a name that a bundle cannot have before training, not after it
    device = pick_device(config.training.device)
    arithmetic(device, config.training.precision)  # refuse it before the data are read
    if config.training.compile:
        require_compiler()
    data = read_data(host, config)
    rewards = build_rewards(host, config)
    setup = _built(config, host, device, data, rewards)
    if rehearse(setup.trainer, setup.blame):
        setup = _built(config, host, device, data, rewards)
    return setup


def _built(config: RunConfig, host: Host, device: torch.device, data: Data, rewards: Sequence[CheckedReward]) -> Setup:
    """Seed the global random state, and build the networks and everything that reads or trains them."""
    options = config.training
    torch.manual_seed(options.seed)
    parts = build_parts(host, config, data, rewards)
    algorithm = _algorithm(host, config, parts).to(device)
    _check_rewards(config, parts, algorithm)
    average = Average.of(parts.generator, options.ema) if options.ema else None
    left_out = compile_networks(algorithm, parts) if options.compile else []
    trainer = Trainer(
        algorithm,
        _optimizers(config, algorithm),
        Batches(
            data.tokens,
            options.batch_size,
            options.seed,
            options.noise_size,
            device,
            processes.rank(),
            processes.size(),
            asked=data.asked,
            labels=data.shape.labels,
        ),
        steps=planned_steps(config),
        clip=options.clip,
        average=average,
        compiled=as_graphs(left_out) if options.compile and device.type == "cuda" else as_it_is,
        arithmetic=arithmetic(device, options.precision),
    )
    return Setup(
        config=config,
        host=host,
        corpus=data.corpus,
        tokenizer=data.tokenizer,
        shape=data.shape,
        device=device,
        parts=parts,
        trainer=trainer,
        best=_best(config, algorithm, average),
        judge=_judge(host, data, options.seed, rewards),
        log_frequencies=log_frequencies(data.counts.sum(dim=0)),
        notes=(
            *data.notes,
            *notes_of(config, data, algorithm, parts),
            *equal_rewards(rewards, data.corpus),
            *uncompiled(left_out),
        ),
        start=data.start,
    )


def _judge(host: Host, data: Data, seed: int, rewards: Sequence[CheckedReward]) -> Judge:
    judge = Judge.of(host, data.corpus, data.tokenizer, data.shape, seed)
    return replace(judge, metrics={**judge.metrics, "rewards": RewardMeans(rewards)}) if rewards else judge


def _shared(algorithm: Algorithm, average: Average | None) -> dict[str, nn.Module]:
    networks = {**algorithm.networks, **({"generator": average.generator} if average is not None else {})}
    return {name: unconditional(network) for name, network in networks.items()}


def _best(config: RunConfig, algorithm: Algorithm, average: Average | None) -> nn.ModuleDict | None:
    """Return copies of the shared networks for the best weights; a frozen generator has no best."""
    if config.training.keep != "best" or "generator" in algorithm.frozen:
        return None
    return nn.ModuleDict(copy.deepcopy(_shared(algorithm, average)))


def _algorithm(host: Host, config: RunConfig, parts: Parts) -> Algorithm:
    algorithm: Algorithm = build(host, config, "algorithm", parts=parts)
    with host.blaming("algorithm", config.algorithm.name, "cannot say its networks and phases"):
        problem = problem_with_algorithm(algorithm, parts.steps)
    refuse(host, "algorithm", config.algorithm.name, problem)
    if parts.estimator.next_words and not algorithm.next_words and "estimator" not in algorithm.unused:
        raise UsageError(
            f"estimator '{config.estimator.name}' asks for the cost of every next word, and algorithm "
            f"'{config.algorithm.name}' judges whole sequences; choose another --estimator, or --algorithm adversarial"
        )
    return algorithm


def _optimizers(config: RunConfig, algorithm: Algorithm) -> dict[str, ScheduledOptimizer]:
    networks = (*NETWORKS, *algorithm.networks)  # every configuration has optimisers for both NETWORKS
    known = dict.fromkeys((*networks, *(network + WARMUP for network in networks)))
    for name in config.optimizers:
        if name not in known:
            raise UnknownName("network", name, known, hint=f"[optimizer.{name}] is for one of {', '.join(known)}")
    trained = {name: net for name, net in algorithm.networks.items() if name not in algorithm.frozen}
    for name in trained:
        if name not in config.optimizers:
            raise UsageError(
                f"the network '{name}' of algorithm '{config.algorithm.name}' has no optimiser; choose a recipe of "
                f"this algorithm, or add a table [optimizer.{name}.adam] to the file of --config"
            )
        if next(trained[name].parameters(), None) is None:
            raise UsageError(
                f"the network '{name}' of algorithm '{config.algorithm.name}' has no parameters, so nothing can be "
                "trained; give it some as attributes, or choose an algorithm that does not train it"
            )
    spans = _spans(config, algorithm, trained)
    _check_parts(config, algorithm, spans)
    if is_sharded(config) and any(config.optimizers[name].name == "lbfgs" for name in spans):
        raise UsageError(
            "--shard-optimizers divides the parameters among the processes, and lbfgs moves all of them as one vector; "
            "choose another optimiser, or leave the option out"
        )
    return {
        name: build_optimizer(
            config.optimizers[name],
            trained[name.removesuffix(WARMUP)].parameters(),
            first,
            last,
            sharded=is_sharded(config),
        )
        for name, (first, last) in spans.items()
    }


def is_sharded(config: RunConfig) -> bool:
    """Return whether the state of the optimisers is divided among processes."""
    return config.training.shard_optimizers and processes.size() > 1


def _spans(config: RunConfig, algorithm: Algorithm, trained: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Return the first and the last step of each optimiser: the whole run, or both sides of the adversarial start."""
    steps, start = planned_steps(config), algorithm.adversarial_from
    spans = dict.fromkeys(trained, (0, steps - 1))
    for name in trained:
        if name + WARMUP in config.optimizers:
            spans[name] = min(start, steps - 1), steps - 1
            if (first := next(_training(name, algorithm, range(start)), None)) is not None:
                spans[name + WARMUP] = first, next(_training(name, algorithm, reversed(range(start))))
    return spans


def _training(network: str, algorithm: Algorithm, steps: Iterable[int]) -> Iterator[int]:
    return (step for step in steps if network in {phase.network for phase in algorithm.phases(step)})


def _check_parts(config: RunConfig, algorithm: Algorithm, spans: Mapping[str, tuple[int, int]]) -> None:
    """Raise UsageError if L-BFGS would train a part of a network: it keeps all parameters in one vector."""
    for name, (first, last) in spans.items():
        network, lbfgs = name.removesuffix(WARMUP), config.optimizers[name].name == "lbfgs"
        phases = (*algorithm.phases(first), *algorithm.phases(last)) if lbfgs else ()
        if any(phase.network == network and phase.part is not None for phase in phases):
            raise UsageError(
                f"algorithm '{config.algorithm.name}' moves a part of the {network} at a time, and lbfgs moves "
                f"all of it; choose another optimiser in [optimizer.{name}]"
            )


def _check_rewards(config: RunConfig, parts: Parts, algorithm: Algorithm) -> None:
    """Raise UsageError if the method cannot pay the rewards of the run."""
    if parts.rewarded is None:
        return
    if parts.estimator.relaxes:
        raise UsageError(
            f"estimator '{config.estimator.name}' gives relaxed words, and a reward reads texts; choose --estimator "
            "reinforce, clipped, rollout or importance, or leave out --reward"
        )
    if not algorithm.pays:
        raise UsageError(
            f"algorithm '{config.algorithm.name}' has no generator's cost that rewards could be mixed with; choose "
            "another algorithm or recipe, such as --algorithm adversarial, or leave out --reward"
        )
