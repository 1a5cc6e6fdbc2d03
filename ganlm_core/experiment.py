"""From a configuration to a trained pair: what ``ganlm run`` and :func:`ganlm_core.train` both do.

``prepare`` builds everything and touches no disk; ``execute`` trains it in a run folder: metrics, samples,
checkpoints, the final evaluation and the bundle.
"""

import hashlib
import shlex
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from ganlm_core import bundle, checkpoint, trainer
from ganlm_core.config import RunConfig
from ganlm_core.corpora import Corpus
from ganlm_core.devices import arithmetic, pick_device
from ganlm_core.discovery import describe
from ganlm_core.errors import DataError, GanlmError, Interrupted, TrainingError, UsageError
from ganlm_core.evaluation import Judge, Values, round_values
from ganlm_core.files import write_file
from ganlm_core.model import Model
from ganlm_core.optimizers import ScheduledOptimizer, build_optimizer
from ganlm_core.plugins import Host, default_host
from ganlm_core.protocol import Algorithm, Generator, Parts, Shape, mask_of
from ganlm_core.runs import RunFolder, versions
from ganlm_core.standard import FileOptions
from ganlm_core.tokenizer import Tokenizer
from ganlm_core.trainer import Average, Batches, Metrics

SMOOTHING = 0.1
GLANCE = 256
"""Sentences drawn for an evaluation in the course of training; the final one draws ``evaluation_samples``."""


class Display:
    """What a run tells whoever watches it. This one says nothing; the command line's shows progress."""

    def started(self, experiment: "Experiment", folder: RunFolder, step: int) -> None: ...

    def logged(self, step: int, record: Mapping[str, float]) -> None: ...

    def evaluated(self, step: int, values: Values, samples: list[str]) -> None: ...

    def note(self, line: str) -> None: ...

    def ended(self, folder: RunFolder, status: str) -> None: ...


@dataclass(frozen=True)
class Experiment:
    """Everything that a run needs, built from its configuration."""

    config: RunConfig
    host: Host
    corpus: Corpus
    tokenizer: Tokenizer
    shape: Shape
    device: torch.device
    algorithm: Algorithm
    optimizers: Mapping[str, ScheduledOptimizer]
    batches: Batches
    average: Average | None
    judge: Judge
    log_frequencies: Tensor
    notes: tuple[str, ...]

    @property
    def generator(self) -> Generator:
        """The generator that is evaluated and saved: the moving average, where one is kept."""
        trained = self.algorithm.networks["generator"]
        assert isinstance(trained, Generator)
        return self.average.generator if self.average is not None else trained

    @property
    def shared_networks(self) -> dict[str, nn.Module]:
        """The networks that a bundle holds."""
        return {**self.algorithm.networks, "generator": self.generator}

    @property
    def modules(self) -> dict[str, nn.Module]:
        """The modules whose state a checkpoint keeps."""
        averaged = {"average": self.average.model} if self.average is not None else {}
        return {"algorithm": self.algorithm, **averaged}

    def parameters(self) -> dict[str, int]:
        """The number of parameters of each network."""
        return {name: sum(p.numel() for p in net.parameters()) for name, net in self.algorithm.networks.items()}

    def fingerprint(self) -> str:
        """A hash of the training data as they are encoded: a run resumes on the same data or not at all."""
        return hashlib.sha256(self.batches.tokens.numpy().tobytes()).hexdigest()


def prepare(config: RunConfig, host: Host | None = None) -> Experiment:
    """Build the corpus, the tokenizer, the networks and the rest. Seeds the global random state.

    Raises GanlmError of every kind for what cannot be built, before anything is written.
    """
    host = host or default_host()
    options = config.training
    device = pick_device(options.device)
    arithmetic(device, options.precision)
    corpus: Corpus = _build(host, config, "corpus")
    tokenizer = Tokenizer.train(config.tokenizer.name, corpus.train, _size(config, "vocabulary"))
    length = tokenizer.sequence_length(corpus.train, _size(config, "max_length"))
    tokens, cut = tokenizer.encode(corpus.train, length)
    shape = Shape(tokenizer.vocabulary_size, length, options.noise_size)
    counts = token_counts(tokens, shape)

    torch.manual_seed(options.seed)
    generator = _build(host, config, "generator", shape=shape)
    if options.prior:
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
    algorithm: Algorithm = _build(host, config, "algorithm", parts=parts).to(device)
    return Experiment(
        config=config,
        host=host,
        corpus=corpus,
        tokenizer=tokenizer,
        shape=shape,
        device=device,
        algorithm=algorithm,
        optimizers=_optimizers(config, algorithm),
        batches=Batches(tokens, mask_of(tokens), options.batch_size, options.seed, options.noise_size, device),
        average=Average.of(generator, options.ema) if options.ema else None,
        judge=Judge.of(host, corpus, tokenizer, shape, options.seed),
        log_frequencies=log_frequencies(counts.sum(dim=0)),
        notes=(*corpus.notes, *_notes(corpus, tokenizer, shape, cut)),
    )


