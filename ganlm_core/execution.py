"""What ``ganlm run`` and :func:`ganlm_core.train` both do: train an experiment in a run folder.

Here is what happens around the loop of :mod:`ganlm_core.trainer`: metrics, samples, checkpoints, signals, the final
evaluation and the bundle.
"""

import shlex
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ganlm_core import bundle, checkpoint, telemetry, trainer
from ganlm_core.config import RunConfig
from ganlm_core.devices import arithmetic
from ganlm_core.discovery import describe
from ganlm_core.errors import DataError, GanlmError, Interrupted, TrainingError, UsageError
from ganlm_core.evaluation import Values, round_values
from ganlm_core.experiment import Experiment, prepare, run_name
from ganlm_core.files import write_file
from ganlm_core.model import Model
from ganlm_core.plugins import Host, default_host
from ganlm_core.runs import RunFolder, removed_on_failure, versions
from ganlm_core.signals import caught_signals, interrupting_signals
from ganlm_core.standard import FileOptions
from ganlm_core.trainer import Metrics


class Display:
    """What a run tells whoever watches it. This one says nothing; the command line's shows progress."""

    def started(self, experiment: Experiment, folder: RunFolder, step: int) -> None: ...

    def logged(self, step: int, record: Mapping[str, float]) -> None: ...

    def evaluated(self, step: int, values: Values, samples: list[str]) -> None:
        """A glance during training; the final evaluation is in the bundle."""

    def finishing(self, weights_step: int) -> None:
        """The final evaluation begins, of the weights of that step."""

    def note(self, line: str) -> None: ...

    def stopping(self) -> None:
        """A signal asked for the end. Called in its handler, amid anything: it may note that but not write."""

    def ended(self, folder: RunFolder, status: str) -> None: ...


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
        with removed_on_failure(folder.path):
            folder.write_tokenizer(experiment.tokenizer.to_json())
            run = _Run(_keep_standard_input(experiment, folder), folder, display)
            run.begin()
    else:
        run = _Run(experiment, folder, display)
        run.restore()
    run.train()
    return folder


def _keep_standard_input(experiment: Experiment, folder: RunFolder) -> Experiment:
    """What came through standard input is kept in the run folder, where a resumed run finds it.

    The parts one after the other: each sentence falls into its part again, in the same order.
    """
    corpus, options = experiment.corpus, experiment.config.corpus.options
    if not isinstance(options, FileOptions) or options.path != "-":
        return experiment
    write_file(folder.data, "".join(f"{text}\n" for text in (*corpus.train, *corpus.validation, *corpus.test)).encode())
    choice = replace(experiment.config.corpus, options=replace(options, path=str(folder.data)))
    config = replace(experiment.config, corpus=choice)
    folder.write_config(config.to_toml())
    return replace(experiment, config=config)


@dataclass
class _Run:
    """One training in its folder: what happens around the loop."""

    experiment: Experiment
    folder: RunFolder
    display: Display
    evaluations: dict[str, Values] = field(default_factory=dict)
    start: int = 0
    step: int = 0
    finishing: bool = False
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
            plugin_files=experiment.host.files,
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
            with caught_signals(self.display.stopping) as self.signals:
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
            self.finishing = True
            with interrupting_signals():
                if self.signals:  # one that came while the last checkpoint was written
                    raise KeyboardInterrupt
                self._finish()
            status = "finished"
        except KeyboardInterrupt:
            status = "interrupted"
            raise Interrupted(f"interrupted {self._when()}; {self._kept()}, {self._go_on()}") from None
        except UsageError:
            raise
        except Exception as error:
            raise self._explained(error) from error
        finally:
            with suppress(GanlmError):  # a disk that refuses this too has a better error on its way
                self.folder.write_info(status=status, seconds=round(earlier + time.monotonic() - began, 1))
            self.display.ended(self.folder, status)
            self._notify("ganlm_run_ended", status=status)

    def _when(self) -> str:
        return "in the final evaluation" if self.finishing else f"after step {self.step}"

    def _kept(self) -> str:
        return f"the checkpoint of step {checkpoint.latest(self.folder.checkpoints).step} is kept"

    def _go_on(self) -> str:
        plugins = [word for file in self.experiment.host.files for word in ("--plugin", file)]
        return f"go on with: {shlex.join(['ganlm', 'run', '--resume', str(self.folder.path), *plugins])}"

    def _explained(self, error: Exception) -> GanlmError:
        """An error with what is left of the run. What is not ours, a bug in a plugin, becomes a TrainingError."""
        if isinstance(error, TrainingError):
            return type(error)(f"{error}; {self._kept()} in {self.folder.path}")
        if isinstance(error, GanlmError):
            return type(error)(f"{error}; {self._kept()}, {self._go_on()}")
        return TrainingError(f"{self._blame(error)}; {self._kept()} in {self.folder.path}")

    def _blame(self, error: Exception) -> str:
        culprit = self.experiment.culprit(error)
        return f"{self._when()}, {culprit} failed with {describe(error)}; --debug shows where"

    def after_step(self, step: int, metrics: Metrics) -> None:
        self.step, options = step, self.experiment.config.training
        last = step == options.steps
        if step % options.log_every == 0 or last:
            self._log(step, metrics)
        if step % options.evaluate_every == 0 or last:
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
        values, samples = telemetry.glance(self.experiment, step)
        self._record({"step": step, "evaluation": values})
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
        self.display.finishing(self.step)
        found, samples = judge.generator(experiment.generator, n)
        values = round_values(found)
        self._record({"step": self.step, "weights_step": self.step, "evaluation": values})
        self.folder.write_samples(None, samples)
        self._notify("ganlm_evaluated", step=self.step, evaluation=values, samples=samples)
        references = judge.references(n, experiment.log_frequencies)
        self.evaluations |= {"after": values}
        self.evaluations |= {key: round_values(judge.judge(subject)) for key, subject in references.items()}
        bundle.save(
            self.folder.bundle,
            config=bundle.shared_config(experiment.config, self.folder),
            shape=experiment.shape,
            networks=experiment.shared_networks,
            tokenizer=experiment.tokenizer,
            evaluation={
                "samples": n,
                "temperature": 1.0,
                "seed": options.seed,
                "weights_step": self.step,
                **self.evaluations,
            },
            host=experiment.host,
            held_out=experiment.corpus.validation[:n],
        )

    def _notify(self, hook: str, **arguments: Any) -> None:
        for warning in self.experiment.host.notify(hook, **arguments):
            self.display.note(warning)