def _build(host: Host, config: RunConfig, kind: str, **arguments: Any) -> Any:
    choice = getattr(config, kind)
    return host.build(kind, choice.name, choice.options, **arguments)


def _check_fit(config: RunConfig, parts: Parts) -> None:
    """Raises UsageError for parts that cannot work together."""
    if parts.estimator.autoregressive_only and not parts.generator.autoregressive:
        raise UsageError(
            f"estimator '{config.estimator.name}' needs an autoregressive generator, and '{config.generator.name}' "
            "writes all positions at once; choose another --gen or another --estimator"
        )
    if parts.penalty.interval > 0 and not parts.discriminator.twice_differentiable:
        raise UsageError(
            f"penalty '{config.penalty.name}' needs a discriminator that can be differentiated twice, and "
            f"'{config.discriminator.name}' cannot; choose another --disc or --penalty none"
        )


def _size(config: RunConfig, name: str) -> int:
    return int(getattr(config.tokenizer.options, name))


def _optimizers(config: RunConfig, algorithm: Algorithm) -> dict[str, ScheduledOptimizer]:
    missing = algorithm.networks.keys() - config.optimizers.keys()
    if missing:
        name = min(missing)
        raise UsageError(
            f"the network '{name}' of algorithm '{config.algorithm.name}' has no optimiser; "
            f"add a table [optimizer.{name}.adam] to the configuration"
        )
    return {
        name: build_optimizer(config.optimizers[name], net.parameters()) for name, net in algorithm.networks.items()
    }


def _notes(corpus: Corpus, tokenizer: Tokenizer, shape: Shape, cut: int) -> Iterator[str]:
    parts = f"{len(corpus.train):,} to train, {len(corpus.validation):,} to validate, {len(corpus.test):,} to test"
    yield f"{corpus.name}: {parts}; {shape.vocabulary:,} words, sequences of {shape.length} tokens at most"
    if cut:
        share = cut / len(corpus.train)
        yield f"{cut:,} training sentences ({share:.1%}) were longer and were cut; --tokenizer.max-length takes more"


def token_counts(tokens: Tensor, shape: Shape) -> Tensor:
    """How often each word stands at each position of ids (N, T), as (T, V); padding does not count.

    SMOOTHING is added to every count, so that no word is out of a generator's reach from the start.
    """
    counts = torch.full((shape.length, shape.vocabulary), SMOOTHING, dtype=torch.float64)
    return counts.scatter_add_(1, tokens.T, mask_of(tokens).T.double())


def log_frequencies(counts: Tensor) -> Tensor:
    """Counts (..., V) to log frequencies (..., V) in float32."""
    return (counts / counts.sum(dim=-1, keepdim=True)).log().float()


def train(config: RunConfig, host: Host | None = None, out: Path | str | None = None) -> Model:
    """Train as ``ganlm run`` does, without a word, and load the bundle: ``train(make_config("lstm", "conv"))``."""
    host = host or default_host()
    return bundle.load(execute(config, host=host, out=Path(out) if out is not None else None).bundle, host)


def execute(
    config: RunConfig,
    *,
    host: Host | None = None,
    out: Path | None = None,
    resume: Path | None = None,
    display: Display | None = None,
) -> RunFolder:
    """Train, evaluate and save in a new run folder, or go on in an old one. Gives the folder.

    ``config`` of a resumed run is the one it was started with. Raises Interrupted when a signal stopped the run and a
    checkpoint was saved, TrainingError when a step could not be finished, and what :func:`prepare` raises.
    """
    display = display or Display()
    if resume is not None and (folder := RunFolder.open(resume)).bundle.is_dir():
        display.note(f"{folder.path} is finished; its bundle is {folder.bundle}")
        return folder
    experiment = prepare(config, host)
    if resume is None:
        folder = RunFolder.create(out, run_name(config), config.to_toml())
        with _removed_on_failure(folder.path):
            folder.write_tokenizer(experiment.tokenizer.to_json())
            run = _Run(_keep_standard_input(experiment, folder), folder, display)
            run.begin()
    else:
        run = _Run(experiment, folder, display)
        run.restore()
    run.train()
    return folder


@contextmanager
def _removed_on_failure(path: Path) -> Iterator[None]:
    """A folder in which nothing was trained yet is not worth keeping."""
    try:
        yield
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise


def run_name(config: RunConfig) -> str:
    """What a run folder is called, but for its number."""
    return f"{config.generator.name}-{config.discriminator.name}-{config.corpus.name}"


def _keep_standard_input(experiment: Experiment, folder: RunFolder) -> Experiment:
    """What came through standard input is kept in the run folder, where a resumed run finds it.

    The parts one after the other: each sentence falls into its part again, in the same order.
    """
    corpus, options = experiment.corpus, experiment.config.corpus.options
    if not isinstance(options, FileOptions) or options.path != "-":
        return experiment
    path = folder.path / "data.txt"
    write_file(path, "".join(f"{text}\n" for text in (*corpus.train, *corpus.validation, *corpus.test)).encode())
    choice = replace(experiment.config.corpus, options=replace(options, path=str(path)))
    config = replace(experiment.config, corpus=choice)
    write_file(folder.path / "config.toml", config.to_toml().encode())
    return replace(experiment, config=config)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """A list that the first SIGINT or SIGTERM is put into; a second one acts as it always does."""
    caught: list[int] = []

    def catch(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        signal.signal(number, previous[signal.Signals(number)])

    try:
        previous = {number: signal.signal(number, catch) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:
        # Only the main thread may set handlers; a run in another one is stopped by whoever started it.
        yield caught
        return
    try:
        yield caught
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@dataclass
class _Run:
    """One training in its folder: what happens around the loop."""

    experiment: Experiment
    folder: RunFolder
    display: Display
    evaluations: dict[str, Values] = field(default_factory=dict)
    start: int = 0
    step: int = 0
    records: int = 0
    signals: list[int] = field(default_factory=list)

    def begin(self) -> None:
        experiment = self.experiment
        self.folder.write_info(
            status="started",
            command=sys.argv,
            device=str(experiment.device),
            seed=experiment.config.training.seed,
            versions=versions(),
            shape=asdict(experiment.shape),
            plugins={
                kind: experiment.host.origin(kind, getattr(experiment.config, kind).name)
                for kind in ("generator", "discriminator", "algorithm")
            },
        )
        try:
            self._milestone(0)
        except GanlmError:
            raise
        except Exception as error:
            raise TrainingError(self._blame(error)) from error
        self._save(0)

    def restore(self) -> None:
        optimizers = {name: each.optimizer for name, each in self.experiment.optimizers.items()}
        found = checkpoint.load(self.folder.checkpoints, modules=self.experiment.modules, optimizers=optimizers)
        if found.extra["data"] != self.experiment.fingerprint():
            raise DataError(
                f"the training data of {self.folder.path} are not what they were when it was started; "
                "put the old data back, or start a new run"
            )
        if found.note:
            self.display.note(found.note)
        self.start = self.step = found.step
        self.experiment.batches.drawn, self.experiment.batches.tokens_drawn = found.extra["batches"]
        self.evaluations = found.extra["evaluations"]
        self.records = found.extra["records"]
        self.folder.truncate_metrics(self.records)
        self.folder.write_info(status="started")

    def train(self) -> None:
        experiment, options = self.experiment, self.experiment.config.training
        self.display.started(experiment, self.folder, self.start)
        self._notify("ganlm_run_started", folder=self.folder.path, config=experiment.config.to_dict())
        status, began, earlier = "failed", time.monotonic(), self.folder.info().get("seconds", 0)
        try:
            with _signals() as self.signals:
                trainer.train(
                    experiment.algorithm,
                    experiment.optimizers,
                    experiment.batches,
                    start=self.start,
                    steps=options.steps,
                    clip=options.clip,
                    after_step=self.after_step,
                    average=experiment.average,
                    arithmetic=arithmetic(experiment.device, options.precision),
                )
                self._finish()
            status = "finished"
        except KeyboardInterrupt:
            status = "interrupted"
            raise Interrupted(f"interrupted after step {self.step}; {self._kept()}, {self._go_on()}") from None
        except UsageError:
            raise
        except Exception as error:
            raise self._explained(error) from error
        finally:
            with suppress(GanlmError):  # a disk that refuses this too has a better error on its way
                self.folder.write_info(status=status, seconds=round(earlier + time.monotonic() - began, 1))
            self.display.ended(self.folder, status)
            self._notify("ganlm_run_ended", status=status)

    def _kept(self) -> str:
        return f"the checkpoint of step {checkpoint.latest(self.folder.checkpoints).step} is kept"

    def _go_on(self) -> str:
        return f"go on with: ganlm run --resume {shlex.quote(str(self.folder.path))}"

    def _explained(self, error: Exception) -> GanlmError:
        """An error with what is left of the run. What is not ours, a bug in a plugin, becomes a TrainingError."""
        if isinstance(error, TrainingError):
            return type(error)(f"{error}; {self._kept()} in {self.folder.path}")
        if isinstance(error, GanlmError):
            return type(error)(f"{error}; {self._kept()}, {self._go_on()}")
        return TrainingError(f"{self._blame(error)}; {self._kept()} in {self.folder.path}")

    def _blame(self, error: Exception) -> str:
        return f"after step {self.step}, {self._culprit(error)} failed with {describe(error)}; --debug shows where"

    def _culprit(self, error: Exception) -> str:
        """The network whose method was running, innermost first, or else the algorithm, and the plugin it is from."""
        networks, culprit = self.experiment.algorithm.networks, "algorithm"
        for frame, _ in traceback.walk_tb(error.__traceback__):
            caller = frame.f_locals.get("self")
            for kind in ("generator", "discriminator"):
                # By type, because what is evaluated may be the generator's moving average.
                if kind in networks and isinstance(caller, type(networks[kind])):
                    culprit = kind
        name = getattr(self.experiment.config, culprit).name
        return f"{culprit} '{name}' of {' '.join(self.experiment.host.origin(culprit, name)).rstrip()}"

    def after_step(self, step: int, metrics: Metrics) -> None:
        self.step, options = step, self.experiment.config.training
        last = step == options.steps
        if step % options.log_every == 0 or last:
            self._log(step, metrics)
        if step % options.evaluate_every == 0 and not last:
            self._glance(step)
        self._milestone(step)
        if self.signals:
            self._save(step)
            raise KeyboardInterrupt
        if step % options.checkpoint_every == 0 or last:
            self._save(step)

    def _log(self, step: int, metrics: Metrics) -> None:
        record = {name: value.item() for name, value in metrics.items()} | {
            "tokens": self.experiment.batches.tokens_drawn
        }
        self._record({"step": step, **record})
        self.display.logged(step, record)
        self._notify("ganlm_step_ended", step=step, metrics=record)

    def _record(self, record: Mapping[str, Any]) -> None:
        self.folder.append_metrics(record)
        self.records += 1

    def _glance(self, step: int) -> None:
        values, samples = self.experiment.judge.generator(self.experiment.generator, GLANCE)
        self._evaluated(step, values, samples)

    def _evaluated(self, step: int, values: Values, samples: list[str]) -> None:
        self._record({"step": step, "evaluation": round_values(values)})
        self.folder.write_samples(step, samples)
        self.display.evaluated(step, values, samples)
        self._notify("ganlm_evaluated", step=step, evaluation=values, samples=samples)

    def _milestone(self, step: int) -> None:
        """The evaluation that the last one is compared with: where adversarial training starts."""
        options = self.experiment.config.training
        if step == self.experiment.algorithm.adversarial_from < options.steps:
            values, _ = self.experiment.judge.generator(self.experiment.generator, options.evaluation_samples)
            self.evaluations["before"] = round_values(values)

    def _save(self, step: int) -> None:
        experiment = self.experiment
        checkpoint.save(
            self.folder.checkpoints,
            step,
            modules=experiment.modules,
            optimizers={name: each.optimizer for name, each in experiment.optimizers.items()},
            networks=experiment.shared_networks,
            extra={
                "batches": [experiment.batches.drawn, experiment.batches.tokens_drawn],
                "evaluations": self.evaluations,
                "data": experiment.fingerprint(),
                "records": self.records,
            },
        )

    def _finish(self) -> None:
        experiment, options = self.experiment, self.experiment.config.training
        judge, n = experiment.judge, options.evaluation_samples
        values, samples = judge.generator(experiment.generator, n)
        self._evaluated(options.steps, values, samples)
        self.evaluations |= {
            "after": round_values(values),
            "real": round_values(judge.real(n)),
            **({"process": round_values(judge.process(n))} if experiment.corpus.process is not None else {}),
            "unigram": round_values(judge.unigram(experiment.log_frequencies, n)),
        }
        bundle.save(
            self.folder.bundle,
            config=experiment.config,
            shape=experiment.shape,
            networks=experiment.shared_networks,
            tokenizer=experiment.tokenizer,
            evaluation={"samples": n, "temperature": 1.0, "seed": options.seed, **self.evaluations},
            host=experiment.host,
        )

    def _notify(self, hook: str, **arguments: Any) -> None:
        for warning in self.experiment.host.notify(hook, **arguments):
            self.display.note(warning)
